#include "checkpoint/snapshot_verification.h"
#include "checkpoint/state_chain.h"
#include "recovery/savepoint_scenario.h"

/// Checkpoints that write what changed.
namespace weir::recovery {
namespace {

class IncrementalTest : public SavepointTest {
 protected:
  IncrementalTest() {
    source_.count = 20'000;
    source_.keys = 4'000;
    source_.events_per_checkpoint = 200;  // A checkpoint finds about a tenth of the keys changed.
  }

  Configuration incremental(int parallelism = 2) const {
    Configuration settings = configuration(parallelism);
    settings.set(options::kIncrementalCheckpoints, true);
    return settings;
  }
  /// The last checkpoint of the job: exists after a suspension.
  std::string last_checkpoint() const {
    std::string last;
    CheckpointId highest = 0;
    for (const std::string& path : checkpoint_files("_metadata")) {
      const checkpoint::Manifest manifest = manifest_of(path);
      if (manifest.checkpoint > highest) {
        highest = manifest.checkpoint;
        last = std::filesystem::path(path).parent_path();
      }
    }
    return last;
  }
  static std::vector<checkpoint::SubtaskSnapshot> subtasks_of(const std::string& path) {
    for (const auto& op : manifest_of(path).operators) {
      if (op.uid == "count") {
        return op.subtasks;
      }
    }
    ADD_FAILURE() << "no operator count in " << path;
    return {};
  }
  static std::size_t deltas_in(const std::string& path) {
    std::size_t deltas = 0;
    for (const auto& subtask : subtasks_of(path)) {
      deltas += subtask.files.size() - 1;
    }
    return deltas;
  }
  void suspend_at(const Configuration& settings, std::int64_t number) const {
    expect_state(run_counts(settings, Bomb::stopping(number)), JobState::kSuspended);
  }
};

TEST_F(IncrementalTest, CheckpointsBuildOnOneAnotherAndRestartsFindThemWhole) {
  for (const std::int64_t at : {3'000, 6'000, 9'000}) {
    suspend_at(incremental(), at);
    const std::string path = last_checkpoint();
    for (const auto& subtask : subtasks_of(path)) {
      for (const auto& handle : subtask.files) {
        EXPECT_TRUE(checkpoint::is_shared_path(handle.file.path)) << handle.file.path;
      }
    }
    EXPECT_TRUE(
        checkpoint::verify_snapshot(local_file_system(),
                                    checkpoint::locate_snapshot(local_file_system(), path).value())
            .faults.empty());
  }
  expect_state(run_counts(incremental(), Bomb::throwing(13'000, 2)), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(IncrementalTest, AChainGoesOnAfterARestartWithTheSameParallelism) {
  bool has_gone_on = false;
  bool has_delta = false;
  for (const std::int64_t at : {2'000, 4'000, 6'000, 8'000, 10'000, 12'000}) {
    suspend_at(incremental(), at);
    const checkpoint::Manifest manifest = manifest_of(last_checkpoint());
    for (const auto& subtask : subtasks_of(last_checkpoint())) {
      has_delta = has_delta || subtask.files.size() > 1;
      const auto origin = checkpoint::origin_of(subtask.files.front().file.path);
      has_gone_on = has_gone_on || origin->attempt < manifest.attempt;
    }
  }
  EXPECT_TRUE(has_delta);
  EXPECT_TRUE(has_gone_on);
  expect_state(run_counts(incremental(), dud()), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(IncrementalTest, AnotherParallelismReadsTheChainsAndBeginsItsOwn) {
  suspend_at(incremental(2), 5'000);
  std::int64_t at = 5'000;
  for (const int parallelism : {3, 1, 2}) {
    suspend_at(incremental(parallelism), at += 4'000);
    EXPECT_EQ(subtasks_of(last_checkpoint()).size(), static_cast<std::size_t>(parallelism));
  }
  expect_state(run_counts(incremental(2), dud()), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(IncrementalTest, CanBeSwitchedOnAndOff) {
  suspend_at(configuration(), 3'000);
  suspend_at(incremental(), 6'000);
  suspend_at(configuration(), 9'000);
  if (!is_on_rocksdb()) {
    EXPECT_EQ(deltas_in(last_checkpoint()), 0U);
  }
  for (const auto& subtask : subtasks_of(last_checkpoint())) {
    for (const auto& handle : subtask.files) {
      EXPECT_FALSE(checkpoint::is_shared_path(handle.file.path)) << handle.file.path;
    }
  }
  expect_state(run_counts(incremental(), dud()), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(IncrementalTest, CompressionIsSwitchedOnAndOffWithinAChain) {
  Configuration compressed = incremental();
  compressed.set(options::kSnapshotCompression, true);
  suspend_at(compressed, 3'000);
  const std::uint64_t bytes = checkpoint::state_size_bytes(manifest_of(last_checkpoint()));
  for (const auto& subtask : subtasks_of(last_checkpoint())) {
    const checkpoint::StateHandle& base = subtask.files.front();
    EXPECT_GT(checkpoint::ChainLink::of(base, true).raw_bytes, base.file.length_bytes);
  }
  suspend_at(incremental(), 6'000);
  EXPECT_GT(checkpoint::state_size_bytes(manifest_of(last_checkpoint())), bytes);
  suspend_at(compressed, 9'000);
  const auto location = checkpoint::locate_snapshot(local_file_system(), last_checkpoint());
  EXPECT_TRUE(checkpoint::verify_snapshot(local_file_system(), location.value()).is_whole());
  expect_state(run_counts(compressed, Bomb::throwing(13'000, 2)), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(IncrementalTest, F5_SavepointsStandAloneAndTheChainGoesOnBesideThem) {
  source_.count = 1'000'000'000;
  source_.events_per_checkpoint = 400;
  Configuration settings = without_period();
  settings.set(options::kIncrementalCheckpoints, true);
  settings.set(options::kSavepointDir, savepoints());
  JobClient job = start(settings);
  for (int i = 0; i < 12; ++i) {
    ASSERT_TRUE(answer(job.trigger_checkpoint()).ok());
  }
  const Result<SnapshotInfo> savepoint = answer(job.trigger_savepoint());
  ASSERT_TRUE(savepoint.ok()) << savepoint.error().message;
  for (const auto& subtask : subtasks_of(savepoint.value().path)) {
    EXPECT_EQ(subtask.files.size(), 1U);
  }
  const Result<SnapshotInfo> next = answer(job.trigger_checkpoint());
  ASSERT_TRUE(next.ok());
  EXPECT_GT(deltas_in(next.value().path), 0U) << "the savepoint is not in the chain";
  job.cancel();
  expect_state(job.wait(), JobState::kCanceled);
}

TEST_F(IncrementalTest, F1_FilesThatNoCheckpointNamesAnyMoreGoAtOnce) {
  suspend_at(incremental(), 15'000);
  std::set<std::string> named;
  for (const auto& file : checkpoint::files_of(manifest_of(last_checkpoint()))) {
    named.insert(std::filesystem::path(file.path).filename());
  }
  std::size_t present = 0;
  std::size_t unnamed = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_)) {
    if (entry.path().parent_path().filename() == "shared") {
      ++present;
      unnamed += named.contains(entry.path().filename()) ? 0 : 1;
    }
  }
  EXPECT_GT(present, 0U);
  // The last collection may have been cut short by the end of the job.
  EXPECT_LE(unnamed, 4U);
}

TEST_F(IncrementalTest, WhatACheckpointHasWrittenIsLessThanWhatItNames) {
  source_.count = 1'000'000'000;
  Configuration settings = without_period();
  settings.set(options::kIncrementalCheckpoints, true);
  JobClient job = start(settings);
  double least_share = 1;
  for (int i = 0; i < 30; ++i) {
    const Result<SnapshotInfo> taken = answer(job.trigger_checkpoint());
    ASSERT_TRUE(taken.ok()) << taken.error().message;
    const checkpoint::Manifest manifest = manifest_of(taken.value().path);
    const double share = static_cast<double>(checkpoint::new_bytes_of(manifest)) /
                         static_cast<double>(checkpoint::state_size_bytes(manifest));
    least_share = std::min(least_share, share);
  }
  EXPECT_LT(least_share, 0.3);
  EXPECT_GT(least_share, 0);
  job.cancel();
  expect_state(job.wait(), JobState::kCanceled);
}

}  // namespace
}  // namespace weir::recovery
