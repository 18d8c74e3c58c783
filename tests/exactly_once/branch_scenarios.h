#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "recovery/client_scenario.h"

/// N8: what sinks do when a job is started from a savepoint, and from an older one. Each test
/// program brings its sink.
namespace weir::branch {

using recovery::Event;

/// A target that outlives jobs.
class Output {
 public:
  virtual ~Output() = default;
  virtual std::shared_ptr<Sink> sink() = 0;
  /// Numbers of all committed events, sorted; waits for at least `count` of them.
  virtual std::vector<std::int64_t> committed(std::size_t count) = 0;
};
/// Of the program's sink; null when it cannot be tested here.
std::unique_ptr<Output> make_output(const std::string& directory);

class BranchTest : public recovery::JobClientTest {
 protected:
  /// What both readers read from one checkpoint to the next.
  static constexpr std::int64_t kPhase = 192;
  BranchTest() {
    source_.count = 1200;
    source_.events_per_checkpoint = kPhase / 2;  // a multiple of the source's batches
  }
  void SetUp() override {
    output_ = make_output(directory_);
    if (output_ == nullptr) {
      GTEST_SKIP() << "no target for this sink";
    }
  }

  /// Checkpoints on request only. Two readers, which wait after half a phase each.
  Configuration settings(const std::string& checkpoints) const {
    Configuration with = without_period();
    with.set(options::kCheckpointDir, directory_ + "/" + checkpoints);
    with.set(options::kSavepointDir, directory_ + "/savepoints");
    return with;
  }
  Configuration often(const std::string& checkpoints) const {
    Configuration with = settings(checkpoints);
    with.set(options::kCheckpointInterval, DurationMs(20));
    return with;
  }
  JobClient start(const Configuration& with) {
    Environment environment(with);
    build(environment);
    return started_.emplace_back(environment.execute_async("branch").value());
  }
  /// A test that gives up leaves jobs behind that would never end.
  void TearDown() override {
    for (JobClient& job : started_) {
      job.cancel();
    }
  }
  Result<JobResult> run(const Configuration& with) const {
    Environment environment(with);
    build(environment);
    return environment.execute("branch");
  }
  void build(Environment& environment) const {
    events(environment).sink_to(output_->sink()).uid("out");
  }
  static bool has_read(const JobClient& job, std::int64_t events) {
    return wait_until([&] { return job.status().records_in >= events; });
  }
  static Result<SnapshotInfo> checkpoint(JobClient& job) {
    return answer(job.trigger_checkpoint());
  }
  static Result<SnapshotInfo> savepoint(JobClient& job) { return answer(job.trigger_savepoint()); }
  /// Waits until what the last checkpoint holds is committed.
  static bool is_committed(const JobClient& job) {
    return wait_until([&] { return job.status().pending_committables == 0; });
  }
  std::vector<std::int64_t> all() const {
    std::vector<std::int64_t> numbers;
    for (std::int64_t number = 0; number < source_.count; ++number) {
      numbers.push_back(number);
    }
    return numbers;
  }
  void expect_exactly_all() {
    EXPECT_EQ(output_->committed(static_cast<std::size_t>(source_.count)), all());
  }
  static void cancel(JobClient& job) {
    job.cancel();
    expect_state(job.wait(), JobState::kCanceled);
  }

