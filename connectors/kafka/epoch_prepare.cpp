#include "kafka/epoch_prepare.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "kafka/live_transactions.h"
#include "kafka/marker_call.h"
#include "weir/codec.h"

namespace weir::kafka {
namespace {

constexpr int kSliceMs = 500;
constexpr std::chrono::milliseconds kLogPause(2);
/// A flush without a single acknowledgement: told after the first, given up after the second. A
/// broker that is away comes back in this time, or the next attempt waits for it; a client has been
/// seen, once, to send nothing more although the broker answered everybody else.
constexpr std::chrono::seconds kSlowFlush(10);
constexpr std::chrono::seconds kStalledFlush(60);
constexpr int kMarkerTimeoutMs = 30'000;
constexpr int kAbortTimeoutMs = 700;

int ms_until(Deadline deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
                        deadline - std::chrono::steady_clock::now())
                        .count();
  return static_cast<int>(std::clamp<long long>(left, 0, 3'600'000));
}

}  // namespace

EpochPrepare::EpochPrepare(Plan plan, Epoch epoch, std::shared_ptr<TransactionPool> pool,
                           std::shared_ptr<Waker> waker)
    : plan_(std::move(plan)),
      pool_(std::move(pool)),
      waker_(std::move(waker)),
      deadline_(deadline_after_ms(plan_.timeout_ms)),
      epoch_(std::move(epoch)) {}

void EpochPrepare::start() {
  pool_->run([self = shared_from_this()] { self->run_slice(); });
}

std::optional<Result<Committable>> EpochPrepare::poll() {
  const std::scoped_lock lock(mutex_);
  return outcome_;
}

void EpochPrepare::cancel() {
  ProducerIdentity prepared;
  {
    const std::scoped_lock lock(mutex_);
    is_cancelled_ = true;
    prepared = prepared_identity_;
  }
  if (prepared.producer_id < 0) {
    return;  // The next slice sees the flag and rolls back.
  }
  // Prepared: only the manifest knows whether it will be committed, so it stays open on the broker
  // and whoever commits or aborts it does so by identity.
  const auto live = LiveTransactions::instance().find(prepared);
  LiveTransactions::instance().remove(prepared);
  if (live != nullptr && live->mutex().try_lock()) {
    live->abandon();
    live->mutex().unlock();
  }
}

bool EpochPrepare::is_cancelled() {
  const std::scoped_lock lock(mutex_);
  return is_cancelled_;
}

void EpochPrepare::complete(Result<Committable> outcome) {
  {
    const std::scoped_lock lock(mutex_);
    outcome_.emplace(std::move(outcome));
  }
  waker_->wake();
}

void EpochPrepare::run_slice() {
  for (;;) {
    if (is_cancelled()) {
      roll_back();
      return;
    }
    if (step_ == Step::kFinish) {
      complete(finish());
      return;
    }
    const Result<bool> is_done = run_step();
    if (!is_done.ok()) {
      complete(is_done.error());
      return;
    }
    if (is_done.value()) {
      step_ = static_cast<Step>(static_cast<int>(step_) + 1);
    } else if (ms_until(deadline_) == 0) {
      complete(flush_timeout());
      return;
    } else {
      start();  // The next slice queues up behind other work of the executor.
      return;
    }
  }
}

Result<bool> EpochPrepare::run_step() {
  switch (step_) {
    case Step::kWriteRest:
      return write_rest();
    case Step::kFlush:
      return flush();
    case Step::kMark:
      return mark();
    case Step::kStoreLog:
      return store_log();
    case Step::kFinish:
      break;
  }
  return true;
}

void EpochPrepare::roll_back() {
  const Status aborted = epoch_.handle->abort(kAbortTimeoutMs);
  if (!aborted.ok()) {
    log().info("{}; the next attempt aborts it", aborted.error().message);
  }
  epoch_.handle.reset();
}

Error EpochPrepare::flush_timeout() const {
  return Error{ErrorCode::kTimeout,
               "kafka: flushing checkpoint " + std::to_string(plan_.id.checkpoint) + " to topic '" +
                   plan_.topic + "' took longer than " + std::to_string(plan_.timeout_ms) +
                   " ms; " + std::to_string(epoch_.handle->outstanding()) +
                   " records are not acknowledged"};
}

