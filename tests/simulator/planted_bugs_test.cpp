// Every oracle is known to be able to fail: each deliberate bug (base/planted_bug.h) must be caught
// within so many schedules. The ids are the lines of the bug catalogue.
#include <cstdint>
#include <cstdio>
#include <string>

#include <gtest/gtest.h>

#include "base/log.h"
#include "base/planted_bug.h"
#include "checkpoint/manifest.h"
#include "simulator/simulator.h"

namespace weir::simulator {
namespace {

struct PlantedBug {
  const char* id;
  const char* what;
  std::uint64_t first_seed = 0;  ///< later where the search from 0 on takes too long for every day
};

const PlantedBug kBugs[] = {
    {"A1", "an epoch the broker rolled back is produced again behind records that follow it"},
    {"A1_order", "an epoch is produced again while later ones keep their place in the log"},
    {"C2", "a repeated commit does not look for the marker"},
    {"C5", "what was prepared for an aborted checkpoint is not named by the next one"},
    {"C10", "a publication whose reply was lost is taken for failed"},
    {"C13", "a committable is dropped at a transient error"},
    {"C14", "of several committables of one epoch one is kept"},
    {"C16", "commits start before the manifest is durable"},
    {"C17", "a committable is dropped at an unforeseen error"},
    {"E1", "two publications at a time"},
    {"E2", "an unreadable latest checkpoint is passed over for an older one"},
    {"E4", "garbage is collected although a manifest cannot be read", 275'000},
    {"E6", "a paused attempt may still publish a number it had begun"},
    {"E12", "an old attempt does not notice that it no longer leads"},
    {"F1", "shared files of checkpoints that are not retained are deleted"},
    {"F1_base", "files upon which a checkpoint under way builds are deleted with their checkpoint"},
    {"F1_cut", "a chain loses a file that still has the only copy of some key groups"},
    {"F4", "two tasks choose the same name for their files"},
    {"F5", "a savepoint counts as a checkpoint"},
    {"F6", "garbage: files are removed before the manifests that name them"},
    {"F8", "files of checkpoints under way are deleted when the clock says that they are old"},
    {"G1", "the barrier of a checkpoint that is over begins it again"},
    {"G8", "a checkpoint whose barrier will not come any more is waited for"},
    {"G2", "records under way are dealt out by subtask where they have key groups"},
    {"G4", "records under way to subtasks that are no more are dropped"},
    {"G9", "a checkpoint taken while records under way are replayed does not hold them"},
    {"G_log", "what comes ahead of a late barrier is not logged"},
    {"H1", "an item of split list state is lost in a rescale"},
    {"H2", "broadcast state is dealt out like union state"},
    {"H4", "a split goes to two readers in a rescale"},
    {"H5", "items of one list state are given out under the name of another"},
    {"H6", "restored committables of subtasks beyond the first are forgotten"},
    {"M2", "tasks are not released after a stop that failed"},
    {"M4", "state that no operator claims is dropped silently"},
    {"M5", "a failure message of an old attempt counts"},
    {"N12", "the completion of the last checkpoint is not announced"},
    {"N13", "the number of key groups is derived anew on restore"},
    {"N14", "the final checkpoint is taken when the first task is at its end"},
    {"N20", "a barrier overtakes the records of one input"},
    {"N21", "names of new files are not synced before the manifest"},
};

void PrintTo(const PlantedBug& bug, std::ostream* out) { *out << bug.id; }

class PlantedBugs : public testing::TestWithParam<PlantedBug> {};

TEST_P(PlantedBugs, IsCaught) {
  log().set_level(spdlog::level::off);
  constexpr std::uint64_t kSchedulesMax = 300'000;
  planted_bug_id() = GetParam().id;
  for (std::uint64_t seed = GetParam().first_seed; seed < kSchedulesMax; ++seed) {
    const Outcome outcome = simulate(seed);
    if (!outcome.broken.empty()) {
      std::printf("| %s | %s | %llu | %s |\n", GetParam().id, GetParam().what,
                  static_cast<unsigned long long>(seed + 1), outcome.broken.c_str());
      planted_bug_id().clear();
      EXPECT_EQ(simulate(seed).broken, "") << "seed " << seed << " without the bug";
      return;
    }
  }
  FAIL() << GetParam().what << ": not caught within " << kSchedulesMax << " schedules";
}

INSTANTIATE_TEST_SUITE_P(Catalogue, PlantedBugs, testing::ValuesIn(kBugs),
                         [](const auto& bug) { return std::string(bug.param.id); });

/// Bits of a manifest that can be flipped without a refusal.
int accepted_flips() {
  checkpoint::Manifest manifest;
  manifest.job_id = std::string(32, 'a');
  manifest.job_name = "reference";
  manifest.checkpoint = 8;  // one that the codec with a memory really encodes
  manifest.attempt = 2;
  manifest.sources = {{"source", "", 1, "", {{0, false, {{"0", "17"}}}}}};
  const std::string good = checkpoint::encode_manifest(manifest).value();
  int accepted = 0;
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    accepted += checkpoint::decode_manifest(bad).ok() ? 1 : 0;
  }
  return accepted;
}

TEST(PlantedBug, E5TheChecksumOfAManifestIsNotCompared) {
  EXPECT_EQ(accepted_flips(), 0);
  planted_bug_id() = "E5";
  EXPECT_GT(accepted_flips(), 0);
  planted_bug_id().clear();
}

}  // namespace
}  // namespace weir::simulator
