#include "checkpoint/coordinator.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace weir::checkpoint {
namespace {

/// One line per action, without ScheduleAt: "trigger 1", "abort 1 CHECKPOINT_EXPIRED", ...
struct Describe {
  std::string operator()(const Trigger& a) const {
    return "trigger " + std::to_string(a.checkpoint) +
           (a.kind == SnapshotKind::kSavepoint ? " savepoint" : "") +
           (a.is_terminal ? " terminal" : "") + (a.is_drain ? " drain" : "");
  }
  std::string operator()(const Publish& a) const {
    return "publish " + std::to_string(a.checkpoint);
  }
  std::string operator()(const NotifyComplete& a) const {
    return "complete " + std::to_string(a.checkpoint);
  }
  std::string operator()(const NotifyAborted& a) const {
    return "abort " + std::to_string(a.checkpoint) + " " +
           std::string(abort_reason_name(a.reason)) + (a.is_terminal ? " release" : "");
  }
  std::string operator()(const DiscardCheckpoint&) const { return ""; }
  std::string operator()(const CollectGarbage&) const { return ""; }
  std::string operator()(const RequestDone& a) const {
    return "answer " + std::to_string(a.request) + " " +
           (a.failure.has_value() ? std::string(abort_reason_name(*a.failure))
                                  : "checkpoint " + std::to_string(a.checkpoint));
  }
  std::string operator()(const FailJob&) const { return "fail"; }
  std::string operator()(const JobFinished& a) const {
    return "finished " + std::to_string(a.checkpoint);
  }
  std::string operator()(const ScheduleAt&) const { return ""; }
};

using Lines = std::vector<std::string>;

Lines lines(const CoordinatorActions& actions) {
  Lines result;
  for (const CoordinatorAction& action : actions) {
    const std::string line = std::visit(Describe{}, action);
    if (!line.empty()) {
      result.push_back(line);
    }
  }
  return result;
}

constexpr AttemptId kAttempt = 7;

CoordinatorOptions options() {
  CoordinatorOptions result;
  result.interval_ms = 1000;
  result.min_pause_ms = 0;
  result.timeout_ms = 5000;
  result.attempt = kAttempt;
  return result;
}

/// A job of two tasks, started at time 0.
class Job {
 public:
  explicit Job(const CoordinatorOptions& settings) : coordinator_(settings) {
    coordinator_.on_start(0);
    coordinator_.on_tasks_running({1, 2}, 0);
  }
  Lines at(TimestampMs now_ms) {
    now_ms_ = now_ms;
    return lines(coordinator_.on_time(now_ms));
  }
  Lines ack(TaskId task, CheckpointId checkpoint) {
    return lines(coordinator_.on_ack(task, checkpoint, kAttempt, now_ms_).actions);
  }
  Lines ack_both(CheckpointId checkpoint) {
    ack(1, checkpoint);
    return ack(2, checkpoint);
  }
  Lines decline(CheckpointId checkpoint, AbortReason reason = AbortReason::kCheckpointDeclined) {
    return lines(coordinator_.on_decline(1, checkpoint, kAttempt, reason, now_ms_));
  }
  Lines published(CheckpointId checkpoint) {
    return lines(coordinator_.on_published(checkpoint, {}, now_ms_));
  }
  Lines complete(CheckpointId checkpoint) {
    ack_both(checkpoint);
    return published(checkpoint);
  }
  CheckpointCoordinator& operator*() { return coordinator_; }
  CheckpointCoordinator* operator->() { return &coordinator_; }
  TimestampMs now() const { return now_ms_; }

