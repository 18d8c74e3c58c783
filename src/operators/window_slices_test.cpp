#include "operators/window_slices.h"

#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace weir::operators {
namespace {

SlidingWindowSpec windows(std::int64_t size, std::int64_t slide, std::int64_t offset = 0) {
  return {DurationMs(size), DurationMs(slide), DurationMs(offset)};
}

/// Flink's rule by search: every start on the slide grid with start <= t < start + size.
std::set<TimestampMs> window_ends_of(const SlidingWindowSpec& spec, TimestampMs time) {
  std::set<TimestampMs> ends;
  for (TimestampMs start = time - spec.size.count() + 1; start <= time; ++start) {
    if ((start - spec.offset.count()) % spec.slide.count() == 0) {
      ends.insert(start + spec.size.count());
    }
  }
  return ends;
}

std::set<TimestampMs> window_ends_of(const WindowSlices& slices, TimestampMs slice_end) {
  std::set<TimestampMs> ends;
  for (TimestampMs end = slices.first_window_end(slice_end);
       end <= slices.last_window_end(slice_end); end += slices.slide()) {
    ends.insert(end);
  }
  return ends;
}

TEST(WindowSlices, EveryTimeBelongsToTheWindowsOfFlinksFormula) {
  const std::vector<SlidingWindowSpec> specs = {
      windows(10, 10),   windows(10, 10, 3), windows(10, 10, -7), windows(10, 5), windows(10, 3),
      windows(10, 4),    windows(12, 8, 5),  windows(7, 1),       windows(1, 1),  windows(3, 10),
      windows(3, 10, 9), windows(6, 4, -3),  windows(5, 7, -6)};
  for (const SlidingWindowSpec& spec : specs) {
    const WindowSlices slices(spec);
    for (TimestampMs time = -50; time <= 50; ++time) {
      const std::set<TimestampMs> expected = window_ends_of(spec, time);
      const TimestampMs slice = slices.slice_end(time);
      if (slice == WindowSlices::kNoSlice) {
        ASSERT_TRUE(expected.empty()) << time;
        continue;
      }
      ASSERT_LT(time, slice);
      ASSERT_GE(time, slice - slices.slice_size());
      ASSERT_EQ(window_ends_of(slices, slice), expected)
          << "size " << spec.size.count() << " slide " << spec.slide.count() << " offset "
          << spec.offset.count() << " time " << time;
      for (const TimestampMs end : expected) {
        // The window is a run of whole slices, and this slice is one of them.
        ASSERT_EQ((end - slice) % slices.slice_size(), 0);
        ASSERT_EQ(slices.window(end), (TimeWindow{end - spec.size.count(), end}));
      }
    }
  }
}

TEST(WindowSlices, ASliceIsTheGreatestCommonDivisorOfSizeAndSlide) {
  EXPECT_EQ(WindowSlices(windows(60'000, 25'000)).slice_size(), 5'000);
  EXPECT_EQ(WindowSlices(windows(60'000, 60'000)).slice_size(), 60'000);
  EXPECT_TRUE(WindowSlices(windows(10, 30)).is_single_slice());
  EXPECT_FALSE(WindowSlices(windows(10, 5)).is_single_slice());
}

TEST(WindowSlices, GapsBetweenWindowsBelongToNone) {
  const WindowSlices slices(windows(3, 10));
  EXPECT_EQ(slices.slice_end(2), 3);
  EXPECT_EQ(slices.slice_end(3), WindowSlices::kNoSlice);
  EXPECT_EQ(slices.slice_end(-8), -7);
  EXPECT_EQ(slices.slice_end(-1), WindowSlices::kNoSlice);
}

TEST(WindowSpec, SaysWhatIsWrongWithTheWindows) {
  EXPECT_EQ(problem_of(windows(10, 5), DurationMs(0)), "");
  EXPECT_EQ(problem_of(windows(10, 10, -9), DurationMs(5)), "");
  EXPECT_NE(problem_of(windows(0, 5), DurationMs(0)), "");
  EXPECT_NE(problem_of(windows(10, 0), DurationMs(0)), "");
  EXPECT_NE(problem_of(windows(10, -1), DurationMs(0)), "");
  EXPECT_NE(problem_of(windows(10, 5, 5), DurationMs(0)), "");
  EXPECT_NE(problem_of(windows(10, 5, -5), DurationMs(0)), "");
  EXPECT_NE(problem_of(windows(10, 10), DurationMs(-1)), "");
  EXPECT_NE(problem_of(windows(20'000'001, 1), DurationMs(0)), "");
}

}  // namespace
}  // namespace weir::operators
