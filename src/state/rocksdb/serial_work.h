#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

namespace weir::state {

/// Jobs that are done one after the other on I/O threads. Thread-safe.
class SerialWork : public std::enable_shared_from_this<SerialWork> {
 public:
  /// `run` executes a job on some I/O thread, soon.
  using Run = std::function<void(std::function<void()> job)>;
  explicit SerialWork(Run run) : run_(std::move(run)) {}

  void add(std::function<void()> job);
  /// Returns when everything added so far is done; what no thread has begun is done here.
  void wait();
  /// As wait(); what is added later is dropped.
  void close();

 private:
  /// Does what is queued. REQUIRES: is_running_ was set by the caller, who holds `lock`.
  void drain(std::unique_lock<std::mutex>& lock);

  const Run run_;
  std::mutex mutex_;
  std::condition_variable is_idle_;
  std::deque<std::function<void()>> queue_;
  bool is_running_ = false;
  bool is_closed_ = false;
};

}  // namespace weir::state
