#include <fstream>

#include "recovery/savepoint_scenario.h"

/// What is left of a job's checkpoints when it ends, and what it does when it is started again.
namespace weir::recovery {
namespace {

using ::testing::HasSubstr;

class RetentionTest : public SavepointTest {
 protected:
  RetentionTest() { source_.count = 1000; }

  /// A seal in place of a manifest does not count.
  std::size_t published() const {
    std::size_t count = 0;
    for (const std::string& path : checkpoint_files("_metadata")) {
      const Result<bool> is_published =
          checkpoint::CheckpointStore::is_published(local_file_system(), path);
      EXPECT_TRUE(is_published.ok());
      count += is_published.ok() && is_published.value() ? 1 : 0;
    }
    return count;
  }
  Configuration with(CheckpointRetention retention) const {
    Configuration settings = configuration(2, 0);
    settings.set(options::kCheckpointRetention, retention);
    return settings;
  }
  static constexpr CheckpointRetention kAll[] = {CheckpointRetention::kNoExternalizedCheckpoints,
                                                 CheckpointRetention::kDeleteOnCancellation,
                                                 CheckpointRetention::kRetainOnCancellation};
};

TEST_F(RetentionTest, AFinishedJobDeletesItsCheckpointsInEveryModeAndStaysFinished) {
  for (const CheckpointRetention retention : kAll) {
    counts_ = std::make_shared<Target<Counted>>();
    Configuration settings = with(retention);
    settings.set(options::kJobId, "finished-" + format_config_value(retention));
    expect_state(run_counts(settings, dud()), JobState::kFinished);
    EXPECT_EQ(published(), 0U);
    EXPECT_TRUE(checkpoint_files("count-").empty());
    const std::size_t commits = counts_->commits();
    const auto again = run_counts(settings, dud());
    expect_state(again, JobState::kFinished);
    EXPECT_GT(again.value().last_checkpoint, 0);
    EXPECT_EQ(counts_->commits(), commits);
    EXPECT_EQ(counts_->rows(), expected_counts(source_));
  }
}

TEST_F(RetentionTest, WhereNothingIsSetAFinishedJobKeepsItsLastCheckpoint) {
  expect_state(run_counts(configuration(), dud()), JobState::kFinished);
  EXPECT_EQ(published(), 1U);
  const std::size_t commits = counts_->commits();
  expect_state(run_counts(configuration(), dud()), JobState::kFinished);
  EXPECT_EQ(counts_->commits(), commits);
}

TEST_F(RetentionTest, ADamagedRecordOfTheEndIsNoReasonToStartAnew) {
  const Configuration settings = with(CheckpointRetention::kRetainOnCancellation);
  expect_state(run_counts(settings, dud()), JobState::kFinished);
  std::filesystem::path record;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_)) {
    if (entry.path().filename().string().starts_with("_finished-")) {
      record = entry.path();
    }
  }
  ASSERT_FALSE(record.empty());
  std::ofstream(record, std::ios::trunc) << "weir finish";
  const auto refused = run_counts(settings, dud());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kCorruption);
  EXPECT_THAT(refused.error().message, HasSubstr(record.filename().string()));
}

TEST_F(RetentionTest, ACancelledJobKeepsOrDeletesAsItIsTold) {
  source_.events_per_checkpoint = 20;
  for (const CheckpointRetention retention : kAll) {
    counts_ = std::make_shared<Target<Counted>>();
    Configuration settings = with(retention);
    settings.set(options::kJobId, "cancelled-" + format_config_value(retention));
    JobClient job = start(settings);
    // Whoever deletes must have nothing left to commit: wait for a quiet moment.
    ASSERT_TRUE(wait_until([&] { return counts_->commits() > 2; }));
    job.cancel();
    expect_state(job.wait(), JobState::kCanceled);
    const bool is_kept = retention == CheckpointRetention::kRetainOnCancellation;
    if (is_kept) {
      EXPECT_GT(published(), 0U);
      std::filesystem::remove_all(directory_ + "/" + job.job_id());
    } else if (published() > 0) {
      // Only because something was not committed yet.
      const std::size_t rows = counts_->rows().size();
      expect_state(run_counts(settings, dud()), JobState::kFinished);
      EXPECT_GT(counts_->rows().size(), rows);
    }
  }
}

TEST_F(RetentionTest, ASuspendedJobKeepsItsCheckpointsInEveryMode) {
  source_.events_per_checkpoint = 50;
  for (const CheckpointRetention retention : kAll) {
    counts_ = std::make_shared<Target<Counted>>();
    Configuration settings = with(retention);
    settings.set(options::kJobId, "suspended-" + format_config_value(retention));
    expect_state(run_counts(settings, Bomb::stopping(400)), JobState::kSuspended);
    EXPECT_EQ(published(), 1U);
    expect_state(run_counts(settings, dud()), JobState::kFinished);
    EXPECT_EQ(counts_->rows(), expected_counts(source_));
  }
}

TEST_F(RetentionTest, AFailedJobKeepsThemUnlessNothingIsExternalized) {
  for (const CheckpointRetention retention : kAll) {
    counts_ = std::make_shared<Target<Counted>>();
    Configuration settings = with(retention);
    settings.set(options::kJobId, "failed-" + format_config_value(retention));
    ASSERT_FALSE(run_counts(settings, Bomb::throwing(700, 100)).ok());
    const bool may_go = retention == CheckpointRetention::kNoExternalizedCheckpoints;
    if (!may_go) {
      EXPECT_GT(published(), 0U);
      expect_state(run_counts(settings, dud()), JobState::kFinished);
      EXPECT_EQ(counts_->rows(), expected_counts(source_));
    }
  }
}

// A failure that concerns the checkpoints themselves, or a start that is refused, deletes nothing.
TEST_F(RetentionTest, ALostEpochKeepsTheCheckpointThatHoldsIt) {
  counts_->roll_back_next();
  const auto lost =
      run_counts(with(CheckpointRetention::kNoExternalizedCheckpoints), dud());
  ASSERT_FALSE(lost.ok());
  EXPECT_EQ(lost.error().code, ErrorCode::kLost);
  EXPECT_GT(published(), 0U);
}

TEST_F(RetentionTest, SeveralCheckpointsAreRetained) {
  source_.count = 1'000'000'000;
  Configuration settings = without_period();
  settings.set(options::kRetainedCheckpoints, 3);
  JobClient job = start(settings);
  for (int i = 0; i < 6; ++i) {
    ASSERT_TRUE(answer(job.trigger_checkpoint()).ok());
  }
  EXPECT_TRUE(wait_until([&] { return published() == 3; }));
  job.cancel();
  expect_state(job.wait(), JobState::kCanceled);
  EXPECT_EQ(published(), 3U);
}

}  // namespace
}  // namespace weir::recovery
