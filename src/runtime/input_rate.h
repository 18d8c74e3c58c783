#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace weir::runtime {

/// How many records a task gets through, and with that how many may be queued for it: about
/// kTargetNs of work (what Flink calls buffer debloating). Time in which the task had no input does
/// not count; time in which it was held up by those behind it does.
class InputRate {
 public:
  static constexpr std::int64_t kTargetNs = 50'000'000;
  static constexpr std::int64_t kWindowNs = 20'000'000;

  /// Once per step, with what the step before did. True when rows_queued_max() has changed.
  bool on_step(std::int64_t now_ns, std::size_t rows_taken, bool was_starved) {
    const std::int64_t elapsed_ns = last_ns_ == 0 ? 0 : now_ns - last_ns_;
    last_ns_ = now_ns;
    if (was_starved) {
      return false;
    }
    active_ns_ += elapsed_ns;
    rows_ += rows_taken;
    if (active_ns_ < kWindowNs) {
      return false;
    }
    const double rows = static_cast<double>(rows_) * static_cast<double>(kTargetNs) /
                        static_cast<double>(active_ns_);
    average_ = average_ < 0 ? rows : 0.5 * average_ + 0.5 * rows;
    active_ns_ = 0;
    rows_ = 0;
    return true;
  }
  /// Records per kTargetNs; at least 1.
  std::size_t rows_queued_max() const {
    return average_ < 0 ? std::numeric_limits<std::size_t>::max()
                        : std::max<std::size_t>(1, static_cast<std::size_t>(average_));
  }

 private:
  std::int64_t last_ns_ = 0;
  std::int64_t active_ns_ = 0;
  std::uint64_t rows_ = 0;
  double average_ = -1;
};

}  // namespace weir::runtime
