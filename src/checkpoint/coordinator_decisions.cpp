// The decisions of CheckpointCoordinator: what follows from the events of coordinator.cpp.
#include <algorithm>
#include <string>
#include <utility>

#include "base/planted_bug.h"
#include "checkpoint/coordinator.h"
#include "weir/check.h"

namespace weir::checkpoint {

CoordinatorActions CheckpointCoordinator::finish(TimestampMs now_ms, CoordinatorActions out) {
  advance(now_ms, out);
  statistics_.number_of_in_progress_checkpoints = static_cast<std::int64_t>(pending_.size());
  const TimestampMs wake_ms = next_wake_ms();
  if (wake_ms != kMaxTimestamp && wake_ms != scheduled_at_ms_) {
    out.emplace_back(ScheduleAt{wake_ms});
  }
  scheduled_at_ms_ = wake_ms;
  return out;
}

void CheckpointCoordinator::advance(TimestampMs now_ms, CoordinatorActions& out) {
  expire(now_ms, out);
  retry_publications(now_ms, out);
  if (!is_over_) {
    check_age(now_ms, out);
  }
  if (!is_over_) {
    enqueue_due(now_ms);
    start_requests(now_ms, out);
  }
  publish_next(out);
}

void CheckpointCoordinator::expire(TimestampMs now_ms, CoordinatorActions& out) {
  std::vector<CheckpointId> expired;
  for (const auto& [checkpoint, pending] : pending_) {
    if (pending.phase == Phase::kCollecting && !planted_bug("N24") &&
        now_ms >= add_ms(pending.started_ms, options_.timeout_ms)) {
      expired.push_back(checkpoint);
    }
  }
  for (const CheckpointId checkpoint : expired) {
    abort(checkpoint, AbortReason::kCheckpointExpired, now_ms, out);
  }
}

void CheckpointCoordinator::retry_publications(TimestampMs now_ms, CoordinatorActions& out) {
  for (auto& [checkpoint, pending] : pending_) {
    if (pending.phase != Phase::kOutcomeUnknown || now_ms < pending.retry_publish_ms) {
      continue;
    }
    pending.retry_publish_ms = kMaxTimestamp;
    if (now_ms >= add_ms(pending.started_ms, options_.timeout_ms)) {
      fail_job("it is unknown whether checkpoint " + std::to_string(checkpoint) +
                   " was published; the restart reads the truth",
               out);
      continue;
    }
    pending.phase = Phase::kPublishing;
    out.emplace_back(Publish{checkpoint});
  }
}

void CheckpointCoordinator::check_age(TimestampMs now_ms, CoordinatorActions& out) {
  if (now_ms >= age_deadline_ms()) {
    fail_job("no checkpoint was completed for " + std::to_string(now_ms - last_completed_at_ms_) +
                 " ms, more than (tolerable-failed-checkpoints + 1) x (interval + timeout) = " +
                 std::to_string(options_.age_limit_ms) + " ms",
             out);
  }
}

void CheckpointCoordinator::enqueue_due(TimestampMs now_ms) {
  if (!are_tasks_running_ || is_terminal_under_way()) {
    return;  // NOT_ALL_REQUIRED_TASKS_RUNNING; or the last one is under way.
  }
  if (is_final_wanted_) {
    if (now_ms >= final_retry_at_ms_) {
      (void)queue_.add({.is_forced = true, .is_terminal = true});
    }
    return;
  }
  if (is_periodic_on() && now_ms >= periodic_due_ms() && !queue_.has_periodic()) {
    (void)queue_.add({.is_periodic = true});
  }
}

void CheckpointCoordinator::start_requests(TimestampMs now_ms, CoordinatorActions& out) {
  // Behind the barrier of a terminal checkpoint there is none: what waits goes on if it fails.
  while (are_tasks_running_ && waiting_for_deletion_ <= options_.max_concurrent &&
         !is_terminal_pending()) {
    const auto request = queue_.take(running_count() >= options_.max_concurrent);
    if (!request.has_value()) {
      return;
    }
    start(*request, now_ms, out);
  }
}

void CheckpointCoordinator::start(const TriggerRequest& request, TimestampMs now_ms,
                                  CoordinatorActions& out) {
  const CheckpointId checkpoint = next_checkpoint_++;
  Pending pending;
  pending.request = request;
  pending.started_ms = now_ms;
  pending.missing = tasks_;
  pending.phase = tasks_.empty() ? Phase::kReady : Phase::kCollecting;
  pending_.emplace(checkpoint, std::move(pending));
  statistics_.total_number_of_checkpoints += 1;
  if (request.is_periodic) {
    // Start to start; what was missed while another one ran is not made up for.
    next_periodic_ms_ = now_ms + interval_now_ms();
  }
  out.emplace_back(Trigger{checkpoint, request.kind, request.is_terminal, request.is_drain,
                           request.request,
                           request.kind == SnapshotKind::kCheckpoint ? last_completed_ : 0});
}

/// One publication at a time, so that checkpoints complete with rising numbers.
void CheckpointCoordinator::publish_next(CoordinatorActions& out) {
  if (is_over_ || (is_publishing() && !planted_bug("E1"))) {
    return;
  }
  for (auto& [checkpoint, pending] : pending_) {
    if (pending.phase == Phase::kReady) {
      pending.phase = Phase::kPublishing;
      out.emplace_back(Publish{checkpoint});
      return;
    }
  }
}

void CheckpointCoordinator::enqueue(const TriggerRequest& request, CoordinatorActions& out) {
  if (is_over_) {
    refuse(request, AbortReason::kCheckpointCoordinatorShutdown, out);
    return;
  }
  if (is_terminal_under_way()) {
    refuse(request, AbortReason::kPeriodicSchedulerShutdown, out);
    return;
  }
  if (!are_tasks_running_) {
    refuse(request, AbortReason::kNotAllRequiredTasksRunning, out);
    return;
  }
  if (const auto displaced = queue_.add(request)) {
    refuse(*displaced, AbortReason::kTooManyCheckpointRequests, out);
  }
}

void CheckpointCoordinator::refuse(const TriggerRequest& request, AbortReason reason,
                                   CoordinatorActions& out) {
  if (request.request != 0) {
    out.emplace_back(RequestDone{request.request, 0, reason});
  }
}

void CheckpointCoordinator::abort(CheckpointId checkpoint, AbortReason reason, TimestampMs now_ms,
                                  CoordinatorActions& out) {
  const auto found = pending_.find(checkpoint);
  WEIR_CHECK(found != pending_.end());
  const TriggerRequest request = found->second.request;
  pending_.erase(found);
  statistics_.number_of_failed_checkpoints += 1;
  out.emplace_back(NotifyAborted{checkpoint, reason, request.is_terminal && !planted_bug("M2")});
  out.emplace_back(DiscardCheckpoint{checkpoint});
  if (request.request != 0) {
    out.emplace_back(RequestDone{request.request, checkpoint, reason});
  }
  if (request.is_terminal) {
    final_retry_at_ms_ = add_ms(now_ms, options_.final_retry_ms);
  }
  if (failures_.on_failure(checkpoint, request.kind, reason) && !is_over_) {
    fail_job("checkpoint " + std::to_string(checkpoint) + " failed (" +
                 std::string(abort_reason_name(reason)) + "), the " +
                 std::to_string(failures_.consecutive()) +
                 ". in a row; execution.checkpointing.tolerable-failed-checkpoints is " +
                 std::to_string(options_.tolerable_failed),
             out);
  }
}

void CheckpointCoordinator::subsume_below(CheckpointId checkpoint, TimestampMs now_ms,
                                          CoordinatorActions& out) {
  std::vector<CheckpointId> subsumed;
  for (const auto& [other, pending] : pending_) {
    if (other < checkpoint && pending.request.kind == SnapshotKind::kCheckpoint) {
      subsumed.push_back(other);
    }
  }
  for (const CheckpointId other : subsumed) {
    abort(other, AbortReason::kCheckpointSubsumed, now_ms, out);
  }
}

void CheckpointCoordinator::fail_job(std::string reason, CoordinatorActions& out) {
  if (!is_over_) {
    is_over_ = true;
    out.emplace_back(FailJob{std::move(reason)});
  }
}

// ---- facts

std::int64_t CheckpointCoordinator::interval_now_ms() const {
  return is_backlog_ && options_.interval_during_backlog_ms > 0
             ? options_.interval_during_backlog_ms
             : options_.interval_ms;
}

bool CheckpointCoordinator::is_periodic_on() const {
  return options_.interval_ms > 0 && !is_periodic_paused_ &&
         !(is_backlog_ && options_.interval_during_backlog_ms == 0);
}

bool CheckpointCoordinator::is_terminal_pending() const {
  return std::any_of(pending_.begin(), pending_.end(),
                     [](const auto& item) { return item.second.request.is_terminal; });
}

bool CheckpointCoordinator::is_terminal_under_way() const {
  return queue_.has_terminal() || is_terminal_pending();
}

bool CheckpointCoordinator::is_publishing() const {
  return std::any_of(pending_.begin(), pending_.end(), [](const auto& item) {
    return item.second.phase == Phase::kPublishing || item.second.phase == Phase::kOutcomeUnknown;
  });
}

int CheckpointCoordinator::running_count() const { return static_cast<int>(pending_.size()); }

TimestampMs CheckpointCoordinator::periodic_due_ms() const {
  return std::max(next_periodic_ms_, pause_until_ms_);
}

TimestampMs CheckpointCoordinator::age_deadline_ms() const {
  return is_started_ && is_periodic_on() ? add_ms(last_completed_at_ms_, options_.age_limit_ms)
                                         : kMaxTimestamp;
}

TimestampMs CheckpointCoordinator::next_wake_ms() const {
  TimestampMs wake_ms = kMaxTimestamp;
  for (const auto& [checkpoint, pending] : pending_) {
    if (pending.phase == Phase::kCollecting) {
      wake_ms = std::min(wake_ms, add_ms(pending.started_ms, options_.timeout_ms));
    } else if (pending.phase == Phase::kOutcomeUnknown) {
      wake_ms = std::min(wake_ms, pending.retry_publish_ms);
    }
  }
  if (is_over_) {
    return wake_ms;
  }
  wake_ms = std::min(wake_ms, age_deadline_ms());
  const bool may_start = are_tasks_running_ && !is_terminal_under_way();
  if (may_start && is_final_wanted_) {
    return std::min(wake_ms, final_retry_at_ms_);
  }
  // A periodic request that waits in the queue is started by the event that makes room for it.
  if (may_start && is_periodic_on() && !queue_.has_periodic()) {
    wake_ms = std::min(wake_ms, periodic_due_ms());
  }
  return wake_ms;
}

std::vector<CheckpointId> CheckpointCoordinator::pending() const {
  std::vector<CheckpointId> ids;
  for (const auto& [checkpoint, pending] : pending_) {
    ids.push_back(checkpoint);
  }
  return ids;
}

}  // namespace weir::checkpoint
