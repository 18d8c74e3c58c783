#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

namespace weir::runtime {

/// Lets a worker sleep until somebody has work for it. A wake-up may be missed in a race with
/// falling asleep; sleeps are therefore short.
class WakeSignal {
 public:
  /// Any thread. Costs one load while the worker is awake.
  void wake() {
    if (is_sleeping_.load(std::memory_order_acquire)) {
      const std::lock_guard lock(mutex_);
      is_woken_ = true;
      condition_.notify_one();
    }
  }
  /// The worker itself.
  void sleep(std::chrono::microseconds at_most) {
    std::unique_lock lock(mutex_);
    is_sleeping_.store(true, std::memory_order_seq_cst);
    condition_.wait_for(lock, at_most, [this] { return is_woken_; });
    is_woken_ = false;
    is_sleeping_.store(false, std::memory_order_relaxed);
  }

 private:
  std::atomic<bool> is_sleeping_{false};
  std::mutex mutex_;
  std::condition_variable condition_;
  bool is_woken_ = false;
};

}  // namespace weir::runtime
