#include "kafka/handle_poller.h"

#include <chrono>

#include "kafka/producer_handle.h"

namespace weir::kafka {
namespace {

constexpr std::chrono::milliseconds kPollInterval(100);

}  // namespace

HandlePoller& HandlePoller::instance() {
  static HandlePoller poller;
  return poller;
}

HandlePoller::~HandlePoller() {
  {
    const std::scoped_lock lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) {
    thread_.join();
  }
}

void HandlePoller::add(std::weak_ptr<ProducerHandle> handle) {
  const std::scoped_lock lock(mutex_);
  handles_.push_back(std::move(handle));
  if (!thread_.joinable()) {
    thread_ = std::thread([this] { run(); });
  }
  changed_.notify_all();
}

std::vector<std::shared_ptr<ProducerHandle>> HandlePoller::living() {
  std::vector<std::shared_ptr<ProducerHandle>> found;
  std::erase_if(handles_, [&](const std::weak_ptr<ProducerHandle>& handle) {
    auto alive = handle.lock();
    if (alive == nullptr) {
      return true;
    }
    found.push_back(std::move(alive));
    return false;
  });
  return found;
}

void HandlePoller::run() {
  std::unique_lock lock(mutex_);
  while (!is_stopping_) {
    changed_.wait(lock, [this] { return is_stopping_ || !handles_.empty(); });
    auto handles = living();
    lock.unlock();
    for (const auto& handle : handles) {
      handle->poll();
    }
    handles.clear();  // may destroy a handle that was given up meanwhile: not under the lock
    lock.lock();
    changed_.wait_for(lock, kPollInterval, [this] { return is_stopping_; });
  }
}

}  // namespace weir::kafka
