#pragma once

#include <string>

#include "weir/time.h"

namespace weir {

/// Event times start <= t < end.
struct TimeWindow {
  TimestampMs start = 0;
  TimestampMs end = 0;
  /// The last event time that belongs to the window; results carry it as their timestamp.
  TimestampMs max_timestamp() const { return end - 1; }
  friend bool operator==(const TimeWindow&, const TimeWindow&) = default;
};

/// Windows of one size that start every `slide`. Tumbling windows have slide = size.
struct SlidingWindowSpec {
  DurationMs size{0};
  DurationMs slide{0};
  DurationMs offset{0};
};

/// What is wrong with the windows; empty when nothing is.
std::string problem_of(const SlidingWindowSpec& windows, DurationMs allowed_lateness);

/// Flink's TumblingEventTimeWindows.
class TumblingEventTimeWindows {
 public:
  /// REQUIRES: size > 0, |offset| < size.
  static TumblingEventTimeWindows of(DurationMs size, DurationMs offset = DurationMs(0)) {
    return TumblingEventTimeWindows({size, size, offset});
  }
  const SlidingWindowSpec& spec() const { return spec_; }

 private:
  explicit TumblingEventTimeWindows(SlidingWindowSpec spec) : spec_(spec) {}
  SlidingWindowSpec spec_;
};

/// Flink's SlidingEventTimeWindows. A slide greater than the size leaves gaps.
class SlidingEventTimeWindows {
 public:
  /// REQUIRES: size > 0, slide > 0, |offset| < slide.
  static SlidingEventTimeWindows of(DurationMs size, DurationMs slide,
                                    DurationMs offset = DurationMs(0)) {
    return SlidingEventTimeWindows({size, slide, offset});
  }
  const SlidingWindowSpec& spec() const { return spec_; }

 private:
  explicit SlidingEventTimeWindows(SlidingWindowSpec spec) : spec_(spec) {}
  SlidingWindowSpec spec_;
};

}  // namespace weir
