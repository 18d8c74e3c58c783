#pragma once

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "runtime/task.h"
#include "runtime/wake_signal.h"

namespace weir::runtime {

/// Threads that step tasks, one thread per core. Each task stays with one worker.
class WorkerPool {
 public:
  explicit WorkerPool(int workers);
  ~WorkerPool();  ///< stop()

  int size() const { return static_cast<int>(workers_.size()); }
  WakeSignal& signal(int worker) { return workers_[static_cast<std::size_t>(worker)]->signal; }
  /// REQUIRES: before start().
  void add(int worker, Task* task) {
    workers_[static_cast<std::size_t>(worker)]->tasks.push_back(task);
  }
  void start();
  /// Returns when no task is being stepped any more.
  void stop();

 private:
  struct Worker {
    WakeSignal signal;
    std::vector<Task*> tasks;
    std::thread thread;
  };

  void loop(Worker& worker);

  std::vector<std::unique_ptr<Worker>> workers_;
  std::atomic<bool> is_stopping_{false};
};

}  // namespace weir::runtime
