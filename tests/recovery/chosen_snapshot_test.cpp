#include <fstream>

#include "checkpoint/savepoint.h"
#include "io/local_file_system.h"
#include "recovery/savepoint_scenario.h"

/// Starts from a snapshot that the user chose.
namespace weir::recovery {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class ChosenSnapshotTest : public SavepointTest {
 protected:
  ChosenSnapshotTest() {
    source_.count = 2000;
    source_.events_per_checkpoint = 50;
  }
  /// Stops a counting job with a savepoint after some commits.
  SnapshotInfo stopped_with_savepoint() const {
    JobClient job = start(configuration());
    EXPECT_TRUE(wait_until([&] { return counts_->commits() > 2; }));
    const Result<SnapshotInfo> stopped = answer(job.stop_with_savepoint(false, savepoints()));
    EXPECT_TRUE(stopped.ok()) << stopped.error().message;
    EXPECT_TRUE(job.wait().ok());
    return stopped.value();
  }
};

TEST_F(ChosenSnapshotTest, NumbersGoOnAndTheLineIsNew) {
  const SnapshotInfo savepoint = stopped_with_savepoint();
  const checkpoint::Manifest from = manifest_of(savepoint.path);
  EXPECT_NE(from.incarnation, 0);
  EXPECT_TRUE(from.lineage.empty());
  JobClient job = start(chosen(savepoint.path, "next"));
  const Result<SnapshotInfo> next = answer(job.trigger_savepoint(savepoints()));
  ASSERT_TRUE(next.ok()) << next.error().message;
  EXPECT_GT(next.value().checkpoint, savepoint.checkpoint);
  const checkpoint::Manifest manifest = manifest_of(next.value().path);
  EXPECT_NE(manifest.incarnation, from.incarnation);
  EXPECT_EQ(manifest.lineage, (Lineage{{from.incarnation, from.checkpoint}}));
  EXPECT_GT(manifest.attempt, from.attempt);
  job.cancel();
}

// N8: without a line in the identities the second start's epochs would pass for the first one's.
TEST_F(ChosenSnapshotTest, N8TwoStartsFromOneSnapshotDoNotCollide) {
  const SnapshotInfo savepoint = stopped_with_savepoint();
  const std::size_t at_the_stop = counts_->rows().size();
  expect_state(run_counts(chosen(savepoint.path, "first"), dud()), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
  expect_state(run_counts(chosen(savepoint.path, "second"), dud()), JobState::kFinished);
  const std::size_t all = expected_counts(source_).size();
  EXPECT_EQ(counts_->rows().size(), all + (all - at_the_stop));
}

TEST_F(ChosenSnapshotTest, ARestartGoesOnFromTheJobsOwnCheckpointsAndNotFromTheSnapshotAgain) {
  const SnapshotInfo savepoint = stopped_with_savepoint();
  const Configuration settings = chosen(savepoint.path, "next");
  expect_state(run_counts(settings, Bomb::stopping(1200)), JobState::kSuspended);
  expect_state(run_counts(settings, Bomb::throwing(1700)), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(ChosenSnapshotTest, AnOlderSavepointIsObeyedWhereTheJobHasCheckpointsOfItsOwn) {
  source_.events_per_checkpoint = 20;
  JobClient job = start(configuration());
  ASSERT_TRUE(wait_until([&] { return counts_->commits() > 2; }));
  const Result<SnapshotInfo> savepoint = answer(job.trigger_savepoint(savepoints()));
  ASSERT_TRUE(savepoint.ok()) << savepoint.error().message;
  ASSERT_TRUE(
      wait_until([&] { return job.status().last_checkpoint > savepoint.value().checkpoint + 3; }));
  job.cancel();
  ASSERT_TRUE(job.wait().ok());
  const CheckpointId last = job.status().last_checkpoint;
  Configuration settings = configuration();
  settings.set(options::kRecoveryPath, savepoint.value().path);
  counts_ = std::make_shared<Target<Counted>>();
  JobClient again = start(settings);
  const Result<SnapshotInfo> next = answer(again.trigger_checkpoint());
  ASSERT_TRUE(next.ok()) << next.error().message;
  EXPECT_EQ(again.status().restored_checkpoint, savepoint.value().checkpoint);
  EXPECT_GT(next.value().checkpoint, last);
  again.cancel();
  ASSERT_TRUE(again.wait().ok());
  // From now on the job comes from it.
  expect_state(run_counts(settings, dud()), JobState::kFinished);
  std::vector<Counted> expected = expected_counts(source_);
  std::vector<Counted> rows = counts_->rows();
  EXPECT_EQ(std::unique(rows.begin(), rows.end()), rows.end());
  EXPECT_TRUE(std::includes(expected.begin(), expected.end(), rows.begin(), rows.end()));
}

TEST_F(ChosenSnapshotTest, F2_WithNoClaimTheSnapshotStaysAndNothingDependsOnItAfterACheckpoint) {
  const SnapshotInfo savepoint = stopped_with_savepoint();
  const Configuration settings = chosen(savepoint.path, "next");
  expect_state(run_counts(settings, Bomb::stopping(1200)), JobState::kSuspended);
  EXPECT_EQ(manifest_of(savepoint.path).checkpoint, savepoint.checkpoint);
  std::filesystem::remove_all(savepoint.path);
  expect_state(run_counts(settings, dud()), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(ChosenSnapshotTest, AClaimedSnapshotIsDeletedWhenItIsSubsumed) {
  const SnapshotInfo savepoint = stopped_with_savepoint();
  Configuration settings = chosen(savepoint.path, "next");
  settings.set(options::kRecoveryClaimMode, ClaimMode::kClaim);
  expect_state(run_counts(settings, Bomb::stopping(1200)), JobState::kSuspended);
  EXPECT_FALSE(std::filesystem::exists(savepoint.path));
  EXPECT_TRUE(std::filesystem::exists(savepoints()));
  expect_state(run_counts(settings, dud()), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(ChosenSnapshotTest, AClaimedSnapshotCountsAsOneOfTheRetained) {
  const SnapshotInfo savepoint = stopped_with_savepoint();
  Configuration settings = chosen(savepoint.path, "next");
  settings.set(options::kRecoveryClaimMode, ClaimMode::kClaim);
  settings.set(options::kRetainedCheckpoints, 2);
  settings.set(options::kCheckpointInterval, DurationMs(3'600'000));
  JobClient job = start(settings);
  ASSERT_TRUE(answer(job.trigger_checkpoint()).ok());
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_TRUE(std::filesystem::exists(savepoint.path));
  ASSERT_TRUE(answer(job.trigger_checkpoint()).ok());
  EXPECT_TRUE(wait_until([&] { return !std::filesystem::exists(savepoint.path); }));
  job.cancel();
}

TEST_F(ChosenSnapshotTest, AClaimedSnapshotBelongsToOneJob) {
  const SnapshotInfo savepoint = stopped_with_savepoint();
  Configuration settings = chosen(savepoint.path, "next");
  settings.set(options::kRecoveryClaimMode, ClaimMode::kClaim);
  settings.set(options::kCheckpointInterval, DurationMs(3'600'000));
  JobClient job = start(settings);
  ASSERT_TRUE(wait_until([&] { return job.status().phase == JobPhase::kRunning; }));
  Configuration other = chosen(savepoint.path, "other");
  other.set(options::kJobId, "another");
  for (const bool is_claimed : {false, true}) {
    if (is_claimed) {
      other.set(options::kRecoveryClaimMode, ClaimMode::kClaim);
    }
    const auto refused = run_counts(other, dud());
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(refused.error().message, HasSubstr("belongs to another job"));
  }
  job.cancel();
}

TEST_F(ChosenSnapshotTest, ASnapshotOfAnotherPipelineMayBeStarted) {
  const SnapshotInfo savepoint = stopped_with_savepoint();
  Configuration settings = chosen(savepoint.path, "fork");
  settings.set(options::kJobId, "fork");
  expect_state(run_counts(settings, dud()), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(ChosenSnapshotTest, APathWithoutASnapshotIsRefusedAtOnce) {
  const auto refused = run_counts(chosen(directory_ + "/nowhere", "next"), dud());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(refused.error().message,
              AllOf(HasSubstr("execution.state-recovery.path"), HasSubstr("/nowhere")));
}

TEST_F(ChosenSnapshotTest, ADamagedFileOfASavepointIsRefusedByName) {
  const SnapshotInfo savepoint = stopped_with_savepoint();
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(savepoint.path)) {
    const std::string name = entry.path().filename();
    const std::string whole = read_file(entry.path());
    std::string damaged = whole;
    damaged[whole.size() / 2] = static_cast<char>(damaged[whole.size() / 2] ^ 1);
    std::ofstream(entry.path(), std::ios::binary | std::ios::trunc) << damaged;
    const auto refused =
        run_counts(chosen(savepoint.path, "next-" + std::to_string(files++)), dud());
    ASSERT_FALSE(refused.ok()) << name;
    EXPECT_EQ(refused.error().code, ErrorCode::kCorruption);
    EXPECT_THAT(refused.error().message, HasSubstr(name));
    std::ofstream(entry.path(), std::ios::binary | std::ios::trunc) << whole;
  }
  EXPECT_GE(files, 3);
}

TEST_F(ChosenSnapshotTest, DisposingRemovesWhatTheManifestNamesAndNothingElse) {
  const SnapshotInfo savepoint = stopped_with_savepoint();
  std::ofstream(savepoint.path + "/note") << "mine";
  ASSERT_TRUE(checkpoint::dispose_snapshot(local_file_system(), savepoint.path).ok());
  std::vector<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator(savepoint.path)) {
    left.push_back(entry.path().filename());
  }
  EXPECT_EQ(left, std::vector<std::string>{"note"});
  EXPECT_TRUE(checkpoint::dispose_snapshot(local_file_system(), savepoint.path).ok());
}

}  // namespace
}  // namespace weir::recovery
