#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

#include "base/clock.h"

namespace weir::generator {

/// A token bucket: how many records may be made now at a given rate. Pure arithmetic.
class TokenBucket {
 public:
  /// REQUIRES: times never go back.
  void set_rate(double per_second, std::int64_t now_ns);
  /// Takes up to `wanted` tokens.
  std::size_t take(std::size_t wanted, std::int64_t now_ns);
  /// From `now_ns` until a few tokens are there: short enough to be smooth, long enough not to
  /// spin.
  std::int64_t wait_ns(std::int64_t now_ns) const;

 private:
  void refill(std::int64_t now_ns);

  double per_second_ = 0;
  double tokens_ = 0;
  std::int64_t filled_at_ns_ = 0;
};

/// Limits the rate of one reader and wakes its task when the next records are due, by a thread of
/// its own. Used by the task's thread.
class RateLimiter {
 public:
  explicit RateLimiter(std::function<void()> wake);
  ~RateLimiter() { stop(); }
  RateLimiter(const RateLimiter&) = delete;
  RateLimiter& operator=(const RateLimiter&) = delete;

  void set_rate(double per_second);
  /// How many of `wanted` records may be made now. After 0 the task is woken when it is worth while
  /// to ask again.
  std::size_t take(std::size_t wanted);
  /// No wake-up comes after this.
  void stop();

 private:
  void run();

  std::function<void()> wake_;
  TokenBucket bucket_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_armed_ = false;
  bool is_stopping_ = false;
  std::int64_t wake_after_ns_ = 0;
  std::thread thread_;
};

}  // namespace weir::generator
