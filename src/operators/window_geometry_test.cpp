#include "operators/window_geometry.h"

#include <random>
#include <set>

#include <gtest/gtest.h>

#include "operators/window_slices.h"

namespace weir::operators {
namespace {

SlidingWindowSpec windows(std::int64_t size, std::int64_t slide, std::int64_t offset = 0) {
  return {DurationMs(size), DurationMs(slide), DurationMs(offset)};
}

TEST(WindowGeometry, TheSameWindowsAreTakenOver) {
  EXPECT_TRUE(can_take_over(windows(10, 10), windows(10, 10)));
  EXPECT_TRUE(can_take_over(windows(10, 10, -3), windows(10, 10, 7))) << "the same windows";
  EXPECT_TRUE(can_take_over(windows(3, 10, 1), windows(3, 10, -9))) << "with gaps";
}

TEST(WindowGeometry, WindowsThatAreShorterByWholeSlidesAreTakenOver) {
  EXPECT_TRUE(can_take_over(windows(60, 10), windows(20, 10)));
  EXPECT_TRUE(can_take_over(windows(60, 10), windows(10, 10)));
  EXPECT_TRUE(can_take_over(windows(25, 10, 3), windows(15, 10, -7)));
}

TEST(WindowGeometry, AnythingElseIsNot) {
  EXPECT_FALSE(can_take_over(windows(10, 10), windows(15, 15)));
  EXPECT_FALSE(can_take_over(windows(10, 10), windows(5, 5)));
  EXPECT_FALSE(can_take_over(windows(10, 10), windows(20, 20)));
  EXPECT_FALSE(can_take_over(windows(10, 10), windows(10, 5)));
  EXPECT_FALSE(can_take_over(windows(10, 10), windows(10, 10, 5)));
  EXPECT_FALSE(can_take_over(windows(20, 10), windows(60, 10))) << "slices were dropped already";
  EXPECT_FALSE(can_take_over(windows(60, 10), windows(25, 10))) << "cut into other slices";
  EXPECT_FALSE(can_take_over(windows(15, 10), windows(5, 10))) << "gaps";
}

// What "can take over" means, from the slices themselves.
TEST(WindowGeometry, WindowsThatAreTakenOverAreMadeOfSlicesThatWereKept) {
  std::mt19937_64 random(1);
  int taken_over = 0;
  for (int i = 0; i < 200'000; ++i) {
    const auto pick = [&](std::int64_t bound) {
      return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(bound));
    };
    const std::int64_t slide = 1 + pick(6);
    const SlidingWindowSpec stored = windows(1 + pick(24), slide, pick(slide));
    const SlidingWindowSpec present = windows(1 + pick(24), slide, pick(slide));
    if (!can_take_over(stored, present)) {
      continue;
    }
    ++taken_over;
    const WindowSlices before(stored);
    const WindowSlices now(present);
    ASSERT_EQ(before.slice_size(), now.slice_size());
    for (TimestampMs time = 0; time < 60; ++time) {
      const TimestampMs slice = before.slice_end(time);
      ASSERT_EQ(slice, now.slice_end(time)) << describe(stored) << " to " << describe(present);
      if (slice != WindowSlices::kNoSlice) {
        ASSERT_LE(now.last_window_end(slice), before.last_window_end(slice));
        ASSERT_EQ(now.first_window_end(slice), before.first_window_end(slice));
      }
    }
  }
  EXPECT_GT(taken_over, 5'000);
}

TEST(WindowGeometry, IsStoredAsThreeNumbersOfMilliseconds) {
  const std::string item = encode_geometry(windows(258, 1, -2));
  EXPECT_EQ(item, std::string("\x02\x01\0\0\0\0\0\0"
                              "\x01\0\0\0\0\0\0\0"
                              "\xfe\xff\xff\xff\xff\xff\xff\xff",
                              24));
}

TEST(WindowGeometry, ARefusalNamesBothAndTheMend) {
  const std::string item = encode_geometry(windows(60'000, 10'000, 500));
  EXPECT_TRUE(check_geometry({}, windows(5, 5)).ok());
  EXPECT_TRUE(check_geometry({item, item}, windows(60'000, 10'000, 500)).ok());
  const Status refused = check_geometry({item, item}, windows(5'000, 5'000));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  for (const char* part :
       {"sliding windows of 60000 ms every 10000 ms, offset by 500 ms",
        "the job has tumbling windows of 5000 ms", "another uid", "stop with --drain"}) {
    EXPECT_NE(refused.error().message.find(part), std::string::npos) << refused.error().message;
  }
}

TEST(WindowGeometry, MalformedItemsAreCorruption) {
  const std::string good = encode_geometry(windows(10, 10));
  for (const std::string& item :
       {std::string(), good.substr(1), good + "x", encode_geometry(windows(0, 10)),
        encode_geometry(windows(10, 10, 10))}) {
    const Status status = check_geometry({item}, windows(10, 10));
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::kCorruption);
  }
}

}  // namespace
}  // namespace weir::operators
