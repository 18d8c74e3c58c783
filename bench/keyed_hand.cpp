// The keyed-update benchmark as one loop written by hand. Prints one line of JSON.
//   bench_keyed_hand --keys N --updates N --spread zipf|uniform
//
// What a careful programmer would write for this job alone: blocks of 64 events, whose slots are
// prefetched, in an open-addressing table that starts small and doubles. No checkpoints.

#include <cstdio>
#include <optional>
#include <vector>

#include "arguments.h"
#include "keyed_workload.h"

namespace bench {
namespace {

/// Linear probing. A count of 0 marks an empty slot.
class TotalTable {
 public:
  TotalTable() : slots_(1024), shift_(64 - 10) {}

  std::uint64_t slot_of(std::uint64_t key) const { return key * 0x9E3779B97F4A7C15ULL >> shift_; }
  void prefetch(std::uint64_t slot) const { __builtin_prefetch(&slots_[slot], 1); }
  Total& at(std::uint64_t slot, std::uint64_t key) {
    for (;; slot = (slot + 1) & (slots_.size() - 1)) {
      Slot& found = slots_[slot];
      if (found.total.count == 0) {
        found.key = key;
        ++used_;
        return found.total;
      }
      if (found.key == key) {
        return found.total;
      }
    }
  }
  /// Call between blocks: makes room for the next one.
  void reserve(std::uint64_t more) {
    if ((used_ + more) * 3 <= slots_.size() * 2) {
      return;
    }
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    --shift_;
    used_ = 0;
    for (const Slot& slot : old) {
      if (slot.total.count != 0) {
        at(slot_of(slot.key), slot.key) = slot.total;
      }
    }
  }

 private:
  struct Slot {
    std::uint64_t key = 0;
    Total total;
  };
  std::vector<Slot> slots_;
  int shift_;
  std::uint64_t used_ = 0;
};

int run(int argc, char** argv) {
  const weir::bench::Arguments arguments(argc, argv);
  const std::uint64_t keys = arguments.number("keys");
  const std::uint64_t updates = arguments.number("updates");
  const KeyedEvents events(keys, updates, arguments.text("spread") == "zipf");
  TotalTable table;
  std::optional<Stopwatch> watch;
  std::uint64_t fold = 0;
  constexpr std::uint64_t kBlock = 64;
  KeyedEvent block[kBlock];
  std::uint64_t slots[kBlock];
  for (std::uint64_t index = 0; index < keys + updates; index += kBlock) {
    if (!watch.has_value() && index >= keys) {
      watch.emplace();
    }
    table.reserve(kBlock);
    const std::uint64_t count = std::min(kBlock, keys + updates - index);
    for (std::uint64_t i = 0; i < count; ++i) {
      block[i] = events(index + i);
      slots[i] = table.slot_of(block[i].key);
      table.prefetch(slots[i]);
    }
    for (std::uint64_t i = 0; i < count; ++i) {
      Total& total = table.at(slots[i], block[i].key);
      total.add(block[i].amount);
      fold += total.fold();
    }
  }
  print_updates(*watch, updates, fold);
  return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) { return bench::run(argc, argv); }
