// Kafka pipelines on a real broker, killed with SIGKILL at every named point and at random moments,
// while a read_committed consumer judges the output as it appears.
#include <thread>

#include <gtest/gtest.h>

#include "committed_files.h"
#include "event_text.h"
#include "kafka_run.h"

namespace crash {
namespace {

const std::vector<std::string>& kafka_points() {
  static const std::vector<std::string> points{
      "kafka.sink.before_flush", "kafka.sink.after_flush", "kafka.sink.after_prepare",
      "kafka.commit.before_end_txn", "kafka.commit.after_end_txn"};
  return points;
}

void kill_at_every_point(Campaign& campaign) {
  for (const std::string& point : engine_points()) {
    STEP(campaign.kill_at(point));
  }
  for (const std::string& point : kafka_points()) {
    STEP(campaign.kill_at(point + ":3"));  // Only epochs with records come there.
  }
  for (const std::string& point : restore_points()) {
    STEP(campaign.kill_in_recovery_at(point));
  }
  // Crashes in the recovery from a crash in the recovery.
  STEP(campaign.kill_in_recovery_at("kafka.recover.before_commit"));
  STEP(campaign.kill_at("kafka.recover.after_commit"));
  STEP(campaign.kill_at("kafka.recover.after_commit"));
}

/// Leaves a prepared epoch behind, waits until the broker has rolled it back, and dies twice while
/// it is produced again.
void kill_in_replay(KafkaRun& run) {
  STEP(run.campaign().kill_at("kafka.commit.before_end_txn:3"));
  ASSERT_TRUE(run.broker.is_stable_within(run.settings.output, 30'000));
  STEP(run.campaign().kill_at("kafka.replay.before_commit"));
  STEP(run.campaign().kill_at("kafka.replay.before_commit"));
}

TEST(KafkaCampaign, StateToTopicLosesDoublesAndReordersNothing) {
  NEEDS_BROKER();
  KafkaRun run(broker);
  run.settings.transaction_timeout_ms = 5'000;
  STEP(kill_at_every_point(run.campaign()));
  STEP(kill_in_replay(run));
  const int kills = campaign_kills(40);
  while (run.campaign().kills() < kills) {
    STEP(run.campaign().kill_at_random());
  }
  STEP(run.finish());
  run.expect_exact();
  std::printf("%s\n  output: %s\n", run.campaign().summary().c_str(),
              run.oracle.at_end().to_string().c_str());
}

// Each epoch has a producer of its own: those of the next one must wait for the last flush.
TEST(KafkaCampaign, ShortEpochsAtFullSpeedKeepTheOrderOfEachKey) {
  NEEDS_BROKER();
  KafkaRun run(broker, {.per_second = 0, .records = 400'000});
  run.settings.interval_ms = 20;
  STEP(run.finish());
  run.expect_exact();
}

TEST(KafkaCampaign, TopicAndFilesInOneEpochLoseDoubleAndReorderNothing) {
  NEEDS_BROKER();
  KafkaRun run(broker, {.pipeline = "kafka-both"});
  run.settings.second_output = run.workspace.path("files");
  Oracle file_oracle(run.settings.seed, KafkaRun::kKeys, run.settings.records,
                     Oracle::Values::kOwn);
  CommittedFiles files(run.settings.second_output, [&file_oracle](std::string_view line) {
    if (const auto total = parse_total(line)) {
      file_oracle.add(*total);
    } else {
      file_oracle.add_garbage();
    }
  });
  files.follow();
  // One sink has committed, the other has not.
  for (const char* point :
       {"commit.after:4", "file.commit.before_rename:3", "file.commit.after_rename:3",
        "kafka.commit.before_end_txn:3", "kafka.commit.after_end_txn:3"}) {
    STEP(run.campaign().kill_at(point));
  }
  STEP(run.campaign().kill_in_recovery_at("kafka.recover.after_commit"));
  STEP(run.campaign().kill_in_recovery_at("file.commit.after_rename:1"));
  const int kills = campaign_kills(16);
  while (run.campaign().kills() < kills) {
    STEP(run.campaign().kill_at_random());
  }
  STEP(run.finish());
  run.expect_exact();
  files.stop();
  file_oracle.limit(static_cast<std::uint64_t>(run.oracle.expected()));
  EXPECT_TRUE(file_oracle.at_end().none()) << file_oracle.at_end().to_string();
  std::printf("%s\n  topic: %s\n  files: %s\n", run.campaign().summary().c_str(),
              run.oracle.at_end().to_string().c_str(), file_oracle.at_end().to_string().c_str());
}

/// Milliseconds between checkpoints when a kill has to find records that came after the last one:
/// at the usual interval all four kills may, on a busy machine, come right after one.
constexpr int kLongerThanALife = 3'000;

// O8: the same harness must see what weaker guarantees do.
TEST(KafkaCampaign, AtLeastOnceUnderTheSameKillsDoubles) {
  NEEDS_BROKER();
  KafkaRun run(broker);
  run.settings.guarantee = weir::DeliveryGuarantee::kAtLeastOnce;
  run.settings.interval_ms = kLongerThanALife;
  for (int i = 0; i < 4; ++i) {
    STEP(run.campaign().kill_after_records(2'000));
  }
  STEP(run.finish());
  EXPECT_TRUE(broker.is_stable_within(run.settings.output, 10'000));
  run.wait_for_end();
  std::printf("negative control: %s\n", run.oracle.at_end().to_string().c_str());
  EXPECT_GT(run.oracle.at_end().duplicated, 0) << "the harness is blind";
  EXPECT_EQ(run.oracle.at_end().lost, 0);
}

TEST(KafkaCampaign, NoGuaranteeUnderTheSameKillsDoublesOrLoses) {
  NEEDS_BROKER();
  KafkaRun run(broker);
  run.settings.guarantee = weir::DeliveryGuarantee::kNone;
  run.settings.interval_ms = kLongerThanALife;
  for (int i = 0; i < 4; ++i) {
    STEP(run.campaign().kill_after_records(2'000));
  }
  STEP(run.finish());
  run.wait_for_end();
  const Faults faults = run.oracle.at_end();
  std::printf("negative control: %s\n", faults.to_string().c_str());
  EXPECT_GT(faults.duplicated + faults.lost, 0) << "the harness is blind";
}

}  // namespace
}  // namespace crash
