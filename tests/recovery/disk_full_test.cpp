#include "graph/planner.h"
#include "io/faulty_file_system.h"
#include "io/local_file_system.h"
#include "recovery/scenario.h"
#include "runtime/job_options.h"
#include "runtime/job_runner.h"

namespace weir::recovery {
namespace {

/// A job on a file system that can be made to fail.
class DiskFullTest : public RecoveryTest {
 protected:
  Result<JobResult> run_counts_on_faulty_disk(const Configuration& settings, Bomb bomb) {
    Environment environment(settings);
    const auto stream = events(environment);
    stream.map(std::move(bomb))
        .uid("bomb")
        .key_by(&Event::key)
        .process(CountPerKey())
        .uid("count")
        .sink_to(std::make_shared<MemorySink<Counted>>(counts_))
        .uid("counts");
    graph::PlanOptions plan_options;
    plan_options.job_name = "recovery";
    plan_options.default_parallelism = settings.get(options::kParallelism);
    auto plan = graph::build_plan(*stream.graph(), plan_options);
    EXPECT_TRUE(plan.ok());
    auto job = runtime::job_options_of(settings, "recovery");
    EXPECT_TRUE(job.ok());
    job.value().files = &files_;
    job.value().listener = [this](const JobStatus& status) { status_ = status; };
    runtime::JobRunner runner(std::move(plan).value(), std::move(job).value(),
                              make_restart_strategy(settings, [] { return 0.5; }));
    return runner.run();
  }
  /// At this event the disk fills up; some failed checkpoints later there is room again.
  Bomb full_disk(std::int64_t at_number, int failures) {
    return {at_number, 1, [this, failures] {
              FileFault fault;
              fault.operation = FileOperation::kAppend;
              fault.times = failures;
              fault.code = ErrorCode::kNoSpace;
              fault.path_contains = "count-";
              files_.plan(fault);
            }};
  }

  LocalFileSystem local_;
  FaultyFileSystem files_{local_};
  JobStatus status_;
};

TEST_F(DiskFullTest, AFailedCheckpointWithinTheToleranceCostsNothingButTime) {
  Configuration settings = configuration(1, 0);
  settings.set(options::kTolerableFailedCheckpoints, 3);
  expect_state(run_counts_on_faulty_disk(settings, full_disk(300, 3)), JobState::kFinished);
  EXPECT_EQ(status_.restarts, 0);
  // In RocksDB several files of one checkpoint may fail together.
  EXPECT_LE(status_.checkpoints_failed, 3);
  EXPECT_GE(status_.checkpoints_failed, is_on_rocksdb() ? 1 : 3);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(DiskFullTest, BeyondTheToleranceTheJobRestartsFromItsLastCheckpoint) {
  Configuration settings = configuration(1, 3);
  settings.set(options::kTolerableFailedCheckpoints, 0);
  const auto result = run_counts_on_faulty_disk(settings, full_disk(300, 1));
  expect_state(result, JobState::kFinished);
  EXPECT_EQ(result.value().restarts, 1);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(DiskFullTest, AManifestThatFindsNoRoomFailsTheCheckpointAndNoMore) {
  Configuration settings = configuration(2, 0);
  settings.set(options::kTolerableFailedCheckpoints, 5);
  const Bomb no_room_for_manifests(300, 1, [this] {
    FileFault fault;
    fault.operation = FileOperation::kPublish;
    fault.times = 2;
    fault.code = ErrorCode::kNoSpace;
    fault.path_contains = "_metadata";
    files_.plan(fault);
  });
  expect_state(run_counts_on_faulty_disk(settings, no_room_for_manifests), JobState::kFinished);
  EXPECT_EQ(status_.checkpoints_failed, 2);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(DiskFullTest, AManifestWhoseReplyIsLostIsTheOneThatWasWritten) {
  const Bomb lost_reply(300, 1, [this] {
    FileFault fault;
    fault.operation = FileOperation::kPublish;
    fault.code = ErrorCode::kUnknownOutcome;
    fault.path_contains = "_metadata";
    fault.bytes_done = 1;
    files_.plan(fault);
  });
  Configuration settings = configuration(2, 1);
  expect_state(run_counts_on_faulty_disk(settings, lost_reply), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(DiskFullTest, AFinalCheckpointThatFailsIsTriedAgain) {
  source_.events_per_checkpoint = 0;
  Configuration settings = configuration(2, 0);
  settings.set(options::kCheckpointInterval, DurationMs(3'600'000));
  settings.set(options::kTolerableFailedCheckpoints, 5);
  expect_state(run_counts_on_faulty_disk(settings, full_disk(999, 2)), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

}  // namespace
}  // namespace weir::recovery
