#include "base/clock.h"

#include <atomic>
#include <chrono>

namespace weir {
namespace {

class SystemClock final : public Clock {
 public:
  TimestampMs wall_ms() override {
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
                         std::chrono::system_clock::now().time_since_epoch())
                         .count();
    std::int64_t seen = latest_ms_.load(std::memory_order_relaxed);
    while (now > seen && !latest_ms_.compare_exchange_weak(seen, now, std::memory_order_relaxed)) {
    }
    return now > seen ? now : seen;
  }
  std::int64_t monotonic_ns() override {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }

 private:
  std::atomic<std::int64_t> latest_ms_{0};
};

}  // namespace

Clock& system_clock() {
  static SystemClock clock;
  return clock;
}

}  // namespace weir
