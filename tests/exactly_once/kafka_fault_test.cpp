// The broker restarts, dies, stays away; a zombie comes back; input and settings are bad.
#include <filesystem>
#include <mutex>
#include <thread>

#include <gtest/gtest.h>

#include "checkpoint_folder.h"
#include "kafka_run.h"

namespace crash {
namespace {

constexpr Milliseconds kPatience{60'000};

/// Restarts within the process, as a job in production has them.
std::vector<std::string> quick_restarts() {
  return {"restart-strategy.type=fixed-delay", "restart-strategy.fixed-delay.attempts=1000",
          "restart-strategy.fixed-delay.delay=300 ms"};
}

TEST(KafkaFaults, BrokerThatRestartsDuringTheRunCostsNothing) {
  NEEDS_BROKER();
  KafkaRun run(broker);
  run.settings.definitions = quick_restarts();
  const auto job = run.start();
  ASSERT_TRUE(job->wait_for_checkpoints(6, kPatience)) << job->report().error;
  broker.restart();
  STEP(run.finish(*job));
  run.expect_exact();
}

TEST(KafkaFaults, BrokerThatIsKilledDuringTheRunCostsNothing) {
  NEEDS_BROKER();
  KafkaRun run(broker);
  run.settings.definitions = quick_restarts();
  const auto job = run.start();
  ASSERT_TRUE(job->wait_for_checkpoints(6, kPatience)) << job->report().error;
  broker.kill();
  broker.restart();
  STEP(run.finish(*job));
  run.expect_exact();
}

TEST(KafkaFaults, BrokerDownForLongerThanTheTransactionTimeoutCostsNothing) {
  NEEDS_BROKER();
  KafkaRun run(broker);
  run.settings.definitions = quick_restarts();
  run.settings.transaction_timeout_ms = 3'000;
  const auto job = run.start();
  ASSERT_TRUE(job->wait_for_checkpoints(6, kPatience)) << job->report().error;
  broker.kill();
  std::this_thread::sleep_for(Milliseconds(6'000));
  broker.restart();
  STEP(run.finish(*job));
  run.expect_exact();
}

TEST(KafkaFaults, SecondProcessOfTheSameJobIsRefused) {
  NEEDS_BROKER();
  KafkaRun run(broker);
  const auto job = run.start();
  ASSERT_TRUE(job->wait_for_checkpoints(1, kPatience)) << job->report().error;
  const JobProcess::Report second = run.run_to_failure();
  EXPECT_EQ(second.code, "unavailable");
  EXPECT_NE(second.error.find("seems to run already"), std::string::npos) << second.error;
  STEP(run.finish(*job));
  run.expect_exact();
}

/// Zombies. The checkpoint directory's lock is one of the machine: it keeps a second process on the
/// same machine out, stopped first one or not. What follows is the case it cannot see: the second
/// attempt runs on another machine (NFS without working locks), which is the same as a lock file
/// that is gone.
class KafkaZombie : public ::testing::Test {
 protected:
  /// Starts a job that stops itself at `point` and, once it did, a second attempt of it.
  void start_both(KafkaRun& run, const std::string& point) {
    zombie_ = run.start({.kill_at = "", .stop_at = point});
    ASSERT_TRUE(zombie_->wait_until_running(kPatience)) << zombie_->report().error;
    ASSERT_TRUE(zombie_->wait_until_stopped(kPatience)) << "never stopped at " << point;
    std::filesystem::remove(CheckpointFolder(run.settings.checkpoints).lock_file());
    successor_ = run.start();
    ASSERT_TRUE(successor_->wait_until_running(kPatience)) << successor_->report().error;
  }
  /// The zombie comes back, must end as fenced, and must have changed nothing.
  void expect_harmless(KafkaRun& run) {
    zombie_->resume();
    const auto ending = zombie_->wait(kPatience);
    ASSERT_TRUE(ending.has_value()) << "the zombie lives on; see " << run.workspace.log();
    EXPECT_EQ(ending->exit_status, 1);
    EXPECT_EQ(zombie_->report().code, "fenced") << zombie_->report().error;
    STEP(run.finish(*successor_));
    run.expect_exact();
  }
  std::unique_ptr<JobProcess> zombie_;
  std::unique_ptr<JobProcess> successor_;
};

TEST_F(KafkaZombie, StoppedInMidEpochGetsNothingCommitted) {
  NEEDS_BROKER();
  KafkaRun run(broker);
  STEP(start_both(run, "kafka.sink.after_flush:5"));
  ASSERT_TRUE(successor_->wait_for_checkpoints(2, kPatience));
  STEP(expect_harmless(run));
}

TEST_F(KafkaZombie, StoppedBeforeItsCommitGetsNothingCommittedTwice) {
  NEEDS_BROKER();
  KafkaRun run(broker);
  STEP(start_both(run, "kafka.commit.before_end_txn:6"));
  ASSERT_TRUE(successor_->wait_for_checkpoints(2, kPatience));
  STEP(expect_harmless(run));
}

TEST_F(KafkaZombie, StoppedBetweenLeadershipCheckAndManifestGetsNothingCommitted) {
  NEEDS_BROKER();
  KafkaRun run(broker);
  STEP(start_both(run, "checkpoint.before_manifest:10"));
  ASSERT_TRUE(successor_->wait_for_checkpoints(2, kPatience));
  STEP(expect_harmless(run));
}

TEST_F(KafkaZombie, StoppedBeforeTheManifestAndBackBeforeItsSuccessorCommitsGetsNothingCommitted) {
  NEEDS_BROKER();
  KafkaRun run(broker);
  run.settings.definitions = {"execution.checkpointing.min-pause=0 ms"};
  zombie_ = run.start({.kill_at = "", .stop_at = "checkpoint.before_manifest:10"});
  ASSERT_TRUE(zombie_->wait_until_running(kPatience)) << zombie_->report().error;
  ASSERT_TRUE(zombie_->wait_until_stopped(kPatience));
  std::filesystem::remove(CheckpointFolder(run.settings.checkpoints).lock_file());
  run.settings.interval_ms = 4'000;  // Its first commit comes late.
  successor_ = run.start();
  ASSERT_TRUE(successor_->wait_until_running(kPatience)) << successor_->report().error;
  STEP(expect_harmless(run));
}

TEST(KafkaBadInput, BrokenRecordsFailTheJobByDefaultAndAreNamed) {
  NEEDS_BROKER();
  KafkaRun run(broker, {.per_second = 0, .records = 1'000});
  produce_values(broker.bootstrap(), run.settings.input, 2, {"rubbish"});
  run.settings.definitions = {"restart-strategy.type=none"};
  const JobProcess::Report report = run.run_to_failure();
  EXPECT_NE(report.error.find(run.settings.input + "[2]@250"), std::string::npos) << report.error;
  run.expect_prefix();
}

TEST(KafkaBadInput, BrokenRecordsAreSkippedOnRequest) {
  NEEDS_BROKER();
  KafkaRun run(broker, {.per_second = 0, .records = 4'000, .is_bounded = false});
  run.produce(0, 2'000);
  produce_values(broker.bootstrap(), run.settings.input, 1, {"rubbish", "more rubbish"});
  run.produce(2'000, 2'000);
  run.settings.is_bounded = true;
  run.settings.bad_records = "skip";
  STEP(run.campaign().kill_at("kafka.commit.after_end_txn:1"));
  STEP(run.finish());
  run.expect_exact();
}

TEST(KafkaBadInput, DeadLettersAreWrittenExactlyOnceInTheEpochOfTheResults) {
  NEEDS_BROKER();
  KafkaRun run(broker,
               {.pipeline = "kafka-dead", .per_second = 0, .records = 12'000, .is_bounded = false});
  run.settings.second_output = broker.create_topic("dead", 1);
  std::vector<std::string> rubbish;
  for (int i = 0; i < 60; ++i) {
    run.produce(static_cast<std::uint64_t>(i) * 200, 200);
    rubbish.push_back("rubbish " + std::to_string(i));
    produce_values(broker.bootstrap(), run.settings.input, 1, {rubbish.back()});
  }
  run.settings.is_bounded = true;
  run.settings.delay_us = 20;
  std::mutex mutex;
  std::vector<std::string> dead;
  CommittedReader reader(broker.bootstrap(), run.settings.second_output, 1,
                         [&](std::string_view value) {
                           const std::scoped_lock lock(mutex);
                           dead.emplace_back(value);
                         });
  STEP(run.campaign().kill_at("kafka.commit.before_end_txn:1"));
  STEP(run.campaign().kill_at("kafka.recover.after_commit"));
  STEP(run.finish());
  run.expect_exact();
  EXPECT_TRUE(reader.wait_for(60, 30'000));
  EXPECT_TRUE(reader.wait_for_end(10'000));
  const std::scoped_lock lock(mutex);
  EXPECT_EQ(dead, rubbish);
}

TEST(KafkaBadInput, UnreachableBrokerIsOneClearError) {
  NEEDS_BROKER();
  KafkaRun run(broker, {.per_second = 0, .records = 10});
  run.settings.bootstrap = "127.0.0.1:1";
  const auto began = std::chrono::steady_clock::now();
  const JobProcess::Report report = run.run_to_failure();
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(30));
  EXPECT_NE(report.error.find("127.0.0.1:1"), std::string::npos) << report.error;
  run.settings.bootstrap = broker.bootstrap();
  STEP(run.finish());
  run.expect_exact();
}

TEST(KafkaBadInput, WrongPasswordIsOneClearErrorWithoutThePassword) {
  NEEDS_BROKER();
  KafkaRun run(broker, {.per_second = 0, .records = 10});
  run.settings.bootstrap = broker.sasl_bootstrap();
  run.settings.client_properties = {{"security.protocol", "SASL_PLAINTEXT"},
                                    {"sasl.mechanism", "PLAIN"},
                                    {"sasl.username", "weir"},
                                    {"sasl.password", "S3CR3T-canary"}};
  const JobProcess::Report report = run.run_to_failure();
  EXPECT_EQ(report.code, "authentication") << report.error;
  EXPECT_EQ(report.error.find("S3CR3T"), std::string::npos) << report.error;
  run.expect_log("S3CR3T", false);
  run.settings.client_properties["sasl.password"] = "weir-secret";
  STEP(run.finish());
  run.expect_exact();
}

TEST(KafkaBadInput, TopicThatIsMissingIsNamed) {
  NEEDS_BROKER();
  KafkaRun run(broker, {.per_second = 0, .records = 10});
  const std::string good = run.settings.output;
  run.settings.output = "no-such-topic";
  const JobProcess::Report report = run.run_to_failure();
  EXPECT_NE(report.error.find("'no-such-topic' does not exist"), std::string::npos) << report.error;
}

}  // namespace
}  // namespace crash
