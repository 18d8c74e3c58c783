#include "generator/rate_limiter.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace weir::generator {
namespace {

constexpr double kNanosPerSecond = 1e9;
/// A bucket holds what falls due in this time: a longer pause is not made up for.
constexpr double kBurstSeconds = 0.1;
constexpr std::int64_t kWaitMinNs = 1'000'000;
constexpr std::int64_t kWaitMaxNs = 1'000'000'000;

}  // namespace

void TokenBucket::set_rate(double per_second, std::int64_t now_ns) {
  refill(now_ns);
  per_second_ = per_second;
}

void TokenBucket::refill(std::int64_t now_ns) {
  if (filled_at_ns_ != 0) {
    const double seconds = static_cast<double>(now_ns - filled_at_ns_) / kNanosPerSecond;
    // At least one token fits, or a rate below ten per second would never let one through.
    const double capacity = std::max(1.0, per_second_ * kBurstSeconds);
    tokens_ = std::min(capacity, tokens_ + seconds * per_second_);
  }
  filled_at_ns_ = now_ns;
}

std::size_t TokenBucket::take(std::size_t wanted, std::int64_t now_ns) {
  refill(now_ns);
  const auto taken = std::min(wanted, static_cast<std::size_t>(tokens_));
  tokens_ -= static_cast<double>(taken);
  return taken;
}

std::int64_t TokenBucket::wait_ns(std::int64_t now_ns) const {
  const double missing = 1.0 - tokens_;
  if (per_second_ <= 0 || missing <= 0) {
    return kWaitMinNs;
  }
  const double nanos =
      missing / per_second_ * kNanosPerSecond - static_cast<double>(now_ns - filled_at_ns_);
  return static_cast<std::int64_t>(
      std::clamp(nanos, static_cast<double>(kWaitMinNs), static_cast<double>(kWaitMaxNs)));
}

RateLimiter::RateLimiter(std::function<void()> wake)
    : wake_(std::move(wake)), thread_([this] { run(); }) {}

void RateLimiter::set_rate(double per_second) {
  bucket_.set_rate(per_second, system_clock().monotonic_ns());
}

std::size_t RateLimiter::take(std::size_t wanted) {
  const std::int64_t now_ns = system_clock().monotonic_ns();
  const std::size_t taken = bucket_.take(wanted, now_ns);
  if (taken == 0) {
    const std::lock_guard lock(mutex_);
    wake_after_ns_ = bucket_.wait_ns(now_ns);
    is_armed_ = true;
    changed_.notify_one();
  }
  return taken;
}

void RateLimiter::run() {
  std::unique_lock lock(mutex_);
  while (!is_stopping_) {
    changed_.wait(lock, [this] { return is_armed_ || is_stopping_; });
    if (is_stopping_) {
      return;
    }
    changed_.wait_for(lock, std::chrono::nanoseconds(wake_after_ns_),
                      [this] { return is_stopping_; });
    is_armed_ = false;
    if (!is_stopping_ && wake_ != nullptr) {
      // Without the lock: the task may be in take() when it is woken.
      lock.unlock();
      wake_();
      lock.lock();
    }
  }
}

void RateLimiter::stop() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) {
    thread_.join();
  }
}

}  // namespace weir::generator
