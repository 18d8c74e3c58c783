#include "recovery/savepoint_scenario.h"

/// Jobs whose windows are cut in another way in the next run.
namespace weir::recovery {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class WindowChange : public SavepointTest {
 protected:
  WindowChange() { source_.count = 4'000; }

  Result<JobResult> run(const SlidingEventTimeWindows& windows, Bomb bomb,
                        const Configuration& settings, DurationMs lateness = DurationMs(0)) const {
    Environment environment(settings);
    events(environment)
        .map(std::move(bomb))
        .uid("bomb")
        .key_by(&Event::key)
        .window(windows)
        .allowed_lateness(lateness)
        .aggregate(SumOfNumbers(),
                   [](std::int64_t key, const TimeWindow& window, std::int64_t sum) {
                     return WindowSum{key, window.start, sum};
                   })
        .uid("sums")
        .sink_to(std::make_shared<MemorySink<WindowSum>>(sums_))
        .uid("sums-out");
    return environment.execute("recovery");
  }
  static SlidingEventTimeWindows windows(std::int64_t size, std::int64_t slide,
                                         std::int64_t offset = 0) {
    return SlidingEventTimeWindows::of(DurationMs(size), DurationMs(slide), DurationMs(offset));
  }
  void expect_refused(const SlidingEventTimeWindows& changed, const Configuration& settings) {
    const auto refused = run(changed, dud(), settings);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(refused.error().message,
                AllOf(HasSubstr("uid sums"), HasSubstr("sliding windows of 100 ms every 50 ms"),
                      HasSubstr("Give the operator another uid")));
  }
};

TEST_F(WindowChange, IsRefusedAtAnyParallelismAndNothingIsLost) {
  const Configuration settings = configuration(2, 0);
  expect_state(run(windows(100, 50), Bomb::stopping(1'000), settings), JobState::kSuspended);
  expect_refused(windows(150, 150), settings);
  expect_refused(windows(200, 50), settings);
  expect_refused(windows(100, 50, 20), configuration(3, 0));
  expect_state(run(windows(100, 50), Bomb::stopping(2'500), configuration(3, 0), DurationMs(10)),
               JobState::kSuspended);
  expect_refused(windows(50, 25), configuration(1, 0));
  expect_state(run(windows(100, 50), dud(), settings), JobState::kFinished);
  EXPECT_EQ(sums_->rows(), expected_sums(source_, 100, 50));
}

TEST_F(WindowChange, ShorterWindowsGoOnWithWhatTheLongerOnesKept) {
  const Configuration settings = configuration(2, 0);
  expect_state(run(windows(200, 50), Bomb::stopping(2'000), settings), JobState::kSuspended);
  std::vector<WindowSum> expected = sums_->rows();
  std::map<std::int64_t, std::int64_t> last_end;  // by key: each has events in every window
  for (const WindowSum& row : expected) {
    last_end[row.key] = std::max(last_end[row.key], row.start + 200);
  }
  ASSERT_EQ(last_end.size(), static_cast<std::size_t>(source_.keys));
  for (const WindowSum& row : expected_sums(source_, 100, 50)) {
    if (row.start + 100 > last_end[row.key]) {
      expected.push_back(row);
    }
  }
  std::sort(expected.begin(), expected.end());
  expect_state(run(windows(100, 50), dud(), configuration(3, 0)), JobState::kFinished);
  EXPECT_EQ(sums_->rows(), expected);
}

TEST_F(WindowChange, ASavepointWithOpenWindowsIsRefusedAndADrainedOneIsNot) {
  source_.count = 1'000'000;
  source_.events_per_checkpoint = 200;
  JobClient first = start_sums(configuration());
  ASSERT_TRUE(wait_until([&] { return sums_->commits() > 2; }));
  const auto stopped = answer(first.stop_with_savepoint(false, savepoints()));
  ASSERT_TRUE(stopped.ok()) << stopped.error().message;
  expect_state(first.wait(), JobState::kSuspended);
  ASSERT_NO_FATAL_FAILURE(
      expect_refused(windows(150, 150), chosen(stopped.value().path, "branch")));

  JobClient second = start_sums(configuration());
  const auto drained = answer(second.stop_with_savepoint(true, savepoints()));
  ASSERT_TRUE(drained.ok()) << drained.error().message;
  expect_state(second.wait(), JobState::kFinished);
  const std::vector<WindowSum> rows = sums_->rows();
  source_.count = 1;  // nothing is left to read
  expect_state(run(windows(150, 150), dud(), chosen(drained.value().path, "branch-2")),
               JobState::kFinished);
  EXPECT_EQ(sums_->rows(), rows);
}

}  // namespace
}  // namespace weir::recovery
