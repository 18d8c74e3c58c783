#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "key_stream.h"

/// The workload of the keyed-update benchmarks: first every key once, then updates of a sum and a
/// count by keys that were drawn beforehand, so that drawing them costs the loops nothing.
namespace bench {

struct KeyedEvent {
  std::uint64_t key;
  std::uint64_t amount;
};

struct Total {
  std::uint64_t sum = 0;
  std::uint64_t count = 0;

  void add(std::uint64_t amount) {
    sum += amount;
    ++count;
  }
  /// Sums of these are equal when every key's totals were, whatever the order of the keys.
  std::uint64_t fold() const { return sum ^ count << 40; }
};

class KeyedEvents {
 public:
  KeyedEvents(std::uint64_t keys, std::uint64_t updates, bool is_zipf)
      : keys_(keys), drawn_(std::bit_ceil(std::min(updates, kDrawnMax))) {
    KeyStream stream(keys, is_zipf);
    for (std::uint64_t& key : drawn_) {
      key = stream.next();
    }
  }
  KeyedEvent operator()(std::uint64_t index) const {
    const std::uint64_t key =
        index < keys_ ? key_of(index) : drawn_[(index - keys_) & (drawn_.size() - 1)];
    return {key, amount_of(key)};
  }

 private:
  /// So many, again and again: of 10 million keys, uniform, they name 96 %.
  static constexpr std::uint64_t kDrawnMax = std::uint64_t{1} << 25;
  const std::uint64_t keys_;
  std::vector<std::uint64_t> drawn_;
};

/// Prints one line of JSON: time per update, and what shows that the results are the same.
inline void print_updates(const Stopwatch& watch, std::uint64_t updates, std::uint64_t fold) {
  std::printf(
      "{\"events\": %llu, \"ns\": %.2f, \"cpu_ns\": %.2f, \"rows\": 1, \"hash\": %llu}\n",
      static_cast<unsigned long long>(updates), 1e9 * watch.wall_s() / static_cast<double>(updates),
      1e9 * watch.cpu_s() / static_cast<double>(updates), static_cast<unsigned long long>(fold));
}

}  // namespace bench
