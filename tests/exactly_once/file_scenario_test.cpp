// Scenarios of the catalogue and bad input that need no broker (docs/verification.md).
#include <filesystem>
#include <thread>

#include <gtest/gtest.h>
#include <sys/mount.h>

#include "campaign.h"
#include "checkpoint_folder.h"
#include "committed_files.h"
#include "event_text.h"
#include "job_process.h"
#include "oracle.h"
#include "workspace.h"

namespace crash {
namespace {

constexpr Milliseconds kPatience{60'000};
constexpr std::uint32_t kKeys = 32;
constexpr std::uint64_t kRecords = 300'000;

/// A file-to-file job, its model, and what it has committed.
class FileScenario : public ::testing::Test {
 protected:
  void SetUp() override {
    settings_.pipeline = "file-file";
    settings_.seed = campaign_seed();
    settings_.keys = kKeys;
    settings_.input = workspace_.path("input");
    settings_.output = workspace_.path("output");
    settings_.checkpoints = workspace_.path("checkpoints");
    settings_.delay_us = 10;
    settings_.interval_ms = 50;
    write_input_files(settings_.input, settings_.seed, kKeys, kRecords, 4);
  }
  void kill_at(const std::string& point) {
    JobProcess job(settings_, workspace_.log(), {.kill_at = point, .stop_at = ""});
    const auto ending = job.wait(kPatience);
    ASSERT_TRUE(ending.has_value() && ending->was_killed())
        << point << ": " << job.report().end << " " << job.report().error;
  }
  void finish() {
    settings_.delay_us = 0;
    JobProcess job(settings_, workspace_.log());
    const auto ending = job.wait(kPatience);
    ASSERT_TRUE(ending.has_value() && ending->is_success()) << job.report().error;
    ASSERT_EQ(job.report().end, "finished");
  }
  JobProcess::Report run_to_failure() {
    JobProcess job(settings_, workspace_.log());
    const auto ending = job.wait(kPatience);
    EXPECT_TRUE(ending.has_value() && ending->exit_status == 1)
        << "the job goes on where it must stop";
    return job.report();
  }
  void expect_exact() {
    Oracle oracle(settings_.seed, kKeys, kRecords);
    CommittedFiles files(settings_.output, [&oracle](std::string_view line) {
      if (const auto total = parse_total(line)) {
        oracle.add(*total);
      } else {
        oracle.add_garbage();
      }
    });
    files.read_new();
    EXPECT_TRUE(oracle.at_end().none()) << oracle.at_end().to_string();
  }

  Workspace workspace_;
  JobSettings settings_;
};

TEST_F(FileScenario, E1_FinishedJobStartedAgainDoesNothing) {
  ASSERT_NO_FATAL_FAILURE(finish());
  ASSERT_NO_FATAL_FAILURE(finish());
  expect_exact();
}

TEST_F(FileScenario, E1_AKillWhileTheEndIsRecordedNeitherForgetsNorRepeatsIt) {
  settings_.definitions = {
      "execution.checkpointing.externalized-checkpoint-retention=RETAIN_ON_CANCELLATION"};
  ASSERT_NO_FATAL_FAILURE(kill_at("finish.before_record:1"));
  ASSERT_NO_FATAL_FAILURE(kill_at("finish.after_record:1"));
  EXPECT_FALSE(CheckpointFolder(settings_.checkpoints).published().empty());
  ASSERT_NO_FATAL_FAILURE(finish());
  EXPECT_TRUE(CheckpointFolder(settings_.checkpoints).published().empty());
  ASSERT_NO_FATAL_FAILURE(finish());
  expect_exact();
}

TEST_F(FileScenario, E2_UnreadableLatestCheckpointStopsTheJobAlthoughOlderOnesAreThere) {
  settings_.definitions = {"execution.checkpointing.num-retained=3"};
  ASSERT_NO_FATAL_FAILURE(kill_at("commit.after:4"));
  const CheckpointFolder folder(settings_.checkpoints);
  ASSERT_GE(folder.published().size(), 2U);
  const std::string manifest = folder.manifest_path(folder.published().back());
  const std::string good = read_file(manifest);
  for (const std::string& bad : {std::string(), good.substr(0, good.size() / 2),
                                 good.substr(0, good.size() - 1)}) {
    write_file(manifest, bad);
    const JobProcess::Report report = run_to_failure();
    EXPECT_EQ(report.code, "corruption") << report.error;
    EXPECT_NE(report.error.find(manifest), std::string::npos) << report.error;
  }
  write_file(manifest, good);
  ASSERT_NO_FATAL_FAILURE(finish());
  expect_exact();
}

TEST_F(FileScenario, E5_OneFlippedBitOrMissingByteAnywhereInTheCheckpointIsRefused) {
  ASSERT_NO_FATAL_FAILURE(kill_at("checkpoint.after_manifest:3"));
  const CheckpointFolder folder(settings_.checkpoints);
  std::vector<std::string> files = folder.files_of(folder.latest());
  ASSERT_FALSE(files.empty());
  files.push_back(folder.manifest_path(folder.published().back()));
  std::uint64_t chance = settings_.seed;
  for (const std::string& file : files) {
    const std::string good = read_file(file);
    for (int i = 0; i < 3; ++i) {
      std::string bad = good;
      const std::uint64_t bit = scramble(++chance) % (good.size() * 8);
      bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
      if (i == 2) {
        bad = good.substr(0, scramble(++chance) % good.size());
      }
      write_file(file, bad);
      const JobProcess::Report report = run_to_failure();
      EXPECT_EQ(report.code, "corruption") << file << " bit " << bit << ": " << report.error;
      EXPECT_NE(report.error.find(std::filesystem::path(file).filename().string()),
                std::string::npos)
          << report.error;
    }
    write_file(file, good);
  }
  ASSERT_NO_FATAL_FAILURE(finish());
  expect_exact();
}

TEST_F(FileScenario, E10_CheckpointOfAnotherPipelineIsRefusedWithTheDifference) {
  ASSERT_NO_FATAL_FAILURE(kill_at("commit.after:3"));
  JobSettings other = settings_;
  other.pipeline = "gen-window";
  other.records = 1'000;
  other.second_output = workspace_.path("windows");
  // The operators of both have the uids events and totals; the source's state is of another kind.
  JobProcess job(other, workspace_.log());
  const auto ending = job.wait(kPatience);
  ASSERT_TRUE(ending.has_value());
  EXPECT_EQ(ending->exit_status, 1);
  EXPECT_NE(job.report().error.find("events"), std::string::npos) << job.report().error;
  ASSERT_NO_FATAL_FAILURE(finish());
  expect_exact();
}

TEST_F(FileScenario, DirectoryOfAnotherJobIsRefused) {
  settings_.definitions = {"execution.checkpointing.create-subdir=false"};
  ASSERT_NO_FATAL_FAILURE(kill_at("commit.after:3"));
  JobSettings other = settings_;
  other.job_id = "another";
  JobProcess job(other, workspace_.log());
  const auto ending = job.wait(kPatience);
  ASSERT_TRUE(ending.has_value());
  EXPECT_EQ(ending->exit_status, 1);
  EXPECT_NE(job.report().error.find("belongs to another job"), std::string::npos)
      << job.report().error;
  ASSERT_NO_FATAL_FAILURE(finish());
  expect_exact();
}

TEST_F(FileScenario, MissingUidIsAnErrorThatNamesTheOperatorWhereUidsAreRequired) {
  settings_.definitions = {"pipeline.auto-generate-uids=false"};
  settings_.pipeline = "file-anonymous";
  const JobProcess::Report report = run_to_failure();
  EXPECT_NE(report.error.find("uid"), std::string::npos) << report.error;
  EXPECT_NE(report.error.find("Filter"), std::string::npos) << report.error;
  settings_.pipeline = "file-file";
  ASSERT_NO_FATAL_FAILURE(finish());
  expect_exact();
}

TEST_F(FileScenario, BrokenLineFailsTheJobAndIsNamedOrIsSkippedOnRequest) {
  const std::string file = settings_.input + "/events-1.csv";
  write_file(file, "rubbish\n" + read_file(file));
  settings_.definitions = {"restart-strategy.type=none"};
  const JobProcess::Report report = run_to_failure();
  EXPECT_NE(report.error.find("events-1.csv"), std::string::npos) << report.error;
  EXPECT_NE(report.error.find("line 1"), std::string::npos) << report.error;
  settings_.bad_records = "skip";
  ASSERT_NO_FATAL_FAILURE(finish());
  expect_exact();
}

TEST_F(FileScenario, FullDiskFailsCheckpointsAndLosesNothing) {
  std::filesystem::create_directories(settings_.checkpoints);
  if (::mount("tmpfs", settings_.checkpoints.c_str(), "tmpfs", 0, "size=512k") != 0) {
    GTEST_SKIP() << "may not mount a small disk";
  }
  const std::string ballast = settings_.checkpoints + "/ballast";
  settings_.definitions = {"execution.checkpointing.tolerable-failed-checkpoints=1000"};
  settings_.delay_us = 20;
  {
    JobProcess job(settings_, workspace_.log());
    EXPECT_TRUE(job.wait_for_checkpoints(2, kPatience)) << job.report().error;
    for (int i = 0; i < 600; ++i) {  // Until not one block is left.
      write_file(ballast + std::to_string(i), std::string(1'000, 'x'));
    }
    const std::int64_t failed = job.report().failed;
    EXPECT_TRUE(job.wait_until(
        [failed](const JobProcess::Report& report) { return report.failed > failed + 1; },
        kPatience));
    for (int i = 0; i < 600; ++i) {
      std::filesystem::remove(ballast + std::to_string(i));
    }
    const auto ending = job.wait(kPatience);
    EXPECT_TRUE(ending.has_value() && ending->is_success()) << job.report().error;
  }
  expect_exact();
  ::umount2(settings_.checkpoints.c_str(), MNT_DETACH);
}

}  // namespace
}  // namespace crash
