#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace weir::runtime {

/// Threads for what must block: uploads, commits, discovery. Work starts in the order given.
class IoExecutor {
 public:
  explicit IoExecutor(int threads);
  /// Waits until all work given so far is done.
  ~IoExecutor();
  IoExecutor(const IoExecutor&) = delete;
  IoExecutor& operator=(const IoExecutor&) = delete;

  void run(std::function<void()> work);
  /// Returns when nothing is queued or running.
  void wait_idle();

 private:
  void loop();

  std::mutex mutex_;
  std::condition_variable has_work_;
  std::condition_variable is_idle_;
  std::deque<std::function<void()>> queue_;
  int running_ = 0;
  bool is_stopping_ = false;
  std::vector<std::thread> threads_;
};

/// Runs work on an executor one piece at a time, in order: for objects that one thread at a time
/// may use. The executor must outlive the work.
class Strand : public std::enable_shared_from_this<Strand> {
 public:
  explicit Strand(IoExecutor& executor) : executor_(executor) {}
  void run(std::function<void()> work);

 private:
  void drain();

  IoExecutor& executor_;
  std::mutex mutex_;
  std::deque<std::function<void()>> queue_;
  bool is_running_ = false;
};

}  // namespace weir::runtime
