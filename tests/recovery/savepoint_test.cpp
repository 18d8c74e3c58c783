#include <fstream>

#include "recovery/savepoint_scenario.h"

/// Savepoints of a running job, and what starts from them.
namespace weir::recovery {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST_F(SavepointTest, APlainSavepointHasNoEffectOnSinksAndTheJobGoesOn) {
  JobClient job = start(without_period());
  ASSERT_TRUE(answer(job.trigger_checkpoint()).ok());
  ASSERT_TRUE(wait_until([&] { return counts_->commits() > 0; }));
  std::size_t commits = 0;
  ASSERT_TRUE(wait_until([&] {  // all commits of the checkpoint have arrived
    return std::exchange(commits, counts_->commits()) == counts_->commits() &&
           job.status().pending_committables == 0;
  }));
  const Result<SnapshotInfo> savepoint = answer(job.trigger_savepoint(savepoints()));
  ASSERT_TRUE(savepoint.ok()) << savepoint.error().message;
  EXPECT_EQ(savepoint.value().checkpoint, 2);
  EXPECT_THAT(savepoint.value().path,
              StartsWith(savepoints() + "/savepoint-" + job.job_id().substr(0, 6) + "-"));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(counts_->commits(), commits);
  const checkpoint::Manifest manifest = manifest_of(savepoint.value().path);
  EXPECT_EQ(manifest.kind, checkpoint::SnapshotKind::kSavepoint);
  EXPECT_FALSE(manifest.is_terminal);
  EXPECT_FALSE(manifest.sinks.at(0).committables.empty());  // prepared, and not committed

