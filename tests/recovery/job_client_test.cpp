#include <thread>

#include "recovery/client_scenario.h"

/// Requests to a running job.
namespace weir::recovery {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST_F(JobClientTest, ACheckpointOnRequestIsOneLikeAnyOther) {
  JobClient job = start(without_period());
  const Result<SnapshotInfo> first = answer(job.trigger_checkpoint());
  ASSERT_TRUE(first.ok()) << first.error().message;
  EXPECT_EQ(first.value().checkpoint, 1);
  EXPECT_TRUE(std::filesystem::exists(first.value().path + "/_metadata"));
  EXPECT_TRUE(std::filesystem::path(first.value().path).is_absolute());
  EXPECT_EQ(answer(job.trigger_checkpoint()).value().checkpoint, 2);
  // Its epoch is committed.
  EXPECT_TRUE(wait_until([&] { return !counts_->rows().empty(); }));
  job.cancel();
  EXPECT_EQ(job.wait().value().state, JobState::kCanceled);
}

TEST_F(JobClientTest, TheStatusIsThatOfTheJob) {
  JobClient job = start(configuration());
  EXPECT_EQ(job.job_name(), "recovery");
  EXPECT_EQ(job.job_id().size(), 32U);
  EXPECT_TRUE(wait_until([&] {
    const JobStatus status = job.status();
    return status.phase == JobPhase::kRunning && status.checkpoints_completed > 2;
  }));
  job.cancel();
  expect_state(job.wait(), JobState::kCanceled);
  EXPECT_EQ(job.status().phase, JobPhase::kCanceled);
}

TEST_F(JobClientTest, ASuspendedJobGoesOnWhereItStopped) {
  source_.count = 1000;
  source_.events_per_checkpoint = 50;
  JobClient job = start(configuration());
  EXPECT_TRUE(wait_until([&] { return counts_->commits() > 1; }));
  job.suspend();
  ASSERT_TRUE(job.wait().ok());
  expect_state(run_counts(configuration(3), dud()), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(JobClientTest, ACancelledJobCommitsNothingMoreAndGoesOnFromItsLastCheckpoint) {
  source_.count = 2000;
  source_.events_per_checkpoint = 20;
  JobClient job = start(configuration());
  EXPECT_TRUE(wait_until([&] { return counts_->commits() > 2; }));
  job.cancel();
  expect_state(job.wait(), JobState::kCanceled);
  const std::size_t commits = counts_->commits();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(counts_->commits(), commits);
  source_.events_per_checkpoint = 500;
  expect_state(run_counts(configuration(), dud()), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(JobClientTest, ACancelIsHeardWhileTheJobWaitsForItsRestart) {
  Configuration settings = configuration();
  settings.set(options::kFixedDelay, DurationMs(3'600'000));
  Environment environment(settings);
  count_events(environment, Bomb::throwing(50));
  JobClient job = environment.execute_async("recovery").value();
  EXPECT_TRUE(wait_until([&] { return job.status().phase == JobPhase::kRestarting; }));
  SnapshotReply reply = job.trigger_checkpoint();
  job.cancel();
  expect_state(job.wait(), JobState::kCanceled);
  EXPECT_FALSE(answer(std::move(reply)).ok());
}

TEST_F(JobClientTest, AfterTheEndRequestsAreRefused) {
  source_.count = 100;
  JobClient job = start(configuration());
  expect_state(job.wait(), JobState::kFinished);
  const Result<SnapshotInfo> refused = answer(job.trigger_savepoint(directory_ + "/savepoints"));
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("has ended"));
}

TEST_F(JobClientTest, ASavepointNeedsADirectory) {
  JobClient job = start(configuration());
  const Result<SnapshotInfo> refused = answer(job.trigger_savepoint());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(refused.error().message, HasSubstr("execution.checkpointing.savepoint-dir"));
  job.cancel();
}

TEST_F(JobClientTest, ManyThreadsMayAskAtOnce) {
  JobClient job = start(configuration());
  std::vector<std::thread> threads;
  std::atomic<int> answered{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, client = job]() mutable {
      for (int j = 0; j < 3; ++j) {
        answered += answer(client.trigger_checkpoint()).ok() ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(answered, 12);
  job.cancel();
}

}  // namespace
}  // namespace weir::recovery
