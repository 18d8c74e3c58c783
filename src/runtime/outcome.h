#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "weir/result.h"

namespace weir::runtime {

/// The result of work on an I/O thread, for the task that waits for it without blocking.
template <class T>
class Outcome {
 public:
  /// On any thread, once.
  void set(Result<T> result) {
    const std::lock_guard lock(mutex_);
    result_.emplace(std::move(result));
  }
  /// The result, if it is there; once.
  std::optional<Result<T>> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(result_, std::nullopt);
  }

 private:
  std::mutex mutex_;
  std::optional<Result<T>> result_;
};

/// For work that reports its end by a call: keeps the result and wakes the task.
template <class T>
std::function<void(Result<T>)> set_and_wake(std::shared_ptr<Outcome<T>> outcome,
                                            std::function<void()> wake) {
  return [outcome = std::move(outcome), wake = std::move(wake)](Result<T> result) {
    outcome->set(std::move(result));
    wake();
  };
}

}  // namespace weir::runtime
