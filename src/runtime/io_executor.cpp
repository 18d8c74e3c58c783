#include "runtime/io_executor.h"

#include <utility>

namespace weir::runtime {

IoExecutor::IoExecutor(int threads) {
  threads_.reserve(static_cast<std::size_t>(threads));
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { loop(); });
  }
}

IoExecutor::~IoExecutor() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  has_work_.notify_all();
  for (std::thread& thread : threads_) {
    thread.join();
  }
}

void IoExecutor::run(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(work));
  }
  has_work_.notify_one();
}

void IoExecutor::wait_idle() {
  std::unique_lock lock(mutex_);
  is_idle_.wait(lock, [this] { return queue_.empty() && running_ == 0; });
}

void IoExecutor::loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    has_work_.wait(lock, [this] { return is_stopping_ || !queue_.empty(); });
    if (queue_.empty()) {
      return;
    }
    std::function<void()> work = std::move(queue_.front());
    queue_.pop_front();
    ++running_;
    lock.unlock();
    work();
    work = nullptr;  // what it captured may have a destructor that takes its time
    lock.lock();
    --running_;
    if (queue_.empty() && running_ == 0) {
      is_idle_.notify_all();
    }
  }
}

void Strand::run(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  queue_.push_back(std::move(work));
  if (!is_running_) {
    is_running_ = true;
    executor_.run([self = shared_from_this()] { self->drain(); });
  }
}

void Strand::drain() {
  std::unique_lock lock(mutex_);
  std::function<void()> work = std::move(queue_.front());
  queue_.pop_front();
  lock.unlock();
  work();
  work = nullptr;
  lock.lock();
  if (queue_.empty()) {
    is_running_ = false;
    return;
  }
  // Behind what others have queued up: a strand that never runs dry must not keep a thread.
  executor_.run([self = shared_from_this()] { self->drain(); });
}

}  // namespace weir::runtime
