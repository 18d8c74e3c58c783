#include "runtime/worker_pool.h"

namespace weir::runtime {
namespace {

/// Rounds without work before a worker sleeps: a neighbour's next batch is mostly that near.
constexpr int kIdleRounds = 64;
/// Sources are polled at least this often, whether or not somebody wakes the worker.
constexpr std::chrono::microseconds kSleep{1000};

}  // namespace

WorkerPool::WorkerPool(int workers) {
  for (int i = 0; i < workers; ++i) {
    workers_.push_back(std::make_unique<Worker>());
  }
}

WorkerPool::~WorkerPool() { stop(); }

void WorkerPool::start() {
  for (const auto& worker : workers_) {
    if (!worker->tasks.empty()) {
      worker->thread = std::thread([this, &worker = *worker] { loop(worker); });
    }
  }
}

void WorkerPool::stop() {
  is_stopping_.store(true);
  for (const auto& worker : workers_) {
    worker->signal.wake();
    if (worker->thread.joinable()) {
      worker->thread.join();
    }
  }
}

void WorkerPool::loop(Worker& worker) {
  int idle_rounds = 0;
  while (!is_stopping_.load(std::memory_order_relaxed)) {
    bool did_something = false;
    for (Task* task : worker.tasks) {
      did_something |= task->step() == Task::Progress::kProgress;
    }
    if (did_something) {
      idle_rounds = 0;
    } else if (++idle_rounds >= kIdleRounds) {
      worker.signal.sleep(kSleep);
      idle_rounds = kIdleRounds / 2;
    }
  }
}

}  // namespace weir::runtime
