#pragma once

#include "weir/time.h"

namespace weir {

/// Time as a parameter: the simulator and tests bring their own.
class Clock {
 public:
  virtual ~Clock() = default;
  /// Milliseconds since the Unix epoch. Never goes back within a process.
  virtual TimestampMs wall_ms() = 0;
  /// Nanoseconds of a monotonic clock with an arbitrary origin; timeouts are measured with it.
  virtual std::int64_t monotonic_ns() = 0;
};

/// The machine's clocks. A step back of the wall clock is held until real time catches up.
Clock& system_clock();

/// A clock that stands still until it is moved.
class ManualClock final : public Clock {
 public:
  TimestampMs wall_ms() override { return wall_ms_; }
  std::int64_t monotonic_ns() override { return monotonic_ns_; }
  void advance_ms(std::int64_t ms) {
    wall_ms_ += ms;
    monotonic_ns_ += ms * 1'000'000;
  }

 private:
  TimestampMs wall_ms_ = 0;
  std::int64_t monotonic_ns_ = 0;
};

}  // namespace weir
