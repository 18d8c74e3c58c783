// Speed of the heap backend's upsert, find and snapshot beside a plain hand-written table, and its
// memory per key. Usage: state_bench [keys...]; prints ns per operation, best of several rounds,
// the contestants taking turns (the machine's speed varies).

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "state/heap_backend.h"
#include "weir/key_hash.h"
#include "weir/type_ops.h"

namespace state_bench {
struct Sum {
  std::uint64_t sum = 0;
  std::uint64_t count = 0;
};
}  // namespace state_bench

namespace {

using namespace weir;
using namespace weir::state;
using state_bench::Sum;

constexpr std::size_t kBatch = 1024;
constexpr int kRounds = 7;

/// CPU time of this thread: on a busy machine, wall time measures the others.
double now_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

/// What one would write for exactly this job: power-of-two open addressing, 1.5 to 3 slots per
/// key, huge pages, 24-byte entries, prefetch in blocks of 64. No erase, no growth, no snapshot.
class PlainTable {
 public:
  explicit PlainTable(std::size_t keys) {
    while (capacity_ < keys + keys / 2) {
      capacity_ *= 2;
    }
    bytes_ = std::max<std::size_t>(capacity_ * sizeof(Entry), std::size_t{2} << 20);
    void* memory = std::aligned_alloc(std::size_t{2} << 20, (bytes_ + (2U << 20) - 1) >> 21 << 21);
    ::madvise(memory, bytes_, MADV_HUGEPAGE);
    entries_ = static_cast<Entry*>(memory);
    std::fill(entries_, entries_ + capacity_, Entry{0, 0, 0});
  }
  ~PlainTable() { std::free(entries_); }
  PlainTable(const PlainTable&) = delete;
  PlainTable& operator=(const PlainTable&) = delete;

  void add(const std::uint64_t* keys, const std::uint32_t* hashes, std::size_t count) {
    const std::size_t mask = capacity_ - 1;
    for (std::size_t begin = 0; begin < count; begin += 64) {
      const std::size_t end = std::min(count, begin + 64);
      for (std::size_t i = begin; i < end; ++i) {
        __builtin_prefetch(entries_ + (hashes[i] & mask), 1);
      }
      for (std::size_t i = begin; i < end; ++i) {
        std::size_t slot = hashes[i] & mask;
        while (entries_[slot].key != keys[i] + 1 && entries_[slot].key != 0) {
          slot = (slot + 1) & mask;
        }
        entries_[slot].key = keys[i] + 1;
        entries_[slot].sum += keys[i];
        entries_[slot].count += 1;
      }
    }
  }

 private:
  struct Entry {
    std::uint64_t key;
    std::uint64_t sum;
    std::uint64_t count;
  };
  std::size_t capacity_ = 16;
  std::size_t bytes_ = 0;
  Entry* entries_ = nullptr;
};

/// Takes blocks and forgets them.
class NullSink final : public SnapshotSink {
 public:
  bool has_room() override { return true; }
  void submit(std::string payload) override {
    bytes += payload.size();
    free_ = std::move(payload);
  }
  std::string recycle() override { return std::move(free_); }
  void finish(std::uint64_t count) override { entries = count; }
  void abandon(Error) override {}
  bool has_failed() override { return false; }

  std::uint64_t bytes = 0;
  std::uint64_t entries = 0;

 private:
  std::string free_;
};

struct Stream {
  std::vector<std::uint64_t> keys;
  std::vector<std::uint32_t> hashes;
};

/// Distinct keys without order: with consecutive ones a multiplicative hash has no collisions.
std::uint64_t nth_key(std::uint64_t n) {
  n = (n + 1) * 0xD6E8FEB86659FD93ULL;
  n ^= n >> 32;
  return n * 0xD6E8FEB86659FD93ULL;
}

Stream make_stream(std::size_t key_count, std::size_t length) {
  Stream stream;
  std::uint64_t seed = 88172645463325252ULL;
  for (std::size_t i = 0; i < length; ++i) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    stream.keys.push_back(nth_key(seed % key_count));
    stream.hashes.push_back(key_hash(stream.keys.back()));
  }
  return stream;
}

