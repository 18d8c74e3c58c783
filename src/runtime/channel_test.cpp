#include "runtime/channel.h"

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
