#include "runtime/channel.h"

#include <algorithm>
#include <thread>

#include "runtime/runtime_harness.h"

namespace weir::runtime::test {
namespace {

TEST(Channel, KeepsTheOrderAndIsFullAtItsCapacity) {
  Channels channels(1);
  for (std::size_t i = 0; i < Channel::kCapacity; ++i) {
    channels.push(0, Element::of_watermark(static_cast<TimestampMs>(i)));
  }
  Element extra = Element::of(rows(7, 1));
  EXPECT_FALSE(channels[0].try_push(extra));
  EXPECT_NE(extra.batch, nullptr);  // untouched: nothing is lost by being refused
  EXPECT_EQ(channels[0].size_hint(), Channel::kCapacity);
  Element first;
  ASSERT_TRUE(channels[0].try_pop(first));
  EXPECT_EQ(first.watermark, 0);
  EXPECT_TRUE(channels[0].try_push(extra));
  const auto rest = channels.take_all(0);
  ASSERT_EQ(rest.size(), Channel::kCapacity);
  EXPECT_EQ(numbers_of(*rest.back().batch), (std::vector<std::int64_t>{7}));
  EXPECT_FALSE(channels[0].try_pop(first));
}

TEST(Channel, HoldsOneBatchWhenThereIsNoMemory) {
  Channels channels(2);
  MemoryPool memory(1);
  channels[0].set_memory(&memory);
  channels[1].set_memory(&memory);
  EXPECT_TRUE(channels[0].push(Element::of(rows(0, 10))));
  EXPECT_TRUE(channels[1].push(Element::of(rows(10, 10)))) << "so that each consumer goes on";
  EXPECT_FALSE(channels[0].push(Element::of(rows(20, 10))));
  EXPECT_EQ(channels[0].drain_overflow(), 0U);
  EXPECT_EQ(memory.used(), 3 * static_cast<std::int64_t>(rows(0, 10)->memory_bytes()));
  Element element;
  ASSERT_TRUE(channels[0].try_pop(element));
  EXPECT_EQ(channels[0].drain_overflow(), 1U);
  ASSERT_TRUE(channels[0].try_pop(element));
  EXPECT_EQ(numbers_of(*element.batch).front(), 20);
  ASSERT_TRUE(channels[1].try_pop(element));
  EXPECT_EQ(memory.used(), 0);
}

TEST(Channel, GivesItsMemoryBackWhenItGoes) {
  MemoryPool memory(1);
  {
    Channels channels(1);
    channels[0].set_memory(&memory);
    channels.push(0, Element::of(rows(0, 10)));
    EXPECT_FALSE(channels[0].push(Element::of(rows(10, 10))));
    EXPECT_GT(memory.used(), 0);
  }
  EXPECT_EQ(memory.used(), 0);
}

TEST(Channel, CarriesEveryBatchOnceFromOneThreadToAnother) {
  Channels channels(1);
  constexpr std::int64_t kBatches = 20'000;
  std::thread producer([&] {
    for (std::int64_t i = 0; i < kBatches; ++i) {
      Element element = Element::of(rows(i, 1));
      while (!channels[0].try_push(element)) {
        std::this_thread::yield();
      }
    }
  });
  std::int64_t next = 0;
  Element element;
  while (next < kBatches) {
    if (!channels[0].try_pop(element)) {
      std::this_thread::yield();
      continue;
    }
    ASSERT_EQ(numbers_of(*element.batch), (std::vector<std::int64_t>{next}));
    ++next;
  }
  producer.join();
  EXPECT_EQ(channels[0].size_hint(), 0U);
}

TEST(Channel, WhatDoesNotFitOverflowsInOrder) {
  Channels channels(1);
  Channel& channel = channels[0];
  const auto total = static_cast<TimestampMs>(Channel::kCapacity) + 3;
  for (TimestampMs i = 0; i < total; ++i) {
    const bool fits = i < static_cast<TimestampMs>(Channel::kCapacity);
    EXPECT_EQ(channel.push(Element::of_watermark(i)), fits);
  }
  std::vector<TimestampMs> seen;
  while (true) {
    for (const Element& element : channels.take_all(0)) {
      seen.push_back(element.watermark);
    }
    if (channel.drain_overflow() == 0) {
      break;
    }
  }
  ASSERT_EQ(seen.size(), static_cast<std::size_t>(total));
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
}

TEST(Channel, TheConsumerLimitsTheRecordsUnderWay) {
  Channels channels(1);
  Channel& channel = channels[0];
  channel.set_rows_max(10);
  EXPECT_EQ(channel.rows_max(), 10U);
  EXPECT_TRUE(channel.push(Element::of(rows(0, 50)))) << "one batch may always be under way";
  EXPECT_TRUE(channel.push(Element::of_watermark(1)));
  EXPECT_FALSE(channel.push(Element::of(rows(50, 1))));
  Element element;
  ASSERT_TRUE(channel.try_pop(element));
  EXPECT_EQ(channel.drain_overflow(), 1U);
  EXPECT_TRUE(channel.push(Element::of(rows(51, 9))));
  EXPECT_FALSE(channel.push(Element::of(rows(60, 1))));
  std::vector<std::int64_t> numbers = channels.take_numbers(0);
  EXPECT_EQ(channel.drain_overflow(), 1U);
  const std::vector<std::int64_t> last = channels.take_numbers(0);
  numbers.insert(numbers.end(), last.begin(), last.end());
  EXPECT_EQ(numbers, (std::vector<std::int64_t>{50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60}));
}

TEST(Channel, AnAnnouncedBarrierShowsEverythingAheadOfItAndNothingBehind) {
  Channels channels(1);
  Channel& channel = channels[0];
  EXPECT_FALSE(channel.take_announcement().has_value());
  for (std::size_t i = 0; i < Channel::kCapacity + 2; ++i) {  // two of them in the overflow
    channel.push(Element::of(rows(static_cast<std::int64_t>(i), 1)));
  }
  Barrier barrier;
  barrier.checkpoint = 7;
  barrier.can_overtake = true;
  channel.push(Element::of_barrier(barrier));
  channel.announce(barrier);
  channel.push(Element::of(rows(99, 1)));
  const auto announced = channel.take_announcement();
  ASSERT_TRUE(announced.has_value());
  EXPECT_EQ(announced->checkpoint, 7);
  EXPECT_FALSE(channel.take_announcement().has_value()) << "told once";
  std::vector<std::int64_t> ahead;
  EXPECT_TRUE(channel.visit_ahead_of(
      7, [&](const Element& element) { ahead.push_back(numbers_of(*element.batch).front()); }));
  ASSERT_EQ(ahead.size(), Channel::kCapacity + 2);
  EXPECT_EQ(ahead.back(), static_cast<std::int64_t>(Channel::kCapacity + 1));
  EXPECT_FALSE(channel.visit_ahead_of(8, [](const Element&) {}));
}

TEST(WakeSignal, ASleeperIsWokenBeforeItsTime) {
  WakeSignal signal;
  std::atomic<bool> is_awake{false};
  std::thread sleeper([&] {
    signal.sleep(std::chrono::minutes(10));
    is_awake = true;
  });
  while (!is_awake) {
    signal.wake();
    std::this_thread::yield();
  }
  sleeper.join();
}

}  // namespace
}  // namespace weir::runtime::test
