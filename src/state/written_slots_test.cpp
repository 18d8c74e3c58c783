#include "state/written_slots.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <vector>

namespace weir::state {
namespace {

constexpr std::uint32_t kCapacity = 4096;

std::vector<std::uint32_t> walk(WrittenSlots& written, std::uint32_t since, std::uint32_t until) {
  std::vector<std::uint32_t> all;
  written.begin_walk(since, until);
  for (std::uint32_t slots[7];;) {
    const std::size_t count = written.take(slots, 7);
    if (count == 0) {
      break;
    }
    all.insert(all.end(), slots, slots + count);
  }
  written.end_walk();
  return all;
}

TEST(WrittenSlots, AWalkVisitsWhatWasWrittenBetweenTwoEpochsInOrder) {
  WrittenSlots written({});
  written.add(700, 2, kCapacity, 1);
  written.add(3, 2, kCapacity, 1);
  written.add(64, 3, kCapacity, 1);
  written.add(3, 3, kCapacity, 1);
  written.add(4095, 4, kCapacity, 1);
  EXPECT_EQ(walk(written, 1, 4), (std::vector<std::uint32_t>{3, 64, 700}));
  EXPECT_EQ(walk(written, 2, 4), (std::vector<std::uint32_t>{3, 64}));
  EXPECT_EQ(walk(written, 3, 5), (std::vector<std::uint32_t>{4095}));
  EXPECT_TRUE(walk(written, 4, 9).empty());
}

TEST(WrittenSlots, TooManyAndMovedOnesAreNotKnown) {
  WrittenSlots written({});
  std::uint32_t slot = 0;
  for (; written.takes(5); ++slot) {
    ASSERT_LT(slot, kCapacity / 4);
    written.add(slot, 5, kCapacity, 1);
  }
  EXPECT_GT(slot, kCapacity / 128);
  EXPECT_FALSE(written.covers(4));
  EXPECT_TRUE(written.covers(5));
  EXPECT_TRUE(written.takes(6));
  written.add(1, 6, kCapacity, 1);
  written.lose(6);
  EXPECT_FALSE(written.covers(5));
  EXPECT_TRUE(walk(written, 6, 7).empty());
}

TEST(WrittenSlots, WhereTooManyAreWrittenInEveryEpochMarksPauseLongerAndLonger) {
  WrittenSlots written({});
  std::vector<std::uint32_t> marked;
  std::uint32_t epoch = 2;
  for (; epoch < 40; ++epoch) {
    std::uint32_t slot = 0;
    for (; written.takes(epoch); ++slot) {
      written.add(slot, epoch, kCapacity, 1);
    }
    if (slot > 1) {
      marked.push_back(epoch);
    }
  }
  EXPECT_EQ(marked, (std::vector<std::uint32_t>{2, 3, 5, 9, 17, 33}));
  // One quiet epoch, and there is no pause after the next one that is not.
  written.add(1, epoch, kCapacity, 1);
  while (!written.takes(epoch)) {
    ASSERT_LT(epoch, 80U);
    written.add(1, ++epoch, kCapacity, 1);
  }
  written.add(1, epoch + 1, kCapacity, 1);
  EXPECT_EQ(walk(written, epoch, epoch + 2), (std::vector<std::uint32_t>{1}));
  for (std::uint32_t slot = 0; written.takes(epoch + 1); ++slot) {
    written.add(slot, epoch + 1, kCapacity, 1);
  }
  written.add(1, epoch + 2, kCapacity, 1);
  EXPECT_TRUE(written.takes(epoch + 2));
}

TEST(WrittenSlots, SmallTablesAreScanned) {
  WrittenSlots written({});
  written.add(1, 2, 64, 1);
  EXPECT_FALSE(written.covers(1));
  EXPECT_FALSE(written.takes(2));
}

TEST(WrittenSlots, BehavesLikeASetPerEpoch) {
  std::mt19937 engine(1);
  const auto random = [&] { return static_cast<std::uint32_t>(engine()); };
  for (int run = 0; run < 200; ++run) {
    WrittenSlots written({});
    std::map<std::uint32_t, std::set<std::uint32_t>> model;
    std::uint32_t needed_above = 1;
    for (std::uint32_t epoch = 2; epoch < 20; ++epoch) {
      for (std::uint32_t i = random() % 30; i > 0; --i) {
        const std::uint32_t slot = random() % kCapacity;
        if (model[epoch].insert(slot).second) {
          written.add(slot, epoch, kCapacity, needed_above);
        }
      }
      if (random() % 3 == 0) {
        needed_above = std::max(needed_above, epoch - random() % 3);
      }
      ASSERT_TRUE(written.covers(needed_above));
      for (std::uint32_t since = needed_above; since < epoch; ++since) {
        const std::vector<std::uint32_t> found = walk(written, since, epoch + 1);
        ASSERT_TRUE(std::is_sorted(found.begin(), found.end()));
        std::set<std::uint32_t> missing;
        std::set<std::uint32_t> known;
        for (const auto& [at, slots] : model) {
          known.insert(slots.begin(), slots.end());
          if (at > since) {
            missing.insert(slots.begin(), slots.end());
          }
        }
        for (const std::uint32_t slot : found) {
          missing.erase(slot);
          ASSERT_TRUE(known.contains(slot));
        }
        ASSERT_TRUE(missing.empty());
      }
    }
  }
}

}  // namespace
}  // namespace weir::state
