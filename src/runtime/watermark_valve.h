#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "weir/time.h"

namespace weir::runtime {

/// Combines the watermarks of several inputs into one (Flink's StatusWatermarkValve). Pure.
///
/// The output is the minimum over the inputs that are active and aligned. An idle input, and one
/// that is back from idle and has not caught up with the output yet, does not take part. When all
/// inputs become idle, the maximum is emitted first. An input that has ended takes no part at all,
/// so that the final watermark waits for the end of every input, idle ones too (J4).
class WatermarkValve {
 public:
  struct Change {
    std::optional<TimestampMs> watermark;  ///< rose to this
    std::optional<bool> is_idle;           ///< the combined input became idle or active
  };

  explicit WatermarkValve(std::size_t input_count);

  /// kMaxTimestamp means on_end().
  Change on_watermark(std::size_t input, TimestampMs watermark);
  Change on_idle(std::size_t input);
  Change on_active(std::size_t input);
  /// The input has ended and holds nothing back any more.
  Change on_end(std::size_t input);

  TimestampMs current() const { return current_; }
  /// What the input has come to; kMaxTimestamp when it has ended.
  TimestampMs watermark_of(std::size_t input) const {
    return inputs_[input].has_ended ? kMaxTimestamp : inputs_[input].watermark;
  }
  bool is_idle(std::size_t input) const { return inputs_[input].is_idle; }

 private:
  struct Input {
    TimestampMs watermark = kMinTimestamp;
    bool is_idle = false;
    bool is_aligned = true;
    bool has_ended = false;
  };

  Change update();
  void raise(TimestampMs watermark, Change& change);

  std::vector<Input> inputs_;
  TimestampMs current_ = kMinTimestamp;
  bool is_idle_ = false;
};

}  // namespace weir::runtime
