#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>

namespace weir::runtime {

/// Work for the job's own thread: tasks and I/O threads post, one thread runs it in order.
class JobInbox {
 public:
  void post(std::function<void()> work) {
    {
      const std::lock_guard lock(mutex_);
      if (is_closed_) {
        return;
      }
      queue_.push_back(std::move(work));
    }
    has_work_.notify_one();
  }
  /// Runs what is there, or waits up to `at_most` for something and runs that.
  void run(std::chrono::milliseconds at_most) {
    std::unique_lock lock(mutex_);
    has_work_.wait_for(lock, at_most, [this] { return !queue_.empty(); });
    while (!queue_.empty()) {
      std::function<void()> work = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      work();
      lock.lock();
    }
  }
  /// What is there and what comes is dropped.
  void close() {
    const std::lock_guard lock(mutex_);
    is_closed_ = true;
    queue_.clear();
  }

 private:
  std::mutex mutex_;
  std::condition_variable has_work_;
  std::deque<std::function<void()>> queue_;
  bool is_closed_ = false;
};

}  // namespace weir::runtime
