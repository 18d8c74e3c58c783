#include "weir/batch.h"

#include <array>
#include <memory>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace weir {
namespace {

/// Counts its living objects; copying the one whose number is `poison` throws.
struct Tracked {
  explicit Tracked(int value) : number(value) { ++alive; }
  Tracked(const Tracked& other) : number(other.number) {
    if (number == poison) {
      throw std::runtime_error("poisoned copy");
    }
    ++alive;
  }
  Tracked(Tracked&& other) noexcept : number(other.number) { ++alive; }
  Tracked& operator=(const Tracked&) = default;
  ~Tracked() { --alive; }

  int number;
  static inline int alive = 0;
  static inline int poison = -1;
};

struct Point {
  std::int32_t x;
  std::int32_t y;
};

BatchPtr strings(std::size_t count) {
  BatchPtr batch = Batch::make<std::string>();
  for (std::size_t i = 0; i < count; ++i) {
    batch->push_back("a string that does not fit inside " + std::to_string(i),
                     static_cast<TimestampMs>(i));
  }
  return batch;
}

TEST(Batch, StartsEmptyWithACapacityThatFitsTheCaches) {
  const BatchPtr batch = Batch::make<Point>();
  EXPECT_TRUE(batch->empty());
  EXPECT_FALSE(batch->is_keyed());
  EXPECT_EQ(batch->capacity(), Batch::default_capacity(type_ops<Point>()));
  const std::size_t of_small = Batch::default_capacity(type_ops<Point>());
  const std::size_t of_large = Batch::default_capacity(type_ops<std::array<char, 100'000>>());
  EXPECT_LE(of_small, 2048U);
  EXPECT_GE(of_large, 32U);
  EXPECT_GE(of_small, of_large);
}

TEST(Batch, KeepsRecordsWithTheirTimes) {
  BatchPtr batch = Batch::make<Point>();
  batch->push_back(Point{1, 2}, 30);
  batch->push_back(Point{3, 4}, 20);
  EXPECT_EQ(batch->size(), 2U);
  EXPECT_EQ(batch->records<Point>()[1].x, 3);
  EXPECT_EQ(batch->timestamps()[1], 20);
  EXPECT_EQ(batch->max_timestamp(), 30);
}

TEST(Batch, ColumnsAreAlignedForVectorCode) {
  for (const std::size_t capacity : {1U, 3U, 100U}) {
    const BatchPtr batch = Batch::make(type_ops<Point>(), capacity);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(batch->data()) % 64, 0U);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(batch->timestamps()) % 64, 0U);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(batch->key_hashes()) % 64, 0U);
  }
}

TEST(Batch, ACloneIsIndependentOfItsOriginal) {
  BatchPtr batch = strings(10);
  batch->key_hashes()[3] = 77;
  batch->set_keyed(true);
  const BatchPtr clone = batch->clone();
  batch->records<std::string>()[3] = "changed";
  batch.reset();
  EXPECT_EQ(clone->size(), 10U);
  EXPECT_EQ(clone->records<std::string>()[3], "a string that does not fit inside 3");
  EXPECT_EQ(clone->timestamps()[3], 3);
  EXPECT_TRUE(clone->is_keyed());
  EXPECT_EQ(clone->key_hashes()[3], 77U);
}

TEST(Batch, ACloneOfAnEmptyBatchIsEmpty) {
  EXPECT_TRUE(Batch::make<std::string>()->clone()->empty());
}

TEST(Batch, AppendCopiesARowWithItsTimeAndHash) {
  BatchPtr from = strings(5);
  from->key_hashes()[4] = 9;
  const BatchPtr to = Batch::make(type_ops<std::string>(), 2);
  to->append_copy(*from, 4);
  to->append_copy(*from, 0);
  EXPECT_TRUE(to->full());
  EXPECT_EQ(to->records<std::string>()[0], from->records<std::string>()[4]);
  EXPECT_EQ(to->timestamps()[0], 4);
  EXPECT_EQ(to->key_hashes()[0], 9U);
}

TEST(Batch, DestroysExactlyWhatItHolds) {
  {
    BatchPtr batch = Batch::make<Tracked>();
    for (int i = 0; i < 20; ++i) {
      batch->push_back(Tracked(i), i);
    }
    EXPECT_EQ(Tracked::alive, 20);
    const BatchPtr clone = batch->clone();
    EXPECT_EQ(Tracked::alive, 40);
    batch->clear();
    EXPECT_EQ(Tracked::alive, 20);
    EXPECT_FALSE(batch->is_keyed());
  }
  EXPECT_EQ(Tracked::alive, 0);
}

TEST(Batch, ACopyThatThrowsLeaksNothing) {
  {
    BatchPtr batch = Batch::make<Tracked>();
    for (int i = 0; i < 20; ++i) {
      batch->push_back(Tracked(i), i);
    }
    Tracked::poison = 11;
    EXPECT_THROW(batch->clone(), std::runtime_error);
    const BatchPtr to = Batch::make<Tracked>();
    EXPECT_THROW(to->append_copy(*batch, 11), std::runtime_error);
    EXPECT_TRUE(to->empty());
    Tracked::poison = -1;
    EXPECT_EQ(Tracked::alive, 20);
  }
  EXPECT_EQ(Tracked::alive, 0);
}

TEST(Batch, MoveOnlyRecordsTravelButAreNotCopied) {
  BatchPtr batch = Batch::make<std::unique_ptr<int>>();
  batch->push_back(std::make_unique<int>(5), 1);
  EXPECT_EQ(*batch->records<std::unique_ptr<int>>()[0], 5);
  EXPECT_DEATH((void)batch->clone(), "unique_ptr");
}

}  // namespace
}  // namespace weir
