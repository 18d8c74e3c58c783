#include "kafka/transaction_pool.h"

#include <chrono>
#include <thread>

#include "base/log.h"
#include "kafka/committable.h"
#include "weir/check.h"

namespace weir::kafka {
namespace {

/// One call's share of the I/O executor; longer work queues up again behind others.
constexpr int kSliceMs = 1'000;
constexpr int kFailuresMax = 60;

}  // namespace

TransactionPool::TransactionPool(Options options, BlockingExecutor run_blocking,
                                 std::shared_ptr<Waker> waker)
    : options_(std::move(options)),
      run_blocking_(std::move(run_blocking)),
      waker_(std::move(waker)),
      slots_(static_cast<std::size_t>(options_.slot_count)) {}

void TransactionPool::start() {
  for (int slot = 0; slot < options_.slot_count; ++slot) {
    make(slot);
  }
}

void TransactionPool::run(std::function<void()> work) {
  {
    const std::scoped_lock lock(mutex_);
    ++pending_;
  }
  run_blocking_([self = shared_from_this(), work = std::move(work)] {
    work();
    const std::scoped_lock lock(self->mutex_);
    --self->pending_;
    self->idle_.notify_all();
  });
}

bool TransactionPool::wait_idle(int timeout_ms) {
  std::unique_lock lock(mutex_);
  return idle_.wait_for(lock, std::chrono::milliseconds(timeout_ms),
                        [this] { return pending_ == 0; });
}

void TransactionPool::make(int slot) {
  run([this, slot] {
    if (is_closed()) {
      return;
    }
    auto created = ProducerHandle::create(
        options_.properties, transactional_id(options_.prefix, options_.subtask, slot), waker_);
    if (!created.ok()) {
      fail(created.error());
      return;
    }
    make_step(slot, std::move(created).value());
  });
}

void TransactionPool::make_step(int slot, std::shared_ptr<ProducerHandle> handle) {
  Status initialised = handle->init_transactions(kSliceMs);
  if (!initialised.ok() && !handle->error().ok()) {
    initialised = handle->error();  // "Timed out" says less than "cannot log in".
  }
  const bool may_retry = !initialised.ok() && initialised.error().code == ErrorCode::kUnavailable;
  {
    const std::scoped_lock lock(mutex_);
    if (is_closed_) {
      return;
    }
    Slot& entry = slots_[static_cast<std::size_t>(slot)];
    if (initialised.ok()) {
      entry.handle = std::move(handle);
      entry.state = SlotState::kReady;
      entry.failures = 0;
    } else if (may_retry && ++entry.failures < kFailuresMax) {
      log().debug("{}", initialised.error().message);
    } else {
      error_ = error_.ok() ? initialised : error_;
    }
    if (!initialised.ok() && !error_.ok()) {
      handle.reset();
    }
  }
  if (initialised.ok() || handle == nullptr) {
    waker_->wake();
    return;
  }
  run([this, slot, handle] { make_step(slot, handle); });
}

TransactionPool::Taken TransactionPool::take() {
  int added = -1;
  Taken taken;
  {
    const std::scoped_lock lock(mutex_);
    bool is_any_coming = false;
    for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
      is_any_coming = is_any_coming || slots_[slot].state == SlotState::kMaking;
      if (slots_[slot].state == SlotState::kReady) {
        slots_[slot].state = SlotState::kTaken;
        taken.slot = static_cast<int>(slot);
        taken.handle = std::move(slots_[slot].handle);
        return taken;
      }
    }
    if (!is_any_coming && !is_closed_) {
      if (static_cast<int>(slots_.size()) < options_.slot_count_max) {
        added = static_cast<int>(slots_.size());
        slots_.emplace_back();
      } else if (error_.ok()) {
        error_ = Error{ErrorCode::kUnavailable,
                       "kafka: " + std::to_string(slots_.size()) +
                           " prepared transactions of prefix '" + options_.prefix +
                           "' wait for their commit; checkpoints or commits keep failing"};
      }
    }
  }
  if (added >= 0) {
    log().info("kafka: all transactional ids of {}-{} wait for a commit; adding slot {}",
               options_.prefix, options_.subtask, added);
    make(added);
  }
  return taken;
}

void TransactionPool::release(int slot) {
  {
    const std::scoped_lock lock(mutex_);
    Slot& entry = slots_[static_cast<std::size_t>(slot)];
    WEIR_CHECK(entry.state == SlotState::kTaken);
    entry.state = SlotState::kMaking;
  }
  make(slot);
}

bool TransactionPool::is_closed() const {
  const std::scoped_lock lock(mutex_);
  return is_closed_;
}

Status TransactionPool::error() const {
  const std::scoped_lock lock(mutex_);
  return error_;
}

void TransactionPool::fail(Error error) {
  {
    const std::scoped_lock lock(mutex_);
    error_ = error_.ok() ? Status(std::move(error)) : error_;
  }
  waker_->wake();
}

std::vector<std::string> TransactionPool::transactional_ids() const {
  const std::scoped_lock lock(mutex_);
  std::vector<std::string> ids;
  for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
    ids.push_back(transactional_id(options_.prefix, options_.subtask, static_cast<int>(slot)));
  }
  return ids;
}

void TransactionPool::dispose(std::shared_ptr<ProducerHandle> handle) {
  if (handle != nullptr) {
    // Not by run(): a closed pool must still get rid of its producers.
    run_blocking_([handle = std::move(handle)]() mutable { handle.reset(); });
  }
}

void TransactionPool::close() {
  std::vector<std::shared_ptr<ProducerHandle>> ready;
  {
    const std::scoped_lock lock(mutex_);
    is_closed_ = true;
    for (Slot& slot : slots_) {
      ready.push_back(std::move(slot.handle));
    }
  }
  for (auto& handle : ready) {
    dispose(std::move(handle));
  }
}

}  // namespace weir::kafka