  // The next checkpoint commits what the savepoint's barrier cut off.
  ASSERT_TRUE(answer(job.trigger_checkpoint()).ok());
  EXPECT_TRUE(wait_until([&] { return counts_->commits() > commits; }));
  job.cancel();
  expect_state(job.wait(), JobState::kCanceled);
}

TEST_F(SavepointTest, F5_RecoveryDoesNotUseSavepointsAndRetentionDoesNotDeleteThem) {
  source_.count = 4000;
  source_.events_per_checkpoint = 20;
  Environment environment(configuration());
  count_events(environment, Bomb::throwing(2000));
  JobClient job = environment.execute_async("recovery").value();
  std::vector<std::string> paths;
  for (int i = 0; i < 3; ++i) {
    const Result<SnapshotInfo> savepoint = answer(job.trigger_savepoint(savepoints()));
    ASSERT_TRUE(savepoint.ok()) << savepoint.error().message;
    paths.push_back(savepoint.value().path);
  }
  ASSERT_TRUE(job.wait().ok());
  EXPECT_EQ(job.wait().value().restarts, 1);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
  for (const std::string& path : paths) {
    EXPECT_EQ(manifest_of(path).kind, checkpoint::SnapshotKind::kSavepoint);
    for (const std::string& file : state_of(path, "count")) {
      EXPECT_FALSE(file.empty());
    }
  }
}

TEST_F(SavepointTest, M1AStopWithSavepointFiresNothingAndGoesOnWithoutADuplicate) {
  source_.count = 2000;
  source_.events_per_checkpoint = 50;
  JobClient job = start_sums(configuration());
  ASSERT_TRUE(wait_until([&] { return sums_->commits() > 2; }));
  const Result<SnapshotInfo> stopped = answer(job.stop_with_savepoint(false, savepoints()));
  ASSERT_TRUE(stopped.ok()) << stopped.error().message;
  expect_state(job.wait(), JobState::kSuspended);
  EXPECT_EQ(job.wait().value().savepoint, stopped.value().path);
  EXPECT_TRUE(manifest_of(stopped.value().path).is_terminal);
  // What is out is right: no window fired before its time.
  const std::vector<WindowSum> expected = expected_sums(source_, 100, 50);
  const std::vector<WindowSum> early = sums_->rows();
  EXPECT_TRUE(std::includes(expected.begin(), expected.end(), early.begin(), early.end()));
  EXPECT_LT(early.size(), expected.size());

  expect_state(run_sums(chosen(stopped.value().path, "next", 3), dud()), JobState::kFinished);
  EXPECT_EQ(sums_->rows(), expected);
}

TEST_F(SavepointTest, ADrainFiresEveryWindowAndEndsTheJobForGood) {
  source_.count = 1'000'000;
  source_.events_per_checkpoint = 200;
  JobClient job = start_sums(configuration());
  ASSERT_TRUE(wait_until([&] { return sums_->commits() > 2; }));
  const Result<SnapshotInfo> stopped = answer(job.stop_with_savepoint(true, savepoints()));
  ASSERT_TRUE(stopped.ok()) << stopped.error().message;
  expect_state(job.wait(), JobState::kFinished);
  // Every event that was read is in the windows that are out: each is in two of them.
  std::int64_t sum = 0;
  for (const WindowSum& window : sums_->rows()) {
    sum += window.sum;
  }
  SourceSettings read = source_;
  std::int64_t expected = 0;
  for (const auto& source : manifest_of(stopped.value().path).sources) {
    for (const auto& reader : source.readers) {
      for (const auto& split : reader.splits) {
        // Split i holds i, i + splits, ...; its state is the next one to read.
        const std::int64_t next = std::stoll(split.state);
        for (std::int64_t number = next % read.splits; number < next; number += read.splits) {
          expected += 2 * number;
        }
      }
    }
  }
  EXPECT_EQ(sum, expected);
  EXPECT_GT(sum, 0);
  // Started again it does nothing.
  const std::size_t commits = sums_->commits();
  expect_state(run_sums(configuration(), dud()), JobState::kFinished);
  EXPECT_EQ(sums_->commits(), commits);
}

TEST_F(SavepointTest, WhoGoesOnFromADrainedSavepointIsNotLateForEver) {
  source_.count = 2000;
  source_.events_per_checkpoint = 50;
  JobClient job = start_sums(configuration());
  ASSERT_TRUE(wait_until([&] { return sums_->commits() > 2; }));
  const Result<SnapshotInfo> stopped = answer(job.stop_with_savepoint(true, savepoints()));
  ASSERT_TRUE(stopped.ok()) << stopped.error().message;
  const std::size_t drained = sums_->rows().size();
  expect_state(run_sums(chosen(stopped.value().path, "next"), dud()), JobState::kFinished);
  EXPECT_GT(sums_->rows().size(), drained);
  std::int64_t sum = 0;
  for (const WindowSum& window : sums_->rows()) {
    sum += window.sum;
  }
  std::int64_t expected = 0;
  for (const WindowSum& window : expected_sums(source_, 100, 50)) {
    expected += window.sum;
  }
  EXPECT_EQ(sum, expected);  // windows that were cut in two come in two parts, nothing is missing
}

TEST_F(SavepointTest, ASavepointMayBeMovedAndStartedAtAnyParallelism) {
  source_.count = 3000;
  source_.events_per_checkpoint = 50;
  JobClient job = start(configuration(4));
  ASSERT_TRUE(wait_until([&] { return counts_->commits() > 3; }));
  const Result<SnapshotInfo> stopped = answer(job.stop_with_savepoint(false, savepoints()));
  ASSERT_TRUE(stopped.ok()) << stopped.error().message;
  ASSERT_TRUE(job.wait().ok());
  const std::string moved = directory_ + "/elsewhere";
  std::filesystem::rename(stopped.value().path, moved);
  // Nothing of the job it came from is needed.
  std::filesystem::remove_all(directory_ + "/" + job.job_id());
  const auto at_the_stop = counts_;
  int run = 0;
  for (const int parallelism : {1, 3, 4, 7}) {
    counts_ = std::make_shared<Target<Counted>>(*at_the_stop);
    expect_state(run_counts(chosen(moved, "run-" + std::to_string(run++), parallelism), dud()),
                 JobState::kFinished);
    EXPECT_EQ(counts_->rows(), expected_counts(source_)) << parallelism;
  }
}

TEST_F(SavepointTest, PlacesMayBeUris) {
  source_.count = 3000;
  source_.events_per_checkpoint = 50;
  Configuration settings = configuration();
  settings.set(options::kCheckpointDir, "file://" + directory_);
  JobClient job = start(settings);
  ASSERT_TRUE(wait_until([&] { return counts_->commits() > 3; }));
  const Result<SnapshotInfo> refused = answer(job.trigger_savepoint("s3://bucket/savepoints"));
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("'s3://bucket/savepoints' is on 's3'"));
  const Result<SnapshotInfo> stopped =
      answer(job.stop_with_savepoint(false, "file://" + savepoints()));
  ASSERT_TRUE(stopped.ok()) << stopped.error().message;
  EXPECT_TRUE(stopped.value().path.starts_with(savepoints() + "/")) << stopped.value().path;
  ASSERT_TRUE(job.wait().ok());
  EXPECT_TRUE(std::filesystem::exists(directory_ + "/" + job.job_id()));
  Configuration next = chosen("file://" + stopped.value().path, "next");
  next.set(options::kCheckpointDir, "file:" + directory_ + "/next");
  expect_state(run_counts(next, dud()), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

// The same state gives the same bytes, however it came about.
TEST_F(SavepointTest, TheFormIsCanonical) {
  source_.count = 1000;
  source_.events_per_checkpoint = 0;
  Configuration settings = without_period();
  settings.set(options::kSavepointDir, savepoints());
  const auto stop_at_the_end = [&](Configuration with, const std::string& checkpoints) {
    // All events are counted, but the source does not end: it waits for a checkpoint.
    with.set(options::kCheckpointDir, directory_ + "/" + checkpoints);
    Environment environment(with);
    source_.count = 1'000'000'000;
    source_.splits = 1;
    source_.events_per_checkpoint = 1000;
    count_events(environment, dud());
    JobClient job = environment.execute_async("recovery").value();
    EXPECT_TRUE(wait_until([&] { return job.status().records_in >= 1000; }));
    const Result<SnapshotInfo> savepoint = answer(job.trigger_savepoint());
    EXPECT_TRUE(savepoint.ok()) << savepoint.error().message;
    job.cancel();
    return savepoint.value().path;
  };
  const std::string once = stop_at_the_end(settings, "once");
  const std::string again = stop_at_the_end(settings, "again");
  const std::vector<std::string> state = state_of(once, "count");
  ASSERT_EQ(state.size(), 2U);
  EXPECT_EQ(state, state_of(again, "count"));
}

TEST_F(SavepointTest, M2AStopThatFailsReleasesTheTasksAndCheckpointsGoOn) {
  JobClient job = start(configuration());
  ASSERT_TRUE(wait_until([&] { return counts_->commits() > 2; }));
  std::ofstream(directory_ + "/file") << "no directory";
  const Result<SnapshotInfo> failed =
      answer(job.stop_with_savepoint(false, directory_ + "/file/below"));
  ASSERT_FALSE(failed.ok());
  EXPECT_THAT(failed.error().message, HasSubstr("FINALIZE_CHECKPOINT_FAILURE"));
  EXPECT_THAT(failed.error().message, HasSubstr(directory_ + "/file"));
  const CheckpointId last = job.status().last_checkpoint;
  const std::size_t commits = counts_->commits();
  EXPECT_TRUE(wait_until(
      [&] { return job.status().last_checkpoint > last + 2 && counts_->commits() > commits; }));
  EXPECT_EQ(job.status().restarts, 0);
  ASSERT_TRUE(answer(job.stop_with_savepoint(false, savepoints())).ok());
  expect_state(job.wait(), JobState::kSuspended);
}

TEST_F(SavepointTest, ADrainThatFailsIsUndoneByARestart) {
  source_.count = 2000;
  source_.events_per_checkpoint = 50;
  JobClient job = start_sums(configuration());
  ASSERT_TRUE(wait_until([&] { return sums_->commits() > 2; }));
  std::ofstream(directory_ + "/file") << "no directory";
  ASSERT_FALSE(answer(job.stop_with_savepoint(true, directory_ + "/file/below")).ok());
  expect_state(job.wait(), JobState::kFinished);
  EXPECT_EQ(job.wait().value().restarts, 1);
  EXPECT_EQ(sums_->rows(), expected_sums(source_, 100, 50));
}

}  // namespace
}  // namespace weir::recovery
