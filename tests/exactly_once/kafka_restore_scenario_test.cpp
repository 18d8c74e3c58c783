// Scenarios E, K and N of the catalogue (docs/verification.md) against a real broker.
#include <thread>

#include <gtest/gtest.h>

#include "checkpoint_folder.h"
#include "kafka_run.h"

namespace crash {
namespace {

constexpr Milliseconds kPatience{60'000};

TEST(KafkaExactlyOnce, E1_FinishedJobStartedAgainDoesNothing) {
  NEEDS_BROKER();
  KafkaRun run(broker, {.per_second = 0, .records = 2'000});
  STEP(run.finish());
  run.expect_exact();
  const auto ends = broker.log_ends(run.settings.output);
  STEP(run.finish());
  run.expect_exact();
  EXPECT_EQ(broker.log_ends(run.settings.output), ends) << "something was written again";
}

TEST(KafkaExactlyOnce, E10_CheckpointOfALargerJobIsRefusedWithTheDifference) {
  NEEDS_BROKER();
  KafkaRun run(broker, {.pipeline = "kafka-nested"});
  STEP(run.campaign().kill_at("kafka.commit.before_end_txn:3"));
  run.settings.pipeline = "kafka-kafka";
  const JobProcess::Report report = run.run_to_failure();
  EXPECT_NE(report.error.find("latest"), std::string::npos) << report.error;
  run.settings.pipeline = "kafka-nested";
  STEP(run.finish());
  run.expect_exact();
}

TEST(KafkaExactlyOnce, K1_TopicDeletedAndCreatedAgainIsRefusedWithBothIds) {
  NEEDS_BROKER();
  KafkaRun run(broker, {.per_second = 0, .records = 100'000});
  run.settings.delay_us = 10;
  STEP(run.campaign().kill_at("kafka.commit.after_end_txn:1"));
  broker.delete_topic(run.settings.input);
  broker.create_topic_named(run.settings.input, KafkaRun::kInputPartitions);
  run.produce(0, 100'000);
  const JobProcess::Report report = run.run_to_failure();
  EXPECT_NE(report.error.find("deleted and created again"), std::string::npos) << report.error;
  EXPECT_NE(report.error.find("topic id"), std::string::npos) << report.error;
  run.expect_prefix();
}

TEST(KafkaExactlyOnce, K2_StartPositionIsResolvedOnceEvenIfNothingWasRead) {
  NEEDS_BROKER();
  KafkaRun run(broker, {.per_second = 0, .records = 3'000, .is_bounded = false});
  run.settings.starts_at_latest = true;
  auto job = run.start();
  ASSERT_TRUE(job->wait_for_checkpoints(2, kPatience)) << job->report().error;
  job->kill();
  ASSERT_TRUE(job->wait(kPatience).has_value());
  run.produce(0, 3'000);  // Behind the start position; "latest" would now be behind these.
  STEP(run.finish());
  run.expect_exact();
}

TEST(KafkaExactlyOnce, K4_HolesOfControlAndAbortedRecordsAreNoLoss) {
  NEEDS_BROKER();
  KafkaRun run(broker, {.per_second = 0, .records = 100'000, .per_transaction = 1'000});
  run.settings.delay_us = 5;
  STEP(run.campaign().kill_at("kafka.commit.after_end_txn:1"));
  STEP(run.campaign().kill_at_random());
  STEP(run.finish());
  run.expect_exact();
}

TEST(KafkaExactlyOnce, N2_CleanStopLeavesNoTransactionOpenAndResumes) {
  NEEDS_BROKER();
  KafkaRun run(broker);
  for (int stops = 0; stops < 2; ++stops) {
    const auto job = run.start();
    ASSERT_TRUE(job->wait_for_checkpoints(5, kPatience)) << job->report().error;
    job->terminate();
    ASSERT_TRUE(job->wait(kPatience).value_or(Ending{}).is_success()) << job->report().error;
    EXPECT_EQ(job->report().end, "suspended");
    EXPECT_EQ(broker.stable_ends(run.settings.output), broker.log_ends(run.settings.output));
    run.expect_prefix();
  }
  STEP(run.finish());
  run.expect_exact();
}

TEST(KafkaExactlyOnce, N4_IdsThatNoSubtaskOwnsAfterScalingDownAreAborted) {
  NEEDS_BROKER();
  KafkaRun run(broker);
  run.settings.parallelism = 4;
  run.settings.transaction_timeout_ms = 600'000;
  STEP(run.campaign().kill_at("kafka.sink.after_flush:8"));
  run.settings.parallelism = 1;
  STEP(run.finish());
  run.expect_exact();
}

TEST(KafkaExactlyOnce, N12_EpochOfAKilledJobIsCommittedAtOnceAlsoWithALongInterval) {
  NEEDS_BROKER();
  KafkaRun run(broker);
  STEP(run.campaign().kill_at("kafka.commit.before_end_txn:3"));
  const std::int64_t before = run.oracle.seen();
  run.settings.interval_ms = 3'600'000;
  const auto job = run.start();
  ASSERT_TRUE(job->wait_until_running(kPatience)) << job->report().error;
  run.wait_for_end();
  EXPECT_GT(run.oracle.seen(), before);
  run.expect_prefix();
  job->kill();
  ASSERT_TRUE(job->wait(kPatience).has_value());
  run.settings.interval_ms = 150;
  STEP(run.finish());
  run.expect_exact();
}

TEST(KafkaExactlyOnce, N14_InputThatEndsWhileCheckpointsRunIsCommittedOnce) {
  NEEDS_BROKER();
  for (const int delay_us : {0, 5, 30}) {
    KafkaRun run(broker, {.per_second = 0, .records = 2'000});
    run.settings.interval_ms = 10;
    run.settings.delay_us = delay_us;
    const auto job = run.start();
    ASSERT_TRUE(job->wait(kPatience).value_or(Ending{}).is_success()) << job->report().error;
    run.expect_exact();
  }
}

TEST(KafkaExactlyOnce, N22_BrokerThatHangsHoldsTheCheckpointsUpButNotTheJob) {
  NEEDS_BROKER();
  KafkaRun run(broker, {.pipeline = "gen-kafka", .per_second = 0, .records = 20'000});
  run.settings.records_per_second = 3'000;
  run.settings.definitions = {"execution.checkpointing.timeout=1 s",
                              "execution.checkpointing.tolerable-failed-checkpoints=1000"};
  const auto job = run.start();
  ASSERT_TRUE(job->wait_for_checkpoints(3, kPatience)) << job->report().error;
  broker.pause();
  // It goes on to report, and counts the checkpoints that time out.
  const bool has_failed = job->wait_until(
      [](const JobProcess::Report& report) { return report.failed >= 2; }, Milliseconds(20'000));
  broker.resume();
  EXPECT_TRUE(has_failed);
  STEP(run.finish(*job));
  run.expect_exact();
}

TEST(KafkaExactlyOnce, EpochsWithoutRecordsAreHarmless) {
  NEEDS_BROKER();
  KafkaRun run(broker, {.per_second = 0, .records = 2'000, .is_bounded = false});
  run.produce(0, 1'000);
  auto job = run.start();
  ASSERT_TRUE(job->wait_for_checkpoints(5, kPatience)) << job->report().error;
  job->kill();
  ASSERT_TRUE(job->wait(kPatience).has_value());
  job = run.start();
  ASSERT_TRUE(job->wait_for_checkpoints(5, kPatience)) << job->report().error;
  run.produce(1'000, 1'000);
  STEP(run.finish(*job));
  run.expect_exact();
}

}  // namespace
}  // namespace crash
