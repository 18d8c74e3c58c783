#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/abort_reason.h"
#include "checkpoint/checkpoint_statistics.h"
#include "checkpoint/coordinator_action.h"
#include "checkpoint/failure_tracker.h"
#include "checkpoint/manifest.h"
#include "checkpoint/trigger_queue.h"
#include "weir/time.h"

namespace weir::checkpoint {

/// Limits and periods in milliseconds; the keys are those of `execution.checkpointing.*`.
struct CoordinatorOptions {
  std::int64_t interval_ms = 0;      ///< 0 = no periodic checkpoints
  std::int64_t min_pause_ms = -1;    ///< -1 = interval / 2
  std::int64_t timeout_ms = 10 * 60 * 1000;
  int max_concurrent = 1;
  int tolerable_failed = 0;
  /// interval-during-backlog; -1 = as interval, 0 = no periodic checkpoints during backlog.
  std::int64_t interval_during_backlog_ms = -1;
  /// Age of the last completed checkpoint that fails the job; -1 = (tolerable + 1) x (interval +
  /// timeout).
  std::int64_t age_limit_ms = -1;
  /// Wait between two tries to learn the outcome of a publication.
  std::int64_t publish_retry_ms = 500;
  /// Wait before a failed final checkpoint is tried again.
  std::int64_t final_retry_ms = 100;
  AttemptId attempt = 0;                     ///< acknowledgements of others are ignored
  CheckpointId first_checkpoint = 1;         ///< above every number ever given out
  CheckpointId restored_checkpoint = 0;      ///< 0 = a first start
};

enum class AckVerdict {
  kSuccess,    ///< counted
  kDuplicate,  ///< this task had acknowledged before
  kUnknown,    ///< no such checkpoint, or not this attempt: nothing was changed
  kDiscarded,  ///< the checkpoint is over; committables in it still belong to the commit ledger
};

/// Decides when checkpoints start, complete and fail, over one attempt of a job. Pure: facts in,
/// actions out; no threads, no clock, no I/O. The time passed in must not go back; a monotonic
/// clock is meant.
///
/// Invariants: at most one publication is under way; checkpoints (not savepoints) complete with
/// rising numbers; a checkpoint is completed or aborted, once, and never both; after FailJob or
/// JobFinished nothing is triggered.
class CheckpointCoordinator {
 public:
  explicit CheckpointCoordinator(CoordinatorOptions options);

  /// The attempt begins; the age of the last completed checkpoint counts from here.
  CoordinatorActions on_start(TimestampMs now_ms);
  /// All tasks run; `tasks` have to acknowledge every checkpoint. May come again.
  CoordinatorActions on_tasks_running(const std::vector<TaskId>& tasks, TimestampMs now_ms);
  /// Some task does not run: nothing can be triggered until on_tasks_running.
  CoordinatorActions on_tasks_not_running(TimestampMs now_ms);
  CoordinatorActions on_time(TimestampMs now_ms);

  struct AckResult {
    AckVerdict verdict = AckVerdict::kUnknown;
    CoordinatorActions actions;
  };
  AckResult on_ack(TaskId task, CheckpointId checkpoint, AttemptId attempt, TimestampMs now_ms);
  CoordinatorActions on_decline(TaskId task, CheckpointId checkpoint, AttemptId attempt,
                                AbortReason reason, TimestampMs now_ms);
  /// Something other than a task failed before or while triggering: kIoException for the
  /// checkpoint's location, kTriggerCheckpointFailure for the unexpected.
  CoordinatorActions on_trigger_failed(CheckpointId checkpoint, AbortReason reason,
                                       TimestampMs now_ms);
  /// The task is at the end of its input and waits for the final checkpoint; it still
  /// acknowledges. When all are, the final checkpoint is triggered at once.
  CoordinatorActions on_task_end_of_data(TaskId task, TimestampMs now_ms);
  /// The task is gone and acknowledges nothing any more.
  CoordinatorActions on_task_finished(TaskId task, TimestampMs now_ms);

  CoordinatorActions on_published(CheckpointId checkpoint, const PublishedSizes& sizes,
                                  TimestampMs now_ms);
  /// It is certain that no manifest exists: kFinalizeCheckpointFailure, kEdgeImbalance, ...
  CoordinatorActions on_publish_failed(CheckpointId checkpoint, AbortReason reason,
                                       TimestampMs now_ms);
  /// The manifest may exist. Publish is asked for again until the outcome is known or the timeout
  /// is over, which fails the job: the restart reads the truth.
  CoordinatorActions on_publish_unknown(CheckpointId checkpoint, TimestampMs now_ms);

  /// User requests; answered by RequestDone. REQUIRES: request != 0.
  CoordinatorActions request_checkpoint(RequestId request, TimestampMs now_ms);
  CoordinatorActions request_savepoint(RequestId request, TimestampMs now_ms);
  /// A terminal snapshot: no periodic checkpoint starts while it is under way. If it fails, the
  /// job goes on.
  CoordinatorActions request_stop(RequestId request, SnapshotKind kind, bool is_drain,
                                  TimestampMs now_ms);

