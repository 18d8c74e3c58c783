// The window benchmark as one loop written by hand. Prints one line of JSON.
//   bench_window_hand --users N --ids dense|spread --window-events N --events N
//
// What a careful programmer would write for this job alone: one pass over blocks of 64 events that
// makes, filters and projects them and prefetches their slots, one that counts; an open-addressing
// table of (user, window) on huge pages that starts small and doubles; windows are read out and
// cleared when event time has passed them. No watermarks, no late records, no checkpoints.

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

#include "arguments.h"
#include "workload.h"

namespace weir::bench {
namespace {

/// Counts per (user, window), linear probing. A count of 0 marks an empty slot.
class CountTable {
 public:
  struct Slot {
    std::uint64_t user;
    std::uint32_t window;
    std::uint32_t count;
  };

  CountTable() { allocate(1024); }
  ~CountTable() { release(slots_, capacity()); }
  CountTable(const CountTable&) = delete;
  CountTable& operator=(const CountTable&) = delete;

  std::uint64_t slot_of(std::uint64_t user, std::uint32_t window) const {
    return ((user ^ (std::uint64_t{window} << 40)) * 0x9E3779B97F4A7C15ULL) >> shift_;
  }
  void prefetch(std::uint64_t slot) const { __builtin_prefetch(&slots_[slot], 1); }

  /// `slot` from slot_of(), of this or of a smaller capacity (then it is computed anew).
  void count(std::uint64_t slot, std::uint64_t user, std::uint32_t window) {
    for (;; slot = (slot + 1) & mask_) {
      Slot& at = slots_[slot];
      if (at.user == user && at.window == window && at.count != 0) {
        ++at.count;
        return;
      }
      if (at.count == 0) {
        at = {user, window, 1};
        ++used_;
        return;
      }
    }
  }
  /// Call between blocks: makes room for the next one.
  void reserve(std::uint64_t more) {
    if ((used_ + more) * 3 > capacity() * 2) {
      grow();
    }
  }
  /// Emits and forgets all windows below `window`.
  template <class Emit>
  void fire_below(std::uint32_t window, Emit&& emit) {
    bool is_all = true;
    for (std::uint64_t i = 0; i < capacity(); ++i) {
      if (slots_[i].count != 0) {
        if (slots_[i].window < window) {
          emit(slots_[i]);
        } else {
          is_all = false;
        }
      }
    }
    if (is_all) {
      std::memset(static_cast<void*>(slots_), 0, capacity() * sizeof(Slot));
      used_ = 0;
    } else {
      rebuild(capacity(), window);
    }
  }

 private:
  std::uint64_t capacity() const { return mask_ + 1; }

  void allocate(std::uint64_t capacity) {
    const std::size_t bytes = capacity * sizeof(Slot);
    void* memory =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
      std::abort();
    }
    ::madvise(memory, bytes, MADV_HUGEPAGE);
    slots_ = static_cast<Slot*>(memory);
    mask_ = capacity - 1;
    shift_ = 64 - static_cast<unsigned>(__builtin_ctzll(capacity));
    used_ = 0;
  }
  static void release(Slot* slots, std::uint64_t capacity) {
    ::munmap(slots, capacity * sizeof(Slot));
  }
  void grow() { rebuild(2 * capacity(), 0); }
  void rebuild(std::uint64_t new_capacity, std::uint32_t window_min) {
    Slot* const old = slots_;
    const std::uint64_t old_capacity = capacity();
    allocate(new_capacity);
    for (std::uint64_t i = 0; i < old_capacity; ++i) {
      if (old[i].count != 0 && old[i].window >= window_min) {
        std::uint64_t slot = slot_of(old[i].user, old[i].window);
        while (slots_[slot].count != 0) {
          slot = (slot + 1) & mask_;
        }
        slots_[slot] = old[i];
        ++used_;
      }
    }
    release(old, old_capacity);
  }

  Slot* slots_ = nullptr;
  std::uint64_t mask_ = 0;
  std::uint64_t used_ = 0;
  unsigned shift_ = 0;
};

template <class Ids>
int run(int argc, char** argv) {
  const Arguments arguments(argc, argv);
  const EventMaker<Ids> make_event(arguments.number("users"), arguments.number("window-events"));
  const std::uint64_t events = arguments.number("events");
  constexpr std::uint64_t kBlock = 64;
  Payment payments[kBlock];
  std::uint32_t windows[kBlock];
  std::uint64_t slots[kBlock];
  CountTable table;
  RowSums sums;
  const auto emit = [&](const CountTable::Slot& slot) {
    sums.add({slot.user, (static_cast<std::int64_t>(slot.window) + 1) * kWindowMs, slot.count});
  };
  std::int64_t window_end = kWindowMs;
  std::uint32_t window = 0;
  for (std::uint64_t begin = 0; begin < events; begin += kBlock) {
    const std::uint64_t end = std::min(events, begin + kBlock);
    table.reserve(kBlock);
    std::uint64_t kept = 0;
    const std::uint32_t oldest = window;
    for (std::uint64_t i = begin; i < end; ++i) {
      const Event event = make_event(i);
      if (event.time_ms >= window_end) {
        window = static_cast<std::uint32_t>(event.time_ms / kWindowMs);
        window_end = (static_cast<std::int64_t>(window) + 1) * kWindowMs;
      }
      payments[kept] = to_payment(event);
      windows[kept] = window;
      slots[kept] = table.slot_of(event.user, window);
      table.prefetch(slots[kept]);
      kept += is_payment(event) ? 1 : 0;
    }
    for (std::uint64_t i = 0; i < kept; ++i) {
      table.count(slots[i], payments[i].user, windows[i]);
    }
    if (window != oldest) {
      table.fire_below(window, emit);
    }
  }
  table.fire_below(~std::uint32_t{0}, emit);
  std::printf("{\"events\": %llu, \"rows\": %llu, \"hash\": \"%016llx%016llx\"}\n",
              static_cast<unsigned long long>(events), static_cast<unsigned long long>(sums.rows),
              static_cast<unsigned long long>(sums.sum),
              static_cast<unsigned long long>(sums.mixed));
  return 0;
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  using namespace weir::bench;
  const bool is_spread = Arguments(argc, argv).text("ids") == "spread";
  return is_spread ? run<SpreadIds>(argc, argv) : run<DenseIds>(argc, argv);
}
