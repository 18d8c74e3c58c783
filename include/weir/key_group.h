#pragma once

#include <cstdint>

namespace weir {

/// The default of `pipeline.max-parallelism`.
inline constexpr int kDefaultMaxParallelism = 128;
inline constexpr int kUpperBoundMaxParallelism = 32768;

/// Flink's MathUtils.murmurHash: 32-bit MurmurHash3 of one 4-byte block, seed 0, made non-negative.
[[gnu::always_inline]] constexpr std::uint32_t murmur_of_key_hash(std::uint32_t key_hash) {
  std::uint32_t x = key_hash * 0xcc9e2d51U;
  x = (x << 15) | (x >> 17);
  x *= 0x1b873593U;
  x = (x << 13) | (x >> 19);
  x = x * 5U + 0xe6546b64U;
  x ^= 4U;
  x ^= x >> 16;
  x *= 0x85ebca6bU;
  x ^= x >> 13;
  x *= 0xc2b2ae35U;
  x ^= x >> 16;
  const auto is_negative = static_cast<std::int32_t>(x) < 0;
  if (!is_negative) {
    return x;
  }
  return x == 0x80000000U ? 0U : 0U - x;
}

/// Key group of a key, 0 <= group < max_parallelism.
constexpr int key_group_of(std::uint32_t key_hash, int max_parallelism) {
  return static_cast<int>(murmur_of_key_hash(key_hash) %
                          static_cast<std::uint32_t>(max_parallelism));
}

/// Subtask that owns a key group (Flink's KeyGroupRangeAssignment).
constexpr int subtask_of_key_group(int key_group, int max_parallelism, int parallelism) {
  return key_group * parallelism / max_parallelism;
}

/// Key groups first..last, both ends inclusive; empty if last < first.
struct KeyGroupRange {
  int first = 0;
  int last = -1;

  constexpr int size() const { return last < first ? 0 : last - first + 1; }
  constexpr bool contains(int group) const { return group >= first && group <= last; }
  friend bool operator==(const KeyGroupRange&, const KeyGroupRange&) = default;
};

/// The key groups of one subtask.
constexpr KeyGroupRange key_groups_of_subtask(int subtask, int max_parallelism, int parallelism) {
  return {(subtask * max_parallelism + parallelism - 1) / parallelism,
          ((subtask + 1) * max_parallelism - 1) / parallelism};
}

}  // namespace weir
