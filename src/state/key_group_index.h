#pragma once

#include <bit>
#include <cstdint>

#include "weir/key_group.h"

namespace weir::state {

/// Key group of a key hash, counted from the first key group of this subtask. Division-free. What a
/// loop over keys calls is always inlined, or the compiler does not make vector instructions of it.
class KeyGroupIndex {
 public:
  KeyGroupIndex(int max_parallelism, KeyGroupRange range)
      : max_parallelism_(static_cast<std::uint32_t>(max_parallelism)),
        first_(static_cast<std::uint32_t>(range.first)),
        count_(static_cast<std::uint32_t>(range.size())),
        is_power_of_two_(std::has_single_bit(max_parallelism_)),
        // Lemire, Kaser, Kurz: "Faster remainder by direct computation" (2019); exact for 32 bits.
        inverse_(~std::uint64_t{0} / max_parallelism_ + 1) {}

  std::uint32_t count() const { return count_; }
  std::uint32_t first() const { return first_; }
  bool is_power_of_two() const { return is_power_of_two_; }

  /// At least count() if the key group is not in the range.
  [[gnu::always_inline]] std::uint32_t of(std::uint32_t hash) const {
    return is_power_of_two_ ? of_power_of_two(hash) : of_any(hash);
  }
  [[gnu::always_inline]] std::uint32_t of_power_of_two(std::uint32_t hash) const {
    return (murmur_of_key_hash(hash) & (max_parallelism_ - 1)) - first_;
  }
  [[gnu::always_inline]] std::uint32_t of_any(std::uint32_t hash) const {
    const std::uint64_t fraction = inverse_ * murmur_of_key_hash(hash);
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint32_t>((static_cast<Wide>(fraction) * max_parallelism_) >> 64) -
           first_;
  }

 private:
  std::uint32_t max_parallelism_;
  std::uint32_t first_;
  std::uint32_t count_;
  bool is_power_of_two_;
  std::uint64_t inverse_;
};

}  // namespace weir::state