  /// Ends the attempt: aborts everything except a publication under way, whose outcome is still
  /// awaited, and triggers nothing more.
  CoordinatorActions abort_all(AbortReason reason, TimestampMs now_ms);

  /// Some source works off a backlog.
  CoordinatorActions set_backlog(bool is_backlog, TimestampMs now_ms);
  /// No periodic checkpoints for now, nor any expected by the age rule. Requests and the final
  /// checkpoint go on.
  CoordinatorActions set_periodic_paused(bool is_paused, TimestampMs now_ms);
  /// Completed checkpoints whose files still wait for deletion; more than max_concurrent of them
  /// hold back new checkpoints.
  CoordinatorActions set_waiting_for_deletion(int count, TimestampMs now_ms);

  const CheckpointStatistics& statistics() const { return statistics_; }
  CheckpointId last_completed() const { return last_completed_; }
  /// Since the last checkpoint was completed, or since on_start.
  std::int64_t age_ms(TimestampMs now_ms) const { return now_ms - last_completed_at_ms_; }
  /// The age that fails the job; kMaxTimestamp while no checkpoint is expected.
  std::int64_t age_limit_ms() const {
    return is_started_ && is_periodic_on() ? options_.age_limit_ms : kMaxTimestamp;
  }
  /// When on_time is due next; kMaxTimestamp = never.
  TimestampMs next_wake_ms() const;
  std::vector<CheckpointId> pending() const;
  /// True after FailJob, JobFinished or abort_all.
  bool is_over() const { return is_over_; }

 private:
  enum class Phase { kCollecting, kReady, kPublishing, kOutcomeUnknown };
  struct Pending {
    TriggerRequest request;
    Phase phase = Phase::kCollecting;
    TimestampMs started_ms = 0;
    TimestampMs retry_publish_ms = kMaxTimestamp;
    std::set<TaskId> missing;
    std::set<TaskId> acked;
  };
  using PendingMap = std::map<CheckpointId, Pending>;

  void advance(TimestampMs now_ms, CoordinatorActions& out);
  void expire(TimestampMs now_ms, CoordinatorActions& out);
  void check_age(TimestampMs now_ms, CoordinatorActions& out);
  void retry_publications(TimestampMs now_ms, CoordinatorActions& out);
  void enqueue_due(TimestampMs now_ms);
  void start_requests(TimestampMs now_ms, CoordinatorActions& out);
  void start(const TriggerRequest& request, TimestampMs now_ms, CoordinatorActions& out);
  void publish_next(CoordinatorActions& out);
  void enqueue(const TriggerRequest& request, CoordinatorActions& out);
  void refuse(const TriggerRequest& request, AbortReason reason, CoordinatorActions& out);
  void abort(CheckpointId checkpoint, AbortReason reason, TimestampMs now_ms,
             CoordinatorActions& out);
  void subsume_below(CheckpointId checkpoint, TimestampMs now_ms, CoordinatorActions& out);
  void fail_job(std::string reason, CoordinatorActions& out);
  CoordinatorActions finish(TimestampMs now_ms, CoordinatorActions out);

  /// at + duration, without overflow.
  static TimestampMs add_ms(TimestampMs at_ms, std::int64_t duration_ms) {
    return at_ms > kMaxTimestamp - duration_ms ? kMaxTimestamp : at_ms + duration_ms;
  }
  void on_period_changed(bool was_on, TimestampMs now_ms);
  std::int64_t interval_now_ms() const;
  bool is_periodic_on() const;
  bool is_terminal_pending() const;
  bool is_terminal_under_way() const;
  bool is_publishing() const;
  int running_count() const;
  TimestampMs periodic_due_ms() const;
  TimestampMs age_deadline_ms() const;

  const CoordinatorOptions options_;
  TriggerQueue queue_;
  PendingMap pending_;
  FailureTracker failures_;
  CheckpointStatistics statistics_;
  std::set<TaskId> tasks_;
  std::set<TaskId> tasks_at_end_;
  CheckpointId next_checkpoint_;
  CheckpointId last_completed_ = 0;
  TimestampMs next_periodic_ms_ = kMaxTimestamp;
  TimestampMs last_completed_at_ms_ = 0;  ///< or the start of the attempt: for the age rule
  TimestampMs pause_until_ms_ = kMinTimestamp;
  TimestampMs final_retry_at_ms_ = kMinTimestamp;
  TimestampMs scheduled_at_ms_ = kMaxTimestamp;
  int waiting_for_deletion_ = 0;
  bool is_started_ = false;
  bool are_tasks_running_ = false;
  bool is_backlog_ = false;
  bool is_periodic_paused_ = false;
  bool is_final_wanted_ = false;
  bool is_over_ = false;
};

}  // namespace weir::checkpoint