class Subject {
 public:
  Subject() : backend_({"bench", 128, {0, 127}}) {
    table_ = backend_.open_table({"sums", &type_ops<std::uint64_t>(), &type_ops<Sum>(), nullptr})
                 .value();
  }
  void add(const std::uint64_t* keys, const std::uint32_t* hashes, std::size_t count) {
    void* values[kBatch];
    table_->upsert(0, {reinterpret_cast<const std::byte*>(keys), sizeof(*keys), hashes, count},
                   values);
    for (std::size_t i = 0; i < count; ++i) {
      auto* value = static_cast<Sum*>(values[i]);
      value->sum += keys[i];
      value->count += 1;
    }
  }
  std::uint64_t find(const std::uint64_t* keys, const std::uint32_t* hashes, std::size_t count) {
    std::uint64_t found = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const void* value = table_->find(0, keys + i, hashes[i]);
      found += value == nullptr ? 0 : static_cast<const Sum*>(value)->count;
    }
    return found;
  }
  void create(const std::uint64_t* keys, const std::uint32_t* hashes, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      static_cast<Sum*>(table_->find_or_create(0, keys + i, hashes[i]))->count += 1;
    }
  }
  HeapBackend& backend() { return backend_; }

 private:
  HeapBackend backend_;
  StateTable* table_;
};

template <class Body>
double per_operation(const Stream& stream, Body&& body) {
  const double start = now_ns();
  for (std::size_t at = 0; at + kBatch <= stream.keys.size(); at += kBatch) {
    body(stream.keys.data() + at, stream.hashes.data() + at, kBatch);
  }
  return (now_ns() - start) / static_cast<double>(stream.keys.size());
}

void measure(std::size_t key_count) {
  const Stream stream =
      make_stream(key_count, std::clamp<std::size_t>(key_count, 4'000'000, 16'000'000));
  PlainTable plain(key_count);
  Subject subject;
  std::vector<std::uint64_t> all(kBatch);
  std::vector<std::uint32_t> hashes(kBatch);
  double fill = 0;
  double per_key_max = 0;
  for (std::size_t at = 0; at < key_count; at += kBatch) {
    const std::size_t count = std::min(kBatch, key_count - at);
    for (std::size_t i = 0; i < count; ++i) {
      all[i] = nth_key(at + i);
      hashes[i] = key_hash(all[i]);
    }
    const double start = now_ns();
    subject.add(all.data(), hashes.data(), count);
    fill += now_ns() - start;
    plain.add(all.data(), hashes.data(), count);
    if (at > 100'000 && at % (64 * kBatch) == 0) {
      per_key_max = std::max(per_key_max, static_cast<double>(subject.backend().memory_bytes()) /
                                              static_cast<double>(at + count));
    }
  }
  std::uint64_t guard = 0;
  double best[6];
  std::fill(std::begin(best), std::end(best), 1e9);
  for (int round = 0; round < kRounds; ++round) {
    const auto keep = [&](int i, double ns) { best[i] = std::min(best[i], ns); };
    keep(0, per_operation(stream, [&](auto... a) { plain.add(a...); }));
    keep(1, per_operation(stream, [&](auto... a) { subject.add(a...); }));
    keep(2, per_operation(stream, [&](auto... a) { guard += subject.find(a...); }));
    keep(3, per_operation(stream, [&](auto... a) { subject.create(a...); }));
    auto sink = std::make_shared<NullSink>();
    double start = now_ns();
    subject.backend().start_snapshot(sink);
    keep(5, now_ns() - start);
    start = now_ns();
    while (subject.backend().copy_slice() != HeapBackend::CopyProgress::kDone) {
    }
    keep(4, (now_ns() - start) / static_cast<double>(sink->entries));
  }
  // Updates while a snapshot is copied, one slice per batch.
  auto sink = std::make_shared<NullSink>();
  subject.backend().start_snapshot(sink);
  double slice_max = 0;
  const double with_copy = per_operation(stream, [&](auto... a) {
    subject.add(a...);
    const double start = now_ns();
    subject.backend().copy_slice();
    slice_max = std::max(slice_max, now_ns() - start);
  });
  subject.backend().abandon_snapshot(Error{ErrorCode::kCancelled, "end of measurement"});
  std::printf(
      "%9zu keys: plain %5.1f  upsert %5.1f (%.2fx)  find %5.1f  find_or_create %5.1f  fill %5.1f "
      "ns/op | snapshot %4.1f ns/entry, start %.1f us, upsert+slices %5.1f ns, slice max %.0f us | "
      "%.1f B/key (max %.1f) %s\n",
      key_count, best[0], best[1], best[1] / best[0], best[2], best[3],
      fill / static_cast<double>(key_count), best[4], best[5] / 1000, with_copy, slice_max / 1000,
      static_cast<double>(subject.backend().memory_bytes()) / static_cast<double>(key_count),
      per_key_max, guard == 0 ? "!" : "");
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::size_t> sizes{1'000, 100'000, 1'000'000, 10'000'000};
  if (argc > 1) {
    sizes.clear();
    for (int i = 1; i < argc; ++i) {
      sizes.push_back(std::strtoull(argv[i], nullptr, 10));
    }
  }
  for (const std::size_t size : sizes) {
    measure(size);
  }
  return 0;
}
