#include "state/rocksdb/parallel_work.h"

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>

namespace weir::state {
namespace {

class Work {
 public:
  Work(std::size_t count, const std::function<Status(std::size_t index)>& job)
      : count_(count), job_(job) {}

  void take_part() {
    std::unique_lock lock(mutex_);
    ++at_work_;
    while (next_ < count_ && failure_.ok()) {
      const std::size_t index = next_++;
      lock.unlock();
      Status status = job_(index);
      lock.lock();
      if (!status.ok() && failure_.ok()) {
        failure_ = std::move(status);
      }
    }
    --at_work_;
    is_idle_.notify_all();
  }
  /// Whoever comes later finds nothing to do. `job` is not needed any more.
  Status finish() {
    std::unique_lock lock(mutex_);
    is_idle_.wait(lock, [this] { return at_work_ == 0; });
    next_ = count_;
    return failure_;
  }

 private:
  const std::size_t count_;
  const std::function<Status(std::size_t index)>& job_;
  std::mutex mutex_;
  std::condition_variable is_idle_;
  std::size_t next_ = 0;
  int at_work_ = 0;
  Status failure_;
};

}  // namespace

Status do_all(const Helpers& helpers, std::size_t count,
              const std::function<Status(std::size_t index)>& job) {
  const auto work = std::make_shared<Work>(count, job);
  if (helpers.run != nullptr && count > 1) {
    const std::size_t others =
        std::min(count - 1, static_cast<std::size_t>(std::max(helpers.threads, 1) - 1));
    for (std::size_t i = 0; i < others; ++i) {
      helpers.run([work] { work->take_part(); });
    }
  }
  work->take_part();
  return work->finish();
}

}  // namespace weir::state