  std::unique_ptr<Output> output_;
  std::vector<JobClient> started_;
};

TEST_F(BranchTest, AJobStoppedWithASavepointGoesOnElsewhereExactlyOnce) {
  JobClient job = start(settings("first"));
  ASSERT_TRUE(has_read(job, kPhase));
  ASSERT_TRUE(checkpoint(job).ok());
  ASSERT_TRUE(has_read(job, 2 * kPhase));
  const Result<SnapshotInfo> stopped = answer(job.stop_with_savepoint(false));
  ASSERT_TRUE(stopped.ok()) << stopped.error().message;
  Configuration with = often("second");
  with.set(options::kRecoveryPath, stopped.value().path);
  expect_state(run(with), JobState::kFinished);
  expect_exactly_all();
}

// What a plain savepoint holds prepared, and its job never committed, is part of the savepoint's
// past.
TEST_F(BranchTest, N8WhatOnlyTheSavepointHoldsPreparedIsCommittedByWhoStartsFromIt) {
  JobClient job = start(settings("first"));
  ASSERT_TRUE(has_read(job, kPhase));
  ASSERT_TRUE(checkpoint(job).ok());
  ASSERT_TRUE(has_read(job, 2 * kPhase));
  const Result<SnapshotInfo> taken = savepoint(job);
  ASSERT_TRUE(taken.ok()) << taken.error().message;
  cancel(job);
  EXPECT_EQ(output_->committed(kPhase).size(), std::size_t{kPhase});
  // The job it came from, with its replay logs, is gone.
  std::filesystem::remove_all(directory_ + "/first");
  Configuration with = often("second");
  with.set(options::kRecoveryPath, taken.value().path);
  expect_state(run(with), JobState::kFinished);
  expect_exactly_all();
}

TEST_F(BranchTest, N8AnOlderSavepointIsRefusedWhileLaterResultsAreThere) {
  JobClient job = start(settings("first"));
  ASSERT_TRUE(has_read(job, kPhase));
  ASSERT_TRUE(checkpoint(job).ok());
  ASSERT_TRUE(has_read(job, 2 * kPhase));
  const Result<SnapshotInfo> taken = savepoint(job);
  ASSERT_TRUE(taken.ok()) << taken.error().message;
  ASSERT_TRUE(checkpoint(job).ok());
  ASSERT_TRUE(has_read(job, 3 * kPhase));
  ASSERT_TRUE(checkpoint(job).ok());
  ASSERT_TRUE(is_committed(job));
  cancel(job);
  const std::vector<std::int64_t> before = output_->committed(3 * kPhase);
  EXPECT_EQ(before.size(), std::size_t{3 * kPhase});
  Configuration with = often("second");
  with.set(options::kRecoveryPath, taken.value().path);
  const auto refused = run(with);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(refused.error().message,
              ::testing::AllOf(::testing::HasSubstr("not in the past of the snapshot"),
                               ::testing::HasSubstr("weir.state-recovery.later-results")));
  EXPECT_EQ(output_->committed(3 * kPhase), before);
  // Nothing was broken by trying: the job itself goes on.
  expect_state(run(often("first")), JobState::kFinished);
  expect_exactly_all();
}

// The savepoint's epoch was rolled back, and its records came out in other epochs.
TEST_F(BranchTest, N8WhatNeverHappenedIsNotCommitted) {
  JobClient job = start(settings("first"));
  ASSERT_TRUE(has_read(job, kPhase));
  ASSERT_TRUE(checkpoint(job).ok());
  ASSERT_TRUE(has_read(job, 2 * kPhase));
  const Result<SnapshotInfo> taken = savepoint(job);
  ASSERT_TRUE(taken.ok()) << taken.error().message;
  cancel(job);
  JobClient again = start(settings("first"));  // from the checkpoint before the savepoint
  ASSERT_TRUE(has_read(again, kPhase));
  ASSERT_TRUE(checkpoint(again).ok());
  ASSERT_TRUE(is_committed(again));
  cancel(again);
  const std::vector<std::int64_t> before = output_->committed(2 * kPhase);
  EXPECT_EQ(before.size(), std::size_t{2 * kPhase});
  Configuration with = often("second");
  with.set(options::kRecoveryPath, taken.value().path);
  EXPECT_FALSE(run(with).ok());
  EXPECT_EQ(output_->committed(2 * kPhase), before);
  expect_state(run(often("first")), JobState::kFinished);
  expect_exactly_all();
}

// Who insists gets the records behind the savepoint a second time, and no other one; the two lines
// are not mistaken for each other.
TEST_F(BranchTest, N8TwoLinesFromOneSavepointDoNotCollide) {
  JobClient job = start(settings("first"));
  ASSERT_TRUE(has_read(job, kPhase));
  ASSERT_TRUE(checkpoint(job).ok());
  ASSERT_TRUE(has_read(job, 2 * kPhase));
  const Result<SnapshotInfo> taken = savepoint(job);
  ASSERT_TRUE(taken.ok()) << taken.error().message;
  cancel(job);
  for (const char* line : {"second", "third"}) {
    Configuration with = often(line);
    with.set(options::kRecoveryPath, taken.value().path);
    with.set(options::kLaterResults, LaterResults::kKeep);
    expect_state(run(with), JobState::kFinished);
  }
  const std::size_t expected = static_cast<std::size_t>(2 * source_.count - 2 * kPhase);
  const std::vector<std::int64_t> numbers = output_->committed(expected);
  EXPECT_EQ(numbers.size(), expected);
  std::vector<std::int64_t> unique = numbers;
  unique.erase(std::unique(unique.begin(), unique.end()), unique.end());
  EXPECT_EQ(unique, all());
}

}  // namespace weir::branch
