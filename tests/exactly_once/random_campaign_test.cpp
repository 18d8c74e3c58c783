// Pipelines of random shapes under random kills: with a rescale at every fifth start, unaligned
// checkpoints at about half of the starts, and every pipeline judged by the same oracle. Which
// backend a pipeline has, how many keys, how wide it is and how its checkpoints are stored are
// drawn independently of each other.
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

/// What stays the same over all starts of a pipeline.
struct Shape {
  explicit Shape(std::uint64_t number) {
    // Each choice has a scrambled number of its own. Were they remainders of one number, some
    // combinations would never come up.
    std::uint64_t draws = 0;
    const auto one_in = [&](std::uint64_t n) {
      return scramble(scramble(number) + ++draws) % n == 0;
    };
    is_on_rocksdb = one_in(2);
    keys = one_in(2) ? kFewKeys : kManyKeys;
    is_compressed = one_in(2);
    has_timers_on_heap = one_in(2);
    always_incremental = one_in(2);
    parallelism = static_cast<int>(scramble(scramble(number) + ++draws) % 4 + 1);
  }
  std::string to_string() const {
    return std::string(is_on_rocksdb ? "RocksDB" : "heap") + ", " + std::to_string(keys) +
           " keys, parallelism " + std::to_string(parallelism) +
           (always_incremental ? ", incremental" : ", incremental now and then") +
           (!is_on_rocksdb && is_compressed ? ", compressed" : "") +
           (is_on_rocksdb && has_timers_on_heap ? ", timers on the heap" : "");
  }

  bool is_on_rocksdb = false;
  std::uint32_t keys = 0;
  bool is_compressed = false;       ///< state files of the heap backend
  bool has_timers_on_heap = false;  ///< of RocksDB
  bool always_incremental = false;  ///< else at every other start: chains begin and end
  int parallelism = 1;              ///< at first
};

void choose_checkpoints(const Shape& shape, JobSettings& settings, std::uint64_t chance) {
  const auto one_in = [&chance](std::uint64_t n) {
    chance = scramble(chance);
    return chance % n == 0;
  };
  settings.definitions = {"execution.checkpointing.min-pause=0 ms"};
  settings.interval_ms = one_in(3) ? 40 : 120;
  if (one_in(2)) {
    settings.definitions.emplace_back("execution.checkpointing.unaligned.enabled=true");
    if (one_in(2)) {
      settings.definitions.emplace_back("execution.checkpointing.aligned-checkpoint-timeout=20 ms");
    }
  }
  if (shape.always_incremental || one_in(2)) {
    settings.definitions.emplace_back("execution.checkpointing.incremental=true");
  }
  if (!shape.is_on_rocksdb && shape.is_compressed) {
    settings.definitions.emplace_back("execution.checkpointing.snapshot-compression=true");
  }
}

void choose_backend(const Shape& shape, JobSettings& settings, const std::string& local) {
  if (!shape.is_on_rocksdb) {
    return;
  }
  settings.definitions.emplace_back("state.backend.type=rocksdb");
  settings.definitions.emplace_back("state.backend.rocksdb.localdir=" + local);
  settings.definitions.emplace_back("state.backend.rocksdb.memory.fixed-per-tm=1 mb");
  settings.definitions.emplace_back(std::string("state.backend.rocksdb.timer-service.factory=") +
                                    (shape.has_timers_on_heap ? "HEAP" : "ROCKSDB"));
}

/// Kills one pipeline kKillsPerShape times; adds what is wrong with its output to `faults`.
void run_shape(std::uint64_t number, Faults& faults, int& kills) {
  const Workspace workspace;
  const Shape shape(number);
  std::printf("shape %llu: %s\n", static_cast<unsigned long long>(number),
              shape.to_string().c_str());
  // The sanitizers make RocksDB twenty times slower.
  const std::uint64_t records = WEIR_IS_SANITIZED && shape.is_on_rocksdb ? 300'000 : 1'500'000;
  JobSettings settings;
  settings.pipeline = "random";
  settings.seed = number;
  settings.shape = number;
  settings.keys = shape.keys;
  settings.records = records;
  settings.delay_us = 20;
  settings.parallelism = shape.parallelism;
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
  Campaign campaign(settings, workspace.log(), number);
  campaign.set_before_start([&](JobSettings& next, std::uint64_t chance) {
    choose_checkpoints(shape, next, chance);
    choose_backend(shape, next, local);
  });
  while (campaign.kills() < kKillsPerShape) {
    switch (scramble(number + static_cast<std::uint64_t>(campaign.kills())) % 4) {
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
  if (shape.is_on_rocksdb) {
    // Whoever was killed left its working files behind, and its successor removed them.
    for (const auto& entry : std::filesystem::directory_iterator(local)) {
      EXPECT_FALSE(entry.is_directory()) << entry.path();
    }
  }
  const Faults found = oracle.at_end();
  EXPECT_TRUE(found.none()) << "shape " << number << ": " << found.to_string();
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
