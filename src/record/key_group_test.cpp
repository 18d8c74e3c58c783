#include "weir/key_group.h"

#include <vector>

#include <gtest/gtest.h>

namespace weir {
namespace {

// Flink's vectors: shared/reference/flink-semantics.md, 3.9.
TEST(KeyGroup, FollowsFlinksMurmur) {
  struct Vector {
    std::int32_t hash;
    std::uint32_t murmur;
    int group_of_128;
  };
  for (const Vector& vector :
       {Vector{0, 593689054, 94}, Vector{1, 68075478, 86}, Vector{2, 1085422463, 127},
        Vector{42, 1134849565, 29}, Vector{-1, 1982413648, 80}, Vector{2147483647, 1653689534, 62},
        Vector{-2147483648, 1718298732, 108}, Vector{99162322, murmur_of_key_hash(99162322), 35}}) {
    EXPECT_EQ(murmur_of_key_hash(static_cast<std::uint32_t>(vector.hash)), vector.murmur);
    EXPECT_EQ(key_group_of(static_cast<std::uint32_t>(vector.hash), 128), vector.group_of_128);
  }
}

TEST(KeyGroup, RangesFollowFlinksFormula) {
  EXPECT_EQ(key_groups_of_subtask(0, 128, 3), (KeyGroupRange{0, 42}));
  EXPECT_EQ(key_groups_of_subtask(1, 128, 3), (KeyGroupRange{43, 85}));
  EXPECT_EQ(key_groups_of_subtask(2, 128, 3), (KeyGroupRange{86, 127}));
  EXPECT_EQ(key_groups_of_subtask(0, 8, 5), (KeyGroupRange{0, 1}));
  EXPECT_EQ(key_groups_of_subtask(1, 8, 5), (KeyGroupRange{2, 3}));
  EXPECT_EQ(key_groups_of_subtask(2, 8, 5), (KeyGroupRange{4, 4}));
  EXPECT_EQ(key_groups_of_subtask(3, 8, 5), (KeyGroupRange{5, 6}));
  EXPECT_EQ(key_groups_of_subtask(4, 8, 5), (KeyGroupRange{7, 7}));
}

// For every max parallelism up to 130 and the upper bound: each group has exactly one owner, and
// both formulas name the same one.
TEST(KeyGroup, RangesPartitionTheKeyGroups) {
  std::vector<int> bounds{kUpperBoundMaxParallelism, kUpperBoundMaxParallelism - 1};
  for (int max = 1; max <= 130; ++max) {
    bounds.push_back(max);
  }
  for (const int max : bounds) {
    for (const int parallelism : {1, 2, 3, 5, 7, 64, 127, 128, max}) {
      if (parallelism > max) {
        continue;
      }
      int next = 0;
      for (int subtask = 0; subtask < parallelism; ++subtask) {
        const KeyGroupRange range = key_groups_of_subtask(subtask, max, parallelism);
        ASSERT_EQ(range.first, next);
        ASSERT_GE(range.size(), 1);
        for (int group = range.first; group <= range.last; ++group) {
          ASSERT_EQ(subtask_of_key_group(group, max, parallelism), subtask);
        }
        next = range.last + 1;
      }
      ASSERT_EQ(next, max);
    }
  }
}

TEST(KeyGroup, AnEmptyRangeContainsNothing) {
  const KeyGroupRange range;
  EXPECT_EQ(range.size(), 0);
  EXPECT_FALSE(range.contains(0));
}

}  // namespace
}  // namespace weir
