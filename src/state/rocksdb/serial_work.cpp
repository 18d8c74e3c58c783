#include "state/rocksdb/serial_work.h"

#include <utility>

namespace weir::state {

void SerialWork::add(std::function<void()> job) {
  {
    const std::lock_guard lock(mutex_);
    if (is_closed_) {
      return;
    }
    queue_.push_back(std::move(job));
  }
  run_([self = shared_from_this()] {
    std::unique_lock lock(self->mutex_);
    if (!self->is_running_ && !self->queue_.empty()) {
      self->is_running_ = true;
      self->drain(lock);
    }
  });
}

void SerialWork::drain(std::unique_lock<std::mutex>& lock) {
  while (!queue_.empty()) {
    std::function<void()> job = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    job();
    job = nullptr;
    lock.lock();
  }
  is_running_ = false;
  is_idle_.notify_all();
}

void SerialWork::wait() {
  std::unique_lock lock(mutex_);
  is_idle_.wait(lock, [this] { return !is_running_; });
  if (!queue_.empty()) {
    is_running_ = true;
    drain(lock);
  }
}

void SerialWork::close() {
  {
    const std::lock_guard lock(mutex_);
    is_closed_ = true;
  }
  wait();
}

}  // namespace weir::state
