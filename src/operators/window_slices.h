#pragma once

#include <numeric>

#include "weir/time.h"
#include "weir/window.h"

namespace weir::operators {

/// Arithmetic of sliced windows: event time is cut into slices such that every window is a run of
/// whole slices; records are aggregated once, into their slice, and slices are merged when a
/// window fires (general stream slicing: Traub et al., EDBT 2019). Slices and windows are named by
/// their end. Pure.
class WindowSlices {
 public:
  explicit WindowSlices(const SlidingWindowSpec& spec)
      : size_(spec.size.count()),
        slide_(spec.slide.count()),
        offset_(spec.offset.count()),
        // With gaps between the windows each window is one slice.
        slice_(slide_ >= size_ ? size_ : std::gcd(size_, slide_)) {}

  TimestampMs window_size() const { return size_; }
  TimestampMs slice_size() const { return slice_; }
  bool is_single_slice() const { return slice_ == size_; }

  static constexpr TimestampMs kNoSlice = kMinTimestamp;

  /// End of the slice that `time` belongs to, or kNoSlice if it falls between the windows.
  TimestampMs slice_end(TimestampMs time) const {
    const TimestampMs grid = slide_ >= size_ ? slide_ : slice_;
    const TimestampMs start = time - floor_mod(time - offset_, grid);
    return time < start + slice_ ? start + slice_ : kNoSlice;
  }
  /// End of the earliest and of the latest window that contains the slice; the others lie between
  /// them, `slide` apart.
  TimestampMs last_window_end(TimestampMs slice_end) const {
    const TimestampMs slice_start = slice_end - slice_;
    return slice_start - floor_mod(slice_start - offset_, slide_) + size_;
  }
  TimestampMs first_window_end(TimestampMs slice_end) const {
    const TimestampMs last = last_window_end(slice_end);
    return last - (last - slice_end) / slide_ * slide_;
  }
  TimestampMs slide() const { return slide_; }
  TimeWindow window(TimestampMs window_end) const { return {window_end - size_, window_end}; }

 private:
  static TimestampMs floor_mod(TimestampMs value, TimestampMs modulus) {
    const TimestampMs remainder = value % modulus;
    return remainder < 0 ? remainder + modulus : remainder;
  }

  TimestampMs size_;
  TimestampMs slide_;
  TimestampMs offset_;
  TimestampMs slice_;
};

}  // namespace weir::operators
