// Pipelines of random shapes under random kills: with a rescale at every fifth start, unaligned
// checkpoints at about half of the starts, incremental ones at two thirds of them, and every
// pipeline judged by the same oracle.
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "campaign.h"
#include "committed_files.h"
#include "event_text.h"
#include "oracle.h"
#include "workspace.h"

namespace crash {
namespace {

constexpr std::uint32_t kFewKeys = 64;
/// So many that a checkpoint finds most of them unchanged.
constexpr std::uint32_t kManyKeys = 20'000;
constexpr int kKillsPerShape = 10;

void choose_checkpoints(JobSettings& settings, std::uint64_t chance) {
  settings.definitions = {"execution.checkpointing.min-pause=0 ms"};
  settings.interval_ms = chance % 3 == 0 ? 40 : 120;
  if (chance % 2 == 0) {
    settings.definitions.emplace_back("execution.checkpointing.unaligned.enabled=true");
    if (chance % 4 == 0) {
      settings.definitions.emplace_back("execution.checkpointing.aligned-checkpoint-timeout=20 ms");
    }
  }
  if (chance % 3 != 1) {
    settings.definitions.emplace_back("execution.checkpointing.incremental=true");
  }
}

std::uint32_t keys_of(std::uint64_t shape) { return shape % 2 == 0 ? kFewKeys : kManyKeys; }

/// Every other pipeline keeps its state in RocksDB.
bool is_on_rocksdb(std::uint64_t shape) { return shape % 2 == 1; }

/// Kills one pipeline kKillsPerShape times; adds what is wrong with its output to `faults`.
void run_shape(std::uint64_t shape, Faults& faults, int& kills) {
  const Workspace workspace;
  // The sanitizers make RocksDB twenty times slower.
  const std::uint64_t records = WEIR_IS_SANITIZED && is_on_rocksdb(shape) ? 300'000 : 1'500'000;
  JobSettings settings;
  settings.pipeline = "random";
  settings.seed = shape;
  settings.shape = shape;
  settings.keys = keys_of(shape);
  settings.records = records;
  settings.delay_us = 20;
  settings.parallelism = static_cast<int>(shape % 4 + 1);
  settings.output = workspace.path("output");
  settings.checkpoints = workspace.path("checkpoints");
  const std::string local = workspace.path("local");
  Oracle oracle(settings.seed, settings.keys, records);
  CommittedFiles reader(settings.output, [&oracle](std::string_view line) {
    if (const auto total = parse_total(line)) {
      oracle.add(*total);
    } else {
      oracle.add_garbage();
    }
  });
  reader.follow();
  Campaign campaign(settings, workspace.log(), shape);
  campaign.set_before_start([&](JobSettings& next, std::uint64_t chance) {
    choose_checkpoints(next, chance);
    if (is_on_rocksdb(shape)) {
      next.definitions.emplace_back("state.backend.type=rocksdb");
      next.definitions.emplace_back("state.backend.rocksdb.localdir=" + local);
      next.definitions.emplace_back("state.backend.rocksdb.memory.fixed-per-tm=1 mb");
    }
  });
  while (campaign.kills() < kKillsPerShape) {
    switch (scramble(shape + static_cast<std::uint64_t>(campaign.kills())) % 4) {
      case 0:
        ASSERT_NO_FATAL_FAILURE(campaign.kill_at("checkpoint.after_manifest"));
        break;
      case 1:
        ASSERT_NO_FATAL_FAILURE(campaign.kill_in_recovery_at("restore.tasks_running"));
        break;
      default:
        ASSERT_NO_FATAL_FAILURE(campaign.kill_at_random());
    }
  }
  ASSERT_NO_FATAL_FAILURE(campaign.finish());
  reader.stop();
  if (is_on_rocksdb(shape)) {
    // Whoever was killed left its working files behind, and its successor removed them.
    for (const auto& entry : std::filesystem::directory_iterator(local)) {
      EXPECT_FALSE(entry.is_directory()) << entry.path();
    }
  }
  const Faults found = oracle.at_end();
  EXPECT_TRUE(found.none()) << "shape " << shape << ": " << found.to_string();
  faults.seen += found.seen;
  faults.lost += found.lost;
  faults.duplicated += found.duplicated;
  faults.reordered += found.reordered;
  faults.wrong += found.wrong;
  kills += campaign.kills();
}

TEST(RandomCampaign, RandomPipelinesWithRescaleAndUnalignedCheckpointsLoseNothing) {
  const std::uint64_t seed = campaign_seed();
  const int wanted = campaign_kills(30);
  Faults faults;
  int kills = 0;
  for (std::uint64_t shape = seed; kills < wanted; ++shape) {
    ASSERT_NO_FATAL_FAILURE(run_shape(shape, faults, kills)) << "WEIR_SEED=" << shape;
    std::printf("random pipelines: %d kills so far, %s\n", kills, faults.to_string().c_str());
    std::fflush(stdout);
  }
  // No failure in n runs: at 95 % confidence a run fails with a probability below 1 - 0.05^(1/n).
  std::printf(
      "random pipelines: %d kills, seeds from %llu: %s; a kill does harm in less than "
      "%.2f %% of cases (95 %%)\n",
      kills, static_cast<unsigned long long>(seed), faults.to_string().c_str(),
      100.0 * (1.0 - std::pow(0.05, 1.0 / kills)));
  EXPECT_TRUE(faults.none());
}

}  // namespace
}  // namespace crash
