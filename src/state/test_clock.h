#pragma once

#include <atomic>

#include "base/clock.h"

namespace weir::state::test {

/// A clock that stands still until it is moved, for state that other threads look at, too.
class TestClock final : public Clock {
 public:
  TimestampMs wall_ms() override { return ms_; }
  std::int64_t monotonic_ns() override { return ms_ * 1'000'000; }
  void advance_ms(std::int64_t ms) { ms_ += ms; }

 private:
  std::atomic<TimestampMs> ms_{0};
};

}  // namespace weir::state::test