 private:
  CheckpointCoordinator coordinator_;
  TimestampMs now_ms_ = 0;
};

TEST(Coordinator, APeriodicCheckpointIsTriggeredAckedPublishedAndAnnounced) {
  Job job(options());
  EXPECT_EQ(job.at(999), Lines{});
  EXPECT_EQ(job.at(1000), Lines{"trigger 1"});
  EXPECT_EQ(job.ack(1, 1), Lines{});
  EXPECT_EQ(job.ack(2, 1), Lines{"publish 1"});
  EXPECT_EQ(job.published(1), Lines{"complete 1"});
  EXPECT_EQ(job->last_completed(), 1);
  EXPECT_EQ(job.at(1999), Lines{});
  EXPECT_EQ(job.at(2000), Lines{"trigger 2"});
}

TEST(Coordinator, TheWakeTimeIsAlwaysScheduled) {
  CheckpointCoordinator coordinator(options());
  coordinator.on_start(0);
  const auto actions = coordinator.on_tasks_running({1}, 0);
  ASSERT_EQ(actions.size(), 1U);
  EXPECT_EQ(std::get<ScheduleAt>(actions[0]).at_ms, 1000);
  EXPECT_EQ(coordinator.next_wake_ms(), 1000);
}

TEST(Coordinator, WhileTheLimitIsReachedADueCheckpointWaits) {
  Job job(options());
  EXPECT_EQ(job.at(1000), Lines{"trigger 1"});
  EXPECT_EQ(job.at(2500), Lines{});
  job.ack_both(1);
  EXPECT_EQ(job.published(1), (Lines{"complete 1", "trigger 2"}));
}

TEST(Coordinator, ThePauseCountsFromTheEndOfTheLastCompleted) {
  CoordinatorOptions settings = options();
  settings.min_pause_ms = 600;
  Job job(settings);
  job.at(1000);
  job.at(1900);
  EXPECT_EQ(job.complete(1), Lines{"complete 1"});
  EXPECT_EQ(job.at(2499), Lines{});
  EXPECT_EQ(job.at(2500), Lines{"trigger 2"});
}

TEST(Coordinator, ThePauseDefaultsToHalfTheInterval) {
  CoordinatorOptions settings = options();
  settings.min_pause_ms = -1;
  Job job(settings);
  job.at(1000);
  job.at(1900);
  job.complete(1);
  EXPECT_EQ(job.at(2399), Lines{});
  EXPECT_EQ(job.at(2400), Lines{"trigger 2"});
}

TEST(Coordinator, ThePauseDoesNotHoldBackAUser) {
  CoordinatorOptions settings = options();
  settings.min_pause_ms = 900;
  Job job(settings);
  job.at(1000);
  job.complete(1);
  EXPECT_EQ(lines(job->request_checkpoint(5, 1001)), Lines{"trigger 2"});
  job.ack_both(2);
  EXPECT_EQ(job.published(2), (Lines{"complete 2", "answer 5 checkpoint 2"}));
}

TEST(Coordinator, ATaskThatNeverAcksExpiresTheCheckpointAndTheNextOneIsTriggered) {
  CoordinatorOptions settings = options();
  settings.tolerable_failed = 1;
  Job job(settings);
  job.at(1000);
  job.ack(1, 1);
  EXPECT_EQ(job.at(5999), Lines{});
  EXPECT_EQ(job.at(6000), (Lines{"abort 1 CHECKPOINT_EXPIRED", "trigger 2"}));
  EXPECT_EQ(job->on_ack(2, 1, kAttempt, 6001).verdict, AckVerdict::kDiscarded);
  EXPECT_EQ(job.at(11'000), (Lines{"abort 2 CHECKPOINT_EXPIRED", "fail"}));
}

struct ReasonCase {
  AbortReason reason;
  bool counts;
};

TEST(Coordinator, ExactlyTheDocumentedReasonsCount) {
  const std::vector<ReasonCase> cases{
      {AbortReason::kIoException, true},
      {AbortReason::kCheckpointAsyncException, true},
      {AbortReason::kCheckpointDeclined, true},
      {AbortReason::kCheckpointExpired, true},
      {AbortReason::kFinalizeCheckpointFailure, true},
      {AbortReason::kEdgeImbalance, true},
      {AbortReason::kSplitMisplaced, true},
      {AbortReason::kTriggerCheckpointFailure, false},
      {AbortReason::kCheckpointDeclinedTaskNotReady, false},
      {AbortReason::kCheckpointDeclinedTaskClosing, false},
      {AbortReason::kCheckpointDeclinedSubsumed, false},
      {AbortReason::kCheckpointDeclinedOnCancellationBarrier, false},
      {AbortReason::kCheckpointDeclinedInputEndOfStream, false},
      {AbortReason::kCheckpointSubsumed, false},
      {AbortReason::kTaskFailure, false},
  };
  for (const ReasonCase& item : cases) {
    Job job(options());
    job.at(1000);
    const std::string name(abort_reason_name(item.reason));
    Lines expected{"abort 1 " + name};
    if (item.counts) {
      expected.emplace_back("fail");
    }
    EXPECT_EQ(job.decline(1, item.reason), expected) << name;
  }
}

TEST(Coordinator, ASuccessClearsTheCountOfFailures) {
  CoordinatorOptions settings = options();
  settings.tolerable_failed = 1;
  Job job(settings);
  job.at(1000);
  EXPECT_EQ(job.decline(1), Lines{"abort 1 CHECKPOINT_DECLINED"});
  job.at(2000);
  job.complete(2);
  job.at(3000);
  EXPECT_EQ(job.decline(3), Lines{"abort 3 CHECKPOINT_DECLINED"});
  job.at(4000);
  EXPECT_EQ(job.decline(4), (Lines{"abort 4 CHECKPOINT_DECLINED", "fail"}));
  EXPECT_TRUE(job->is_over());
  EXPECT_EQ(job.at(5000), Lines{});
}

TEST(Coordinator, AFailedSavepointDoesNotCountUnlessATaskCouldNotWriteIt) {
  Job job(options());
  EXPECT_EQ(lines(job->request_savepoint(1, 10)), Lines{"trigger 1 savepoint"});
  EXPECT_EQ(job.decline(1), (Lines{"abort 1 CHECKPOINT_DECLINED", "answer 1 CHECKPOINT_DECLINED"}));
  job->request_savepoint(2, 20);
  EXPECT_EQ(job.decline(2, AbortReason::kCheckpointAsyncException).back(), "fail");
}

TEST(Coordinator, ANewerCheckpointSubsumesOlderOnesButNoSavepoint) {
  CoordinatorOptions settings = options();
  settings.max_concurrent = 2;
  Job job(settings);
  job.at(1000);
  EXPECT_EQ(lines(job->request_savepoint(9, 1500)), Lines{"trigger 2 savepoint"});
  job.at(2000);
  EXPECT_EQ(job.complete(2), (Lines{"answer 9 checkpoint 2", "trigger 3"}));
  EXPECT_EQ(lines(job->request_savepoint(10, 2600)), Lines{"trigger 4 savepoint"});
  job.at(3600);
  job.ack_both(3);
  EXPECT_EQ(job.published(3), (Lines{"abort 1 CHECKPOINT_SUBSUMED", "complete 3", "trigger 5"}));
  EXPECT_EQ(job->on_ack(1, 1, kAttempt, 3600).verdict, AckVerdict::kDiscarded);
  job.ack_both(5);
  EXPECT_EQ(job.published(5), Lines{"complete 5"});
  EXPECT_EQ(job->pending(), std::vector<CheckpointId>{4});
}

TEST(Coordinator, APlainSavepointAnnouncesNothingAndDoesNotClearFailures) {
  CoordinatorOptions settings = options();
  settings.tolerable_failed = 1;
  Job job(settings);
  job.at(1000);
  job.decline(1);
  job->request_savepoint(3, 1100);
  EXPECT_EQ(job.complete(2), Lines{"answer 3 checkpoint 2"});
  EXPECT_EQ(job->last_completed(), 0);
  job.at(2000);
  EXPECT_EQ(job.decline(3).back(), "fail");
}

TEST(Coordinator, PublicationsRunOneByOneSoThatIdsRise) {
  CoordinatorOptions settings = options();
  settings.max_concurrent = 3;
  Job job(settings);
  job.at(1000);
  job.at(2000);
  EXPECT_EQ(job.ack_both(2), Lines{"publish 2"});
  EXPECT_EQ(job.ack_both(1), Lines{});  // waits, for 2 may yet fail
  EXPECT_EQ(job.published(2), (Lines{"abort 1 CHECKPOINT_SUBSUMED", "complete 2"}));
  job.at(3000);
  job.at(4000);
  job.ack_both(3);
  EXPECT_EQ(job.ack_both(4), Lines{});
  EXPECT_EQ(job.published(3), (Lines{"complete 3", "publish 4"}));
}

TEST(Coordinator, M5_AckOfAnOldAttemptIsIgnored) {
  Job job(options());
  job.at(1000);
  EXPECT_EQ(job->on_ack(1, 1, kAttempt - 1, 1000).verdict, AckVerdict::kUnknown);
  EXPECT_EQ(lines(job->on_decline(1, 1, kAttempt - 1, AbortReason::kCheckpointDeclined, 1000)),
            Lines{});
  EXPECT_EQ(job->on_ack(1, 1, kAttempt, 1000).verdict, AckVerdict::kSuccess);
  EXPECT_EQ(job->on_ack(1, 1, kAttempt, 1000).verdict, AckVerdict::kDuplicate);
  EXPECT_EQ(job->on_ack(3, 1, kAttempt, 1000).verdict, AckVerdict::kUnknown);
  EXPECT_EQ(job->on_ack(2, 99, kAttempt, 1000).verdict, AckVerdict::kUnknown);
}

TEST(Coordinator, ALateDeclineOfATaskThatAckedChangesNothing) {
  Job job(options());
  job.at(1000);
  job.ack(1, 1);
  EXPECT_EQ(job.decline(1), Lines{});
  EXPECT_EQ(job.ack(2, 1), Lines{"publish 1"});
}

TEST(Coordinator, NoCheckpointForTooLongFailsTheJobWhateverTheReason) {
  CoordinatorOptions settings = options();
  settings.tolerable_failed = 1;
  CheckpointCoordinator coordinator(settings);
  coordinator.on_start(0);  // a task never gets ready
  EXPECT_EQ(lines(coordinator.on_time(11'999)), Lines{});
  EXPECT_EQ(lines(coordinator.on_time(12'000)), Lines{"fail"});
}

TEST(Coordinator, NeverFailingMeansNeverFailingByAgeEither) {
  CoordinatorOptions settings = options();
  settings.tolerable_failed = 2147483647;
  CheckpointCoordinator coordinator(settings);
  coordinator.on_start(0);
  EXPECT_EQ(lines(coordinator.on_time(1'000'000'000)), Lines{});
}

TEST(Coordinator, BacklogWithoutCheckpointsSuspendsTheAgeRule) {
  CoordinatorOptions settings = options();
  settings.interval_during_backlog_ms = 0;
  Job job(settings);
  job->set_backlog(true, 10);
  EXPECT_EQ(job.at(100'000), Lines{});
  job->set_backlog(false, 100'000);
  EXPECT_EQ(job->on_time(100'001).empty(), false);
  EXPECT_FALSE(job->is_over());
}

TEST(Coordinator, AnUnknownOutcomeIsAskedForAgainAndNeverDropped) {
  Job job(options());
  job.at(1000);
  job.ack_both(1);
  EXPECT_EQ(lines(job->on_publish_unknown(1, 1000)), Lines{});
  EXPECT_EQ(job.at(1499), Lines{});
  EXPECT_EQ(job.at(1500), Lines{"publish 1"});
  job->on_publish_unknown(1, 1500);
  EXPECT_EQ(lines(job->abort_all(AbortReason::kTaskFailure, 1600)), Lines{});
  EXPECT_EQ(job.at(2000), Lines{"publish 1"});
  EXPECT_EQ(job.published(1), Lines{"complete 1"});
}

TEST(Coordinator, AnOutcomeThatStaysUnknownFailsTheJob) {
  CoordinatorOptions settings = options();
  settings.age_limit_ms = 1'000'000;
  Job job(settings);
  job.at(1000);
  job.ack_both(1);
  job->on_publish_unknown(1, 1000);
  EXPECT_EQ(job.at(6000), Lines{"fail"});
}

TEST(Coordinator, AFailedPublicationCountsAndTheNextCheckpointFollows) {
  CoordinatorOptions settings = options();
  settings.tolerable_failed = 1;
  Job job(settings);
  job.at(1000);
  job.ack_both(1);
  EXPECT_EQ(lines(job->on_publish_failed(1, AbortReason::kFinalizeCheckpointFailure, 1001)),
            Lines{"abort 1 FINALIZE_CHECKPOINT_FAILURE"});
  EXPECT_EQ(job.at(2000), Lines{"trigger 2"});
}

TEST(Coordinator, WhenAllTasksAreAtTheEndTheFinalCheckpointComesAtOnce) {
  Job job(options());
  EXPECT_EQ(lines(job->on_task_end_of_data(1, 100)), Lines{});
  EXPECT_EQ(lines(job->on_task_end_of_data(2, 200)), Lines{"trigger 1 terminal"});
  job.ack_both(1);
  EXPECT_EQ(job.published(1), (Lines{"complete 1", "finished 1"}));
  EXPECT_EQ(job.at(100'000), Lines{});
}

TEST(Coordinator, TheInputMayEndWhileACheckpointRuns) {
  Job job(options());
  job.at(1000);
  job->on_task_end_of_data(1, 1001);
  EXPECT_EQ(lines(job->on_task_end_of_data(2, 1002)), Lines{"trigger 2 terminal"});
  EXPECT_EQ(job.ack_both(1), Lines{"publish 1"});
  EXPECT_EQ(job.published(1), Lines{"complete 1"});
  job.ack_both(2);
  EXPECT_EQ(job.published(2), (Lines{"complete 2", "finished 2"}));
}

TEST(Coordinator, AFailedFinalCheckpointIsTriedAgain) {
  CoordinatorOptions settings = options();
  settings.tolerable_failed = 3;
  Job job(settings);
  job->on_task_end_of_data(1, 0);
  job->on_task_end_of_data(2, 0);
  EXPECT_EQ(job.decline(1), Lines{"abort 1 CHECKPOINT_DECLINED release"});
  EXPECT_EQ(job->next_wake_ms(), 100);
  EXPECT_EQ(job.at(100), Lines{"trigger 2 terminal"});
}

TEST(Coordinator, AStopEndsTheJobAndAFailedStopLetsItGoOn) {
  CoordinatorOptions settings = options();
  settings.tolerable_failed = 5;
  Job job(settings);
  EXPECT_EQ(lines(job->request_stop(4, SnapshotKind::kSavepoint, true, 900)),
            Lines{"trigger 1 savepoint terminal drain"});
  EXPECT_EQ(job.at(1000), Lines{});  // nothing periodic beside a stop
  EXPECT_EQ(job.decline(1), (Lines{"abort 1 CHECKPOINT_DECLINED release",
                                   "answer 4 CHECKPOINT_DECLINED", "trigger 2"}));
  job.complete(2);
  EXPECT_EQ(lines(job->request_stop(5, SnapshotKind::kCheckpoint, false, 1500)),
            Lines{"trigger 3 terminal"});
  EXPECT_EQ(lines(job->request_savepoint(6, 1501)), Lines{"answer 6 PERIODIC_SCHEDULER_SHUTDOWN"});
  job.ack_both(3);
  EXPECT_EQ(job.published(3), (Lines{"complete 3", "answer 5 checkpoint 3", "finished 3"}));
  EXPECT_TRUE(job->is_over());
}

TEST(Coordinator, ATaskThatGoesAwayEndsWhatWaitsForIt) {
  Job job(options());
  job.at(1000);
  job.ack(1, 1);
  EXPECT_EQ(lines(job->on_task_finished(2, 1100)),
            Lines{"abort 1 CHECKPOINT_DECLINED_TASK_CLOSING"});
  EXPECT_EQ(job.at(2000), Lines{"trigger 2"});
  EXPECT_EQ(job.ack(1, 2), Lines{"publish 2"});
}

TEST(Coordinator, TooManyWaitingForDeletionHoldNewOnesBack) {
  Job job(options());
  job->set_waiting_for_deletion(2, 0);
  EXPECT_EQ(job.at(1000), Lines{});
  EXPECT_EQ(lines(job->set_waiting_for_deletion(1, 1500)), Lines{"trigger 1"});
}

TEST(Coordinator, AbortAllAnswersEverybody) {
  Job job(options());
  job.at(1000);
  job->request_checkpoint(8, 1001);
  EXPECT_EQ(lines(job->abort_all(AbortReason::kTaskFailure, 1002)),
            (Lines{"abort 1 TASK_FAILURE", "answer 8 TASK_FAILURE"}));
  EXPECT_EQ(job.at(9000), Lines{});
}

TEST(Coordinator, StatisticsHaveFlinksNames) {
  Job job(options());
  job.at(1000);
  job.ack_both(1);
  job->on_published(1, {10, 20, 30}, 1400);
  const CheckpointStatistics& s = job->statistics();
  EXPECT_EQ(s.number_of_completed_checkpoints, 1);
  EXPECT_EQ(s.last_checkpoint_duration_ms, 400);
  EXPECT_EQ(metrics_of(s).front().first, "totalNumberOfCheckpoints");
}

TEST(TriggerQueue, SavepointsThenForcedThenUsersThenPeriodicThenAge) {
  TriggerQueue queue;
  (void)queue.add({.request = 1, .is_periodic = true});
  (void)queue.add({.request = 2});
  (void)queue.add({.request = 3});
  (void)queue.add({.request = 4, .kind = SnapshotKind::kSavepoint});
  (void)queue.add({.request = 5, .kind = SnapshotKind::kSavepoint, .is_forced = true});
  std::vector<RequestId> order;
  while (const auto next = queue.take(false)) {
    order.push_back(next->request);
  }
  EXPECT_EQ(order, (std::vector<RequestId>{5, 4, 2, 3, 1}));
}

TEST(TriggerQueue, AFullQueueGivesUpItsLast) {
  TriggerQueue queue;
  for (std::size_t i = 0; i < TriggerQueue::kRequestsMax - 1; ++i) {
    EXPECT_FALSE(queue.add({.request = i + 1}).has_value());
  }
  EXPECT_FALSE(queue.add({.request = 5000, .is_periodic = true}).has_value());
  EXPECT_EQ(queue.add({.request = 5001})->request, 5000U);
  EXPECT_EQ(queue.add({.request = 5002})->request, 5002U);
}

TEST(TriggerQueue, WhileTheLimitIsReachedOnlyAForcedHeadMayStart) {
  TriggerQueue queue;
  (void)queue.add({.request = 1});
  EXPECT_FALSE(queue.take(true).has_value());
  (void)queue.add({.request = 2, .kind = SnapshotKind::kSavepoint, .is_forced = true});
  EXPECT_EQ(queue.take(true)->request, 2U);
}

TEST(CheckpointCoordinator, WhilePausedNothingIsPeriodicAndNothingIsTooOld) {
  CheckpointCoordinator c(options());
  (void)c.on_start(0);
  (void)c.on_tasks_running({0}, 0);
  (void)c.set_periodic_paused(true, 10);
  EXPECT_EQ(c.age_limit_ms(), kMaxTimestamp);
  EXPECT_EQ(lines(c.on_time(100'000'000)), Lines{});
  EXPECT_FALSE(lines(c.request_checkpoint(5, 100'000'000)).empty());  // on request all the same
  (void)c.set_periodic_paused(false, 100'000'100);
  EXPECT_EQ(c.age_ms(100'000'150), 50);
}

}  // namespace
}  // namespace weir::checkpoint
