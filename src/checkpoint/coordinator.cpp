#include "checkpoint/coordinator.h"

#include <algorithm>
#include <utility>

#include "base/planted_bug.h"
#include "weir/check.h"

namespace weir::checkpoint {
namespace {

std::int64_t multiply_saturated(std::int64_t a, std::int64_t b) {
  return b != 0 && a > std::numeric_limits<std::int64_t>::max() / b
             ? std::numeric_limits<std::int64_t>::max()
             : a * b;
}

CoordinatorOptions with_defaults(CoordinatorOptions options) {
  WEIR_CHECK(options.interval_ms >= 0 && options.timeout_ms > 0 && options.max_concurrent >= 1 &&
             options.tolerable_failed >= 0 && options.attempt > 0 &&
             options.first_checkpoint > options.restored_checkpoint);
  if (options.min_pause_ms < 0) {
    options.min_pause_ms = options.interval_ms / 2;
  }
  // As in Flink: an interval below the pause cannot be kept.
  if (options.interval_ms > 0) {
    options.interval_ms = std::max(options.interval_ms, options.min_pause_ms);
  }
  if (options.age_limit_ms < 0) {
    options.age_limit_ms = multiply_saturated(std::int64_t{options.tolerable_failed} + 1,
                                              options.interval_ms + options.timeout_ms);
  }
  return options;
}

}  // namespace

CheckpointCoordinator::CheckpointCoordinator(CoordinatorOptions options)
    : options_(with_defaults(options)),
      failures_(options_.tolerable_failed),
      next_checkpoint_(options_.first_checkpoint),
      last_completed_(options_.restored_checkpoint) {}

// ---- events

CoordinatorActions CheckpointCoordinator::on_start(TimestampMs now_ms) {
  WEIR_CHECK(!is_started_);
  is_started_ = true;
  last_completed_at_ms_ = now_ms;
  return finish(now_ms, {});
}

CoordinatorActions CheckpointCoordinator::on_tasks_running(const std::vector<TaskId>& tasks,
                                                           TimestampMs now_ms) {
  WEIR_CHECK(is_started_);
  tasks_ = std::set<TaskId>(tasks.begin(), tasks.end());
  std::erase_if(tasks_at_end_, [this](TaskId task) { return !tasks_.contains(task); });
  are_tasks_running_ = true;
  if (next_periodic_ms_ == kMaxTimestamp && options_.interval_ms > 0) {
    next_periodic_ms_ = now_ms + options_.interval_ms;
  }
  return finish(now_ms, {});
}

CoordinatorActions CheckpointCoordinator::on_tasks_not_running(TimestampMs now_ms) {
  are_tasks_running_ = false;
  return finish(now_ms, {});
}

CoordinatorActions CheckpointCoordinator::on_time(TimestampMs now_ms) {
  scheduled_at_ms_ = kMaxTimestamp;  // used up
  return finish(now_ms, {});
}

CheckpointCoordinator::AckResult CheckpointCoordinator::on_ack(TaskId task, CheckpointId checkpoint,
                                                               AttemptId attempt,
                                                               TimestampMs now_ms) {
  if (attempt != options_.attempt || checkpoint < options_.first_checkpoint ||
      checkpoint >= next_checkpoint_) {
    return {AckVerdict::kUnknown, {}};
  }
  const auto found = pending_.find(checkpoint);
  if (found == pending_.end()) {
    return {AckVerdict::kDiscarded, {}};
  }
  Pending& pending = found->second;
  if (pending.acked.contains(task)) {
    return {AckVerdict::kDuplicate, {}};
  }
  if (pending.missing.erase(task) == 0) {
    return {AckVerdict::kUnknown, {}};
  }
  pending.acked.insert(task);
  if (pending.missing.empty()) {
    pending.phase = Phase::kReady;
  }
  return {AckVerdict::kSuccess, finish(now_ms, {})};
}

CoordinatorActions CheckpointCoordinator::on_decline(TaskId task, CheckpointId checkpoint,
                                                     AttemptId attempt, AbortReason reason,
                                                     TimestampMs now_ms) {
  const auto found = pending_.find(checkpoint);
  const bool is_of_another = attempt != options_.attempt && !planted_bug("M5");
  if (is_of_another || found == pending_.end() || !found->second.missing.contains(task)) {
    return {};
  }
  CoordinatorActions out;
  abort(checkpoint, reason, now_ms, out);
  return finish(now_ms, std::move(out));
}

CoordinatorActions CheckpointCoordinator::on_trigger_failed(CheckpointId checkpoint,
                                                            AbortReason reason,
                                                            TimestampMs now_ms) {
  const auto found = pending_.find(checkpoint);
  if (found == pending_.end() || found->second.phase != Phase::kCollecting) {
    return {};
  }
  CoordinatorActions out;
  abort(checkpoint, reason, now_ms, out);
  return finish(now_ms, std::move(out));
}

CoordinatorActions CheckpointCoordinator::on_task_end_of_data(TaskId task, TimestampMs now_ms) {
  if (tasks_.contains(task)) {
    tasks_at_end_.insert(task);
  }
  // With checkpointing off there is nobody to wait for.
  const std::size_t needed = planted_bug("N14") ? 2 : tasks_.size();
  if (!tasks_.empty() && tasks_at_end_.size() >= needed) {
    is_final_wanted_ = true;
  }
  return finish(now_ms, {});
}

CoordinatorActions CheckpointCoordinator::on_task_finished(TaskId task, TimestampMs now_ms) {
  tasks_.erase(task);
  tasks_at_end_.erase(task);
  std::vector<CheckpointId> hit;
  for (const auto& [checkpoint, pending] : pending_) {
    if (pending.missing.contains(task)) {
      hit.push_back(checkpoint);
    }
  }
  CoordinatorActions out;
  for (const CheckpointId checkpoint : hit) {
    abort(checkpoint, AbortReason::kCheckpointDeclinedTaskClosing, now_ms, out);
  }
  return finish(now_ms, std::move(out));
}

CoordinatorActions CheckpointCoordinator::on_published(CheckpointId checkpoint,
                                                       const PublishedSizes& sizes,
                                                       TimestampMs now_ms) {
  const auto found = pending_.find(checkpoint);
  if (found == pending_.end()) {
    return {};
  }
  const Pending done = found->second;
  WEIR_CHECK(done.phase == Phase::kPublishing || done.phase == Phase::kOutcomeUnknown);
  pending_.erase(found);
  statistics_.number_of_completed_checkpoints += 1;
  statistics_.last_completed_checkpoint_id = checkpoint;
  statistics_.last_checkpoint_duration_ms = now_ms - done.started_ms;
  statistics_.last_checkpoint_size_bytes = sizes.size_bytes;
  statistics_.last_checkpoint_full_size_bytes = sizes.full_size_bytes;
  statistics_.last_checkpoint_metadata_size_bytes = sizes.metadata_size_bytes;
  statistics_.last_checkpoint_completed_ms = now_ms;
  pause_until_ms_ = add_ms(now_ms, options_.min_pause_ms);

  CoordinatorActions out;
  const bool is_recoverable = done.request.kind == SnapshotKind::kCheckpoint || planted_bug("F5");
  if (is_recoverable) {
    last_completed_ = checkpoint;
    last_completed_at_ms_ = now_ms;
    failures_.on_success(checkpoint);
    out.emplace_back(CollectGarbage{});
  }
  if (is_recoverable || done.request.is_terminal) {
    subsume_below(checkpoint, now_ms, out);
    if (!planted_bug("N12") || !done.request.is_terminal) {
      out.emplace_back(NotifyComplete{checkpoint, done.request.is_terminal});
    }
  }
  if (done.request.request != 0) {
    out.emplace_back(RequestDone{done.request.request, checkpoint, std::nullopt});
  }
  if (done.request.is_terminal) {
    // What still runs beside it has no job left to be taken from.
    std::vector<CheckpointId> rest;
    for (const auto& [other, pending] : pending_) {
      rest.push_back(other);
    }
    for (const CheckpointId other : rest) {
      abort(other, AbortReason::kCheckpointCoordinatorShutdown, now_ms, out);
    }
    for (const TriggerRequest& request : queue_.take_all()) {
      refuse(request, AbortReason::kCheckpointCoordinatorShutdown, out);
    }
    is_over_ = true;
    out.emplace_back(JobFinished{checkpoint});
  }
  return finish(now_ms, std::move(out));
}

CoordinatorActions CheckpointCoordinator::on_publish_failed(CheckpointId checkpoint,
                                                            AbortReason reason,
                                                            TimestampMs now_ms) {
  if (!pending_.contains(checkpoint)) {
    return {};
  }
  CoordinatorActions out;
  abort(checkpoint, reason, now_ms, out);
  return finish(now_ms, std::move(out));
}

CoordinatorActions CheckpointCoordinator::on_publish_unknown(CheckpointId checkpoint,
                                                             TimestampMs now_ms) {
  const auto found = pending_.find(checkpoint);
  if (found == pending_.end()) {
    return {};
  }
  WEIR_CHECK(found->second.phase == Phase::kPublishing);
  found->second.phase = Phase::kOutcomeUnknown;
  found->second.retry_publish_ms = add_ms(now_ms, options_.publish_retry_ms);
  return finish(now_ms, {});
}

CoordinatorActions CheckpointCoordinator::request_checkpoint(RequestId request,
                                                             TimestampMs now_ms) {
  WEIR_CHECK(request != 0);
  CoordinatorActions out;
  enqueue({.request = request}, out);
  return finish(now_ms, std::move(out));
}

CoordinatorActions CheckpointCoordinator::request_savepoint(RequestId request, TimestampMs now_ms) {
  WEIR_CHECK(request != 0);
  CoordinatorActions out;
  // Beside aligned checkpoints a savepoint is forced. With unaligned ones it will have to wait.
  enqueue({.request = request, .kind = SnapshotKind::kSavepoint, .is_forced = true}, out);
  return finish(now_ms, std::move(out));
}

CoordinatorActions CheckpointCoordinator::request_stop(RequestId request, SnapshotKind kind,
                                                       bool is_drain, TimestampMs now_ms) {
  WEIR_CHECK(request != 0);
  CoordinatorActions out;
  enqueue({.request = request,
           .kind = kind,
           .is_forced = true,
           .is_terminal = true,
           .is_drain = is_drain},
          out);
  return finish(now_ms, std::move(out));
}

CoordinatorActions CheckpointCoordinator::abort_all(AbortReason reason, TimestampMs now_ms) {
  CoordinatorActions out;
  is_over_ = true;
  std::vector<CheckpointId> droppable;
  for (const auto& [checkpoint, pending] : pending_) {
    // The manifest of one that is being published may exist already.
    if (pending.phase == Phase::kCollecting || pending.phase == Phase::kReady) {
      droppable.push_back(checkpoint);
    }
  }
  for (const CheckpointId checkpoint : droppable) {
    abort(checkpoint, reason, now_ms, out);
  }
  for (const TriggerRequest& request : queue_.take_all()) {
    refuse(request, reason, out);
  }
  return finish(now_ms, std::move(out));
}

CoordinatorActions CheckpointCoordinator::set_backlog(bool is_backlog, TimestampMs now_ms) {
  const bool was_on = is_periodic_on();
  is_backlog_ = is_backlog;
  on_period_changed(was_on, now_ms);
  return finish(now_ms, {});
}

CoordinatorActions CheckpointCoordinator::set_periodic_paused(bool is_paused, TimestampMs now_ms) {
  const bool was_on = is_periodic_on();
  is_periodic_paused_ = is_paused;
  on_period_changed(was_on, now_ms);
  return finish(now_ms, {});
}

void CheckpointCoordinator::on_period_changed(bool was_on, TimestampMs now_ms) {
  if (is_periodic_on() && next_periodic_ms_ != kMaxTimestamp) {
    next_periodic_ms_ = std::min(next_periodic_ms_, now_ms + interval_now_ms());
  }
  if (is_periodic_on() && !was_on) {
    last_completed_at_ms_ = now_ms;  // Nothing was expected of the time without checkpoints.
  }
}

CoordinatorActions CheckpointCoordinator::set_waiting_for_deletion(int count, TimestampMs now_ms) {
  waiting_for_deletion_ = count;
  return finish(now_ms, {});
}

}  // namespace weir::checkpoint