Result<bool> EpochPrepare::write_rest() {
  const Deadline slice_end = deadline_after_ms(kSliceMs);
  while (epoch_.retained_begin < epoch_.retained.size()) {
    const Record& record = epoch_.retained[epoch_.retained_begin];
    WEIR_ASSIGN(const ProducerHandle::Produced produced,
                epoch_.handle->produce(record, plan_.topic, nullptr));
    if (produced == ProducerHandle::Produced::kQueueFull) {
      epoch_.handle->flush(10);
      if (std::chrono::steady_clock::now() >= slice_end) {
        return false;
      }
      continue;
    }
    ++epoch_.record_count;
    ++epoch_.retained_begin;
    if (epoch_.spool != nullptr) {
      epoch_.replay_log.append(record);
    }
  }
  if (!epoch_.replay_log.empty()) {
    epoch_.spool->add(epoch_.replay_log.take_chunk());
  }
  kill_point("kafka.sink.before_flush");
  return true;
}

Result<bool> EpochPrepare::flush() {
  const bool is_flushed = epoch_.handle->flush(kSliceMs);
  // A delivery that failed is no longer outstanding: only the error tells it from a success.
  WEIR_TRY(epoch_.handle->error());
  if (!is_flushed || epoch_.handle->outstanding() > 0) {
    WEIR_TRY(check_progress());
    return false;
  }
  is_flushed_.store(true, std::memory_order_release);
  waker_->wake();
  return true;
}

Status EpochPrepare::check_progress() {
  const Deadline now = std::chrono::steady_clock::now();
  const int outstanding = epoch_.handle->outstanding();
  if (outstanding < outstanding_) {
    outstanding_ = outstanding;
    progress_until_ = now + kStalledFlush;
    return {};
  }
  if (!is_slow_noted_ && now >= progress_until_ - kStalledFlush + kSlowFlush) {
    is_slow_noted_ = true;
    log().warn(
        "kafka: no record of checkpoint {} for topic '{}' was acknowledged for {} s, {} wait",
        plan_.id.checkpoint, plan_.topic, kSlowFlush.count(), outstanding);
  }
  if (now < progress_until_) {
    return {};
  }
  return Error{ErrorCode::kTimeout,
               "kafka: the broker acknowledged no record of checkpoint " +
                   std::to_string(plan_.id.checkpoint) + " for topic '" + plan_.topic + "' for " +
                   std::to_string(kStalledFlush.count()) + " s; " + std::to_string(outstanding) +
                   " are written again after the restart"};
}

Result<bool> EpochPrepare::mark() {
  kill_point("kafka.sink.after_flush");
  const Marker marker{plan_.id.checkpoint, plan_.id.attempt, plan_.id.incarnation, plan_.branch};
  const MarkerPlace place{plan_.marker_group, plan_.topic};
  // Once: a client that was told of another coordinator has been seen to repeat that for ever.
  const int timeout_ms = std::min(kMarkerTimeoutMs, ms_until(deadline_) + 1);
  WEIR_TRY(send_marker_in_time(epoch_.handle, place, marker, timeout_ms));
  return true;
}

Result<bool> EpochPrepare::store_log() {
  if (epoch_.spool == nullptr) {
    return true;
  }
  WEIR_TRY(epoch_.spool->error());
  if (epoch_.spool->in_flight() > 0) {
    std::this_thread::sleep_for(kLogPause);
    return false;
  }
  return true;
}

Result<Committable> EpochPrepare::finish() {
  const std::optional<ProducerIdentity> identity =
      epoch_.handle->confirm_identity(std::max(1'000, std::min(5'000, ms_until(deadline_))));
  // Looked at once more: an error may have come in since the flush.
  WEIR_TRY(epoch_.handle->error());
  if (!identity.has_value()) {
    return Error{ErrorCode::kTimeout,
                 "kafka: the client did not report producer id and epoch of '" +
                     epoch_.handle->transactional_id() + "' in time"};
  }
  PreparedTransaction prepared;
  prepared.transactional_id = identity->transactional_id;
  prepared.producer_id = identity->producer_id;
  prepared.producer_epoch = identity->producer_epoch;
  prepared.topic = plan_.topic;
  prepared.marker_group = plan_.marker_group;
  prepared.record_count = epoch_.record_count;
  prepared.prepared_at_ms = system_clock().wall_ms();
  prepared.has_replay_log = epoch_.spool != nullptr;
  {
    // Under the lock: a cancel either comes first, or finds the entry and removes it.
    const std::scoped_lock lock(mutex_);
    if (!is_cancelled_) {
      prepared_identity_ = *identity;
      LiveTransactions::instance().put(
          *identity,
          std::make_shared<LiveTransaction>(std::move(epoch_.handle), pool_, epoch_.slot));
    }
  }
  if (epoch_.handle != nullptr) {
    roll_back();
    return Error{ErrorCode::kCancelled, "kafka: the attempt was stopped"};
  }
  return Committable{plan_.id, encode_value(prepared),
                     epoch_.spool == nullptr ? std::vector<std::string>{} : epoch_.spool->names()};
}

}  // namespace weir::kafka
