// Pipelines without a broker, killed with SIGKILL at every named point and at random moments.
#include <gtest/gtest.h>

#include "campaign.h"
#include "committed_files.h"
#include "event_text.h"
#include "job_process.h"
#include "oracle.h"
#include "workspace.h"

namespace crash {
namespace {

constexpr std::uint32_t kKeys = 32;

const std::vector<std::string>& file_points() {
  static const std::vector<std::string> points{"file.sink.before_sync", "file.sink.after_sync",
                                               "file.commit.before_rename",
                                               "file.commit.after_rename"};
  return points;
}

CommittedFiles::OnLine into(Oracle& oracle) {
  return [&oracle](std::string_view line) {
    if (const auto total = parse_total(line)) {
      oracle.add(*total);
    } else {
      oracle.add_garbage();
    }
  };
}

CommittedFiles::OnLine into(WindowOracle& oracle) {
  return [&oracle](std::string_view line) {
    oracle.add(parse_window(line).value_or(WindowTotal{}));
  };
}

JobSettings file_to_file(const Workspace& workspace, std::uint64_t records) {
  JobSettings settings;
  settings.pipeline = "file-file";
  settings.seed = campaign_seed();
  settings.keys = kKeys;
  settings.records = records;
  settings.input = workspace.path("input");
  settings.output = workspace.path("output");
  settings.checkpoints = workspace.path("checkpoints");
  write_input_files(settings.input, settings.seed, kKeys, records, 8);
  return settings;
}

JobSettings generator_to_windows(const Workspace& workspace, std::uint64_t records) {
  JobSettings settings;
  settings.pipeline = "gen-window";
  settings.seed = campaign_seed();
  settings.keys = kKeys;
  settings.records = records;
  settings.output = workspace.path("output");
  settings.second_output = workspace.path("windows");
  settings.checkpoints = workspace.path("checkpoints");
  return settings;
}

/// All points once, those of recovery too, then random moments until `kills` are done.
void run_campaign(Campaign& campaign, int kills) {
  std::vector<std::string> points = engine_points();
  points.insert(points.end(), file_points().begin(), file_points().end());
  for (const std::string& point : points) {
    ASSERT_NO_FATAL_FAILURE(campaign.kill_at(point));
  }
  for (const std::string& point : restore_points()) {
    ASSERT_NO_FATAL_FAILURE(campaign.kill_in_recovery_at(point));
  }
  // Recovery from a crash in the recovery from a crash between manifest and commit.
  ASSERT_NO_FATAL_FAILURE(campaign.kill_in_recovery_at("file.commit.before_rename"));
  ASSERT_NO_FATAL_FAILURE(campaign.kill_at("file.commit.after_rename"));
  ASSERT_NO_FATAL_FAILURE(campaign.kill_at("restore.after_commit"));
  while (campaign.kills() < kills) {
    ASSERT_NO_FATAL_FAILURE(campaign.kill_at_random());
  }
  ASSERT_NO_FATAL_FAILURE(campaign.finish());
}

TEST(FileCampaign, FilesToFilesLosesDoublesAndReordersNothing) {
  const Workspace workspace;
  constexpr std::uint64_t records = 1'500'000;
  JobSettings settings = file_to_file(workspace, records);
  settings.delay_us = 10;
  Oracle oracle(settings.seed, kKeys, records);
  CommittedFiles reader(settings.output, into(oracle));
  reader.follow();
  Campaign campaign(settings, workspace.log(), settings.seed);
  ASSERT_NO_FATAL_FAILURE(run_campaign(campaign, campaign_kills(30)));
  reader.stop();
  std::printf("%s\n  output: %s\n", campaign.summary().c_str(),
              oracle.at_end().to_string().c_str());
  EXPECT_TRUE(oracle.at_end().none()) << oracle.at_end().to_string();
  EXPECT_TRUE(reader.strangers().empty()) << reader.strangers().front();
}

TEST(FileCampaign, GeneratorToStateAndWindowsInTwoSinksLosesDoublesAndReordersNothing) {
  const Workspace workspace;
  constexpr std::uint64_t records = 1'200'000;
  JobSettings settings = generator_to_windows(workspace, records);
  settings.records_per_second = 20'000;
  Oracle totals(settings.seed, kKeys, records);
  WindowOracle windows(settings.seed, kKeys, records);
  CommittedFiles total_reader(settings.output, into(totals));
  CommittedFiles window_reader(settings.second_output, into(windows));
  total_reader.follow();
  window_reader.follow();
  Campaign campaign(settings, workspace.log(), settings.seed + 1);
  ASSERT_NO_FATAL_FAILURE(run_campaign(campaign, campaign_kills(30)));
  total_reader.stop();
  window_reader.stop();
  std::printf("%s\n  totals: %s\n  windows: %s\n", campaign.summary().c_str(),
              totals.at_end().to_string().c_str(), windows.at_end().to_string().c_str());
  EXPECT_TRUE(totals.at_end().none()) << totals.at_end().to_string();
  EXPECT_TRUE(windows.at_end().none()) << windows.at_end().to_string();
}

// O8: a harness that sees nothing wrong here would see nothing wrong anywhere.
TEST(FileCampaign, AtLeastOnceUnderTheSameKillsDoubles) {
  const Workspace workspace;
  constexpr std::uint64_t records = 300'000;
  JobSettings settings = file_to_file(workspace, records);
  settings.delay_us = 10;
  settings.guarantee = weir::DeliveryGuarantee::kAtLeastOnce;
  Campaign campaign(settings, workspace.log(), settings.seed);
  for (int i = 0; i < 3; ++i) {
    // Files of an at-least-once sink appear when the barrier passes.
    ASSERT_NO_FATAL_FAILURE(campaign.kill_at("checkpoint.before_manifest:2"));
  }
  ASSERT_NO_FATAL_FAILURE(campaign.finish());
  Oracle oracle(settings.seed, kKeys, records);
  CommittedFiles reader(settings.output, into(oracle));
  reader.read_new();
  std::printf("negative control: %s\n", oracle.at_end().to_string().c_str());
  EXPECT_GT(oracle.at_end().duplicated, 0) << "the harness is blind";
  EXPECT_EQ(oracle.at_end().lost, 0);
}

}  // namespace
}  // namespace crash
