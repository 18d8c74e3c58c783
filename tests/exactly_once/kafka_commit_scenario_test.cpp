// Scenarios A to D of the catalogue (docs/verification.md): timeouts, fencing, ambiguous commits,
// flushes that were none. Each test bears its id.
#include <thread>

#include <gtest/gtest.h>

#include "checkpoint_folder.h"
#include "kafka/committable.h"
#include "kafka/recovery_client.h"
#include "kafka_run.h"

namespace crash {
namespace {

namespace kafka = weir::kafka;

constexpr int kShortTimeoutMs = 3'000;
constexpr Milliseconds kPatience{60'000};

/// The transactions that the latest checkpoint still has to commit.
std::vector<kafka::PreparedTransaction> prepared_of(const JobSettings& settings) {
  std::vector<kafka::PreparedTransaction> all;
  for (const auto& sink : CheckpointFolder(settings.checkpoints).latest().sinks) {
    for (const weir::Committable& committable : sink.committables) {
      all.push_back(kafka::decode_prepared(committable).value());
    }
  }
  return all;
}

/// Dies between manifest and commit, and stays away until the broker has rolled the epoch back.
void stay_away_too_long(KafkaRun& run) {
  run.settings.transaction_timeout_ms = kShortTimeoutMs;
  STEP(run.campaign().kill_at("kafka.commit.before_end_txn:3"));
  ASSERT_FALSE(prepared_of(run.settings).empty());
  ASSERT_TRUE(run.broker.is_stable_within(run.settings.output, 30'000));
}

TEST(KafkaExactlyOnce, A1_EpochRolledBackByTheTimeoutIsReplayedFromTheLog) {
  NEEDS_BROKER();
  KafkaRun run(broker);
  STEP(stay_away_too_long(run));
  STEP(run.finish());
  run.expect_log("producing it again from the replay log");
  run.expect_exact();
}

TEST(KafkaExactlyOnce, A1_A2_WithoutTheLogTheJobStopsNamesTheEpochAndNoSettingPassesOverIt) {
  NEEDS_BROKER();
  KafkaRun run(broker);
  run.settings.has_replay_log = false;
  STEP(stay_away_too_long(run));
  const std::int64_t lost = CheckpointFolder(run.settings.checkpoints).latest().checkpoint;
  for (const char* attempt : {"as it was", "once more", "with other guarantees"}) {
    if (attempt == std::string("with other guarantees")) {
      run.settings.guarantee = weir::DeliveryGuarantee::kAtLeastOnce;
    }
    const JobProcess::Report report = run.run_to_failure();
    EXPECT_NE(report.error.find("checkpoint " + std::to_string(lost)), std::string::npos)
        << attempt << ": " << report.error;
    if (attempt != std::string("with other guarantees")) {
      EXPECT_EQ(report.code, "lost") << attempt;
      EXPECT_NE(report.error.find("rolled back"), std::string::npos) << report.error;
    }
  }
  run.settings.guarantee = weir::DeliveryGuarantee::kExactlyOnce;
  run.settings.transactional_id_prefix = "another-prefix";
  EXPECT_EQ(run.run_to_failure().code, "lost");
  run.settings.definitions = {"execution.state-recovery.ignore-unclaimed-state=true"};
  EXPECT_EQ(run.run_to_failure().code, "lost");
  run.expect_prefix();
  EXPECT_EQ(CheckpointFolder(run.settings.checkpoints).latest().checkpoint, lost)
      << "the job ran on past the lost epoch";
}

TEST(KafkaExactlyOnce, A1_EpochRolledBackUnderTheRunningJobIsReplayedInOrder) {
  NEEDS_BROKER();
  KafkaRun run(broker);
  const auto job = run.start({.kill_at = "", .stop_at = "kafka.commit.before_end_txn:5"});
  ASSERT_TRUE(job->wait_until_stopped(kPatience)) << job->report().error;
  const auto prepared = prepared_of(run.settings);
  ASSERT_FALSE(prepared.empty());
  kafka::Properties properties;
  properties.set("bootstrap.servers", broker.bootstrap());
  kafka::RecoveryClient client(kafka::make_client_config(properties).value());
  for (const kafka::PreparedTransaction& one : prepared) {
    ASSERT_TRUE(client.fence(one.transactional_id, kafka::deadline_after_ms(10'000)).ok());
  }
  job->resume();  // Records of the next epoch are on their way, or in the topic.
  STEP(run.finish(*job));
  run.expect_log("producing it again from the replay log");
  run.expect_exact();
}

TEST(KafkaExactlyOnce, A4_KilledBeforeTheCommitIsFinishedFromTheStoredIdentity) {
  NEEDS_BROKER();
  KafkaRun run(broker);
  STEP(run.campaign().kill_at("kafka.commit.before_end_txn:3"));
  ASSERT_FALSE(prepared_of(run.settings).empty());
  STEP(run.finish());
  run.expect_log("producing it again", false);
  run.expect_exact();
}

TEST(KafkaExactlyOnce, A5_WhatAKilledAttemptLeftOpenIsAbortedSoThatReadersMoveOn) {
  NEEDS_BROKER();
  KafkaRun run(broker);
  run.settings.transaction_timeout_ms = 600'000;  // Nothing but the job itself can end them.
  STEP(run.campaign().kill_at("kafka.sink.after_flush:4"));
  ASSERT_NE(broker.stable_ends(run.settings.output), broker.log_ends(run.settings.output));
  STEP(run.finish());
  run.expect_exact();
}

TEST(KafkaExactlyOnce, A6_UnsafeTimeoutsAreRefusedAtTheStart) {
  NEEDS_BROKER();
  KafkaRun run(broker, {.per_second = 0, .records = 10});
  run.settings.has_replay_log = false;
  run.settings.transaction_timeout_ms = 10'000;
  run.settings.worst_recovery_ms = 300'000;
  JobProcess::Report report = run.run_to_failure();
  EXPECT_EQ(report.code, "invalid argument");
  EXPECT_NE(report.error.find("transaction.timeout.ms is 10000"), std::string::npos)
      << report.error;
  run.settings.transaction_timeout_ms = 1'200'000;
  report = run.run_to_failure();
  EXPECT_NE(report.error.find("transaction.max.timeout.ms of 900000"), std::string::npos)
      << report.error;
  EXPECT_EQ(run.oracle.seen(), 0);
}

TEST(KafkaExactlyOnce, A12_ManySmallTransactionsInARowCarryEveryRecord) {
  NEEDS_BROKER();
  KafkaRun run(broker, {.per_second = 300, .records = 1'299});
  run.settings.interval_ms = 20;
  const auto job = run.start();
  ASSERT_TRUE(job->wait_for_checkpoints(60, kPatience)) << job->report().error;
  STEP(run.finish(*job));
  run.expect_exact();
}

TEST(KafkaExactlyOnce, B1_CommittingAnEpochAgainLeavesTheNextOneAlone) {
  NEEDS_BROKER();
  KafkaRun run(broker);
  // The epoch is committed on one id while the next is open on another, and is committed again.
  STEP(run.campaign().kill_at("kafka.commit.after_end_txn:3"));
  STEP(run.campaign().kill_at("kafka.recover.after_commit"));
  STEP(run.finish());
  run.expect_exact();
}

TEST(KafkaExactlyOnce, B2_TwoSinksWithDefaultNamesUseDifferentIds) {
  NEEDS_BROKER();
  KafkaRun run(broker, {.pipeline = "kafka-twins"});
  run.settings.second_output = broker.create_topic("output", KafkaRun::kOutputPartitions);
  Oracle second(run.settings.seed, KafkaRun::kKeys, run.settings.records, Oracle::Values::kOwn);
  CommittedReader reader(broker.bootstrap(), run.settings.second_output,
                         KafkaRun::kOutputPartitions, into(second));
  STEP(run.campaign().kill_at("kafka.commit.before_end_txn:3"));
  STEP(run.campaign().kill_at("kafka.commit.after_end_txn:3"));
  STEP(run.finish());
  run.expect_exact();
  second.limit(static_cast<std::uint64_t>(run.oracle.expected()));
  EXPECT_TRUE(reader.wait_for(second.expected(), 30'000));
  EXPECT_TRUE(reader.wait_for_end(10'000));
  EXPECT_TRUE(second.at_end().none()) << second.at_end().to_string();
}

TEST(KafkaExactlyOnce, B2_TwoSinksWithOnePrefixAreRefused) {
  NEEDS_BROKER();
  KafkaRun run(broker, {.pipeline = "kafka-twins", .per_second = 0, .records = 100});
  run.settings.second_output = broker.create_topic("output", 1);
  run.settings.transactional_id_prefix = "the-same";
  const JobProcess::Report report = run.run_to_failure();
  EXPECT_NE(report.error.find("the-same"), std::string::npos) << report.error;
  run.expect_prefix();
}

TEST(KafkaExactlyOnce, B4_LateEndTxnOfAnEarlierEpochHitsNothing) {
  NEEDS_BROKER();
  KafkaRun run(broker);
  STEP(run.campaign().kill_at("kafka.commit.before_end_txn:3"));
  const auto prepared = prepared_of(run.settings);
  ASSERT_FALSE(prepared.empty());
  const auto job = run.start();
  // Long enough for every pooled id to have been used again.
  ASSERT_TRUE(job->wait_for_checkpoints(6, kPatience)) << job->report().error;
  kafka::Properties properties;
  properties.set("bootstrap.servers", broker.bootstrap());
  kafka::BrokerClient client(kafka::make_client_config(properties).value());
  for (const kafka::PreparedTransaction& one : prepared) {
    for (const bool is_commit : {false, true}) {
      const auto answer = client.call_coordinator(kafka::CoordinatorType::kTransaction,
                                                  one.transactional_id, kafka::kEndTxnV1,
                                                  kafka::encode_end_txn(one.identity(), is_commit));
      ASSERT_TRUE(answer.ok()) << answer.error().message;
      EXPECT_NE(kafka::decode_end_txn(answer.value()).value_or(0), kafka::kNoError)
          << "the broker obeyed a producer that is long gone";
    }
  }
  STEP(run.finish(*job));
  run.expect_exact();
}

TEST(KafkaExactlyOnce, B12_OverlongPrefixesThatDifferAtTheEndGiveDifferentIds) {
  NEEDS_BROKER();
  const std::string stem(400, 'x');
  KafkaRun one(broker, {.per_second = 0, .records = 3'000});
  KafkaRun other(broker, {.per_second = 0, .records = 3'000});
  one.settings.transactional_id_prefix = stem + "1";
  other.settings.transactional_id_prefix = stem + "2";
  const auto job = one.start();
  const auto neighbour = other.start();
  EXPECT_TRUE(job->wait(kPatience).value_or(Ending{}).is_success()) << job->report().error;
  EXPECT_TRUE(neighbour->wait(kPatience).value_or(Ending{}).is_success())
      << neighbour->report().error;
  one.expect_exact();
  other.expect_exact();
}

TEST(KafkaExactlyOnce, C2_CommitWhoseReplyWasLostIsFoundDoneByALaterAttempt) {
  NEEDS_BROKER();
  KafkaRun run(broker);
  STEP(run.campaign().kill_at("kafka.commit.after_end_txn:3"));
  STEP(run.campaign().kill_at("kafka.recover.after_commit"));
  STEP(run.campaign().kill_at("kafka.recover.after_commit"));
  STEP(run.finish());
  run.expect_log("producing it again", false);
  run.expect_exact();
}

TEST(KafkaExactlyOnce, C13_CommitThatFailsForAWhileIsKeptAndRepeated) {
  NEEDS_BROKER();
  KafkaRun run(broker);
  const auto job = run.start({.kill_at = "", .stop_at = "kafka.commit.before_end_txn:5"});
  ASSERT_TRUE(job->wait_until_stopped(kPatience)) << job->report().error;
  broker.pause();
  job->resume();  // Its EndTxn meets a broker that does not answer.
  std::this_thread::sleep_for(Milliseconds(5'000));
  broker.resume();
  STEP(run.finish(*job));
  run.expect_exact();
}

TEST(KafkaExactlyOnce, C14_SeveralCommittablesAreCommittedOnceEachAtAnotherParallelism) {
  NEEDS_BROKER();
  KafkaRun run(broker);
  run.settings.parallelism = 4;
  STEP(run.campaign().kill_at("kafka.commit.before_end_txn:5"));
  EXPECT_GT(prepared_of(run.settings).size(), 1U);
  run.campaign().settings().parallelism = 1;
  STEP(run.campaign().kill_at("restore.before_commit"));
  run.campaign().settings().parallelism = 3;
  STEP(run.campaign().kill_at("kafka.recover.after_commit:2"));
  STEP(run.finish());
  run.expect_exact();
}

TEST(KafkaExactlyOnce, D1_D2_RecordThatTheBrokerRefusesFailsTheCheckpointAndLosesNothing) {
  NEEDS_BROKER();
  KafkaRun run(broker, {.per_second = 0, .records = 60'000});
  run.settings.output = broker.create_topic("narrow", 1, {"max.message.bytes=20000"});
  run.settings.sink_properties = {{"batch.size", "10000"}};
  run.settings.huge_sequence = 1'500;
  run.settings.definitions = {"restart-strategy.type=none"};
  Oracle oracle(run.settings.seed, KafkaRun::kKeys, run.settings.records);
  CommittedReader reader(broker.bootstrap(), run.settings.output, 1, into(oracle));
  const JobProcess::Report report = run.run_to_failure();
  EXPECT_NE(report.error.find("too large"), std::string::npos) << report.error;
  EXPECT_TRUE(reader.wait_for_end(10'000));
  EXPECT_TRUE(oracle.so_far().none()) << oracle.so_far().to_string();
  run.settings.huge_sequence = -1;
  STEP(run.finish());
  EXPECT_TRUE(reader.wait_for(oracle.expected(), 30'000));
  EXPECT_TRUE(reader.wait_for_end(10'000));
  EXPECT_TRUE(oracle.at_end().none()) << oracle.at_end().to_string();
}

}  // namespace
}  // namespace crash
