#include <fstream>

#include "recovery/scenario.h"

namespace weir::recovery {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST_F(RecoveryTest, AThrowingUserFunctionCostsARestartAndNoResult) {
  const Bomb bomb = Bomb::throwing(700, 2);
  const auto result = run_counts(configuration(), bomb);
  expect_state(result, JobState::kFinished);
  EXPECT_EQ(result.value().restarts, 2);
  EXPECT_EQ(bomb.went_off(), 2);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(RecoveryTest, WindowsSurviveARestartWithoutAnyResultTwice) {
  const auto result = run_sums(configuration(), Bomb::throwing(600));
  expect_state(result, JobState::kFinished);
  EXPECT_EQ(result.value().restarts, 1);
  EXPECT_EQ(sums_->rows(), expected_sums(source_, 100, 50));
}

TEST_F(RecoveryTest, AFailureBeforeTheFirstCheckpointStartsFromTheBeginning) {
  const auto result = run_counts(configuration(), Bomb::throwing(0));
  expect_state(result, JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(RecoveryTest, EveryParallelismGivesTheSameResults) {
  for (const int parallelism : {1, 2, 3, 4}) {
    counts_ = std::make_shared<Target<Counted>>();
    Configuration settings = configuration(parallelism);
    settings.set(options::kJobId, "parallelism-" + std::to_string(parallelism));
    expect_state(run_counts(settings, Bomb::throwing(500)), JobState::kFinished);
    EXPECT_EQ(counts_->rows(), expected_counts(source_)) << parallelism;
  }
}

TEST_F(RecoveryTest, WithoutARestartStrategyTheFirstFailureIsTheLast) {
  const Bomb bomb = Bomb::throwing(700, 100);
  const auto result = run_counts(configuration(2, 0), bomb);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(bomb.went_off(), 1);
  EXPECT_THAT(result.error().message, AllOf(HasSubstr("Map["), HasSubstr("the bomb went off")));
}

TEST_F(RecoveryTest, FixedDelayGivesUpAfterItsAttempts) {
  const Bomb bomb = Bomb::throwing(700, 100);
  EXPECT_FALSE(run_counts(configuration(2, 3), bomb).ok());
  EXPECT_EQ(bomb.went_off(), 4);
}

TEST_F(RecoveryTest, ALostEpochStopsTheJobAtOnce) {
  counts_->roll_back_next();
  const Bomb bomb = Bomb::throwing(700, 100);
  const auto result = run_counts(configuration(), bomb);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kLost);
  EXPECT_THAT(result.error().message, HasSubstr("counts"));
}

TEST_F(RecoveryTest, ACommitWhoseReplyIsLostIsRepeatedAndHappensOnce) {
  counts_->lose_replies(3);
  expect_state(run_counts(configuration(), Bomb::throwing(700)), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(RecoveryTest, AtLeastOnceLosesNothing) {
  Configuration settings = configuration();
  settings.set(options::kCheckpointMode, CheckpointingMode::kAtLeastOnce);
  expect_state(run_counts(settings, Bomb::throwing(700)), JobState::kFinished);
  const std::vector<Counted> rows = counts_->rows();
  for (const Counted& expected : expected_counts(source_)) {
    EXPECT_TRUE(std::binary_search(rows.begin(), rows.end(), expected));
  }
}

class ThrowingKey {
 public:
  explicit ThrowingKey(Bomb bomb) : bomb_(std::move(bomb)) {}
  std::int64_t operator()(const Event& event) const { return bomb_(event).key; }

 private:
  Bomb bomb_;
};

// User code outside of operators: a key selector and a timestamp assigner right behind the source.
TEST_F(RecoveryTest, AThrowingKeySelectorIsAFailureLikeAnyOther) {
  const Bomb bomb = Bomb::throwing(300);
  Environment environment(configuration());
  events(environment)
      .key_by(ThrowingKey(bomb))
      .process(CountPerKey())
      .uid("count")
      .sink_to(std::make_shared<MemorySink<Counted>>(counts_))
      .uid("counts");
  expect_state(environment.execute("recovery"), JobState::kFinished);
  EXPECT_EQ(bomb.went_off(), 1);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(RecoveryTest, AThrowingTimestampAssignerIsAFailureLikeAnyOther) {
  const Bomb bomb = Bomb::throwing(300);
  Environment environment(configuration());
  environment
      .from_source<Event>(
          std::make_shared<RewindingSource>(source_),
          WatermarkStrategy<Event>::for_monotonous_timestamps().with_timestamp_assigner(
              [bomb](const Event& event) { return bomb(event).time; }),
          "events")
      .key_by(&Event::key)
      .process(CountPerKey())
      .sink_to(std::make_shared<MemorySink<Counted>>(counts_));
  expect_state(environment.execute("recovery"), JobState::kFinished);
  EXPECT_EQ(bomb.went_off(), 1);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

// --- Ends and stops -----------------------------------------------------------------------------

TEST_F(RecoveryTest, TheEndOfTheInputIsCommittedByAFinalCheckpoint) {
  source_.events_per_checkpoint = 0;
  Configuration settings = configuration();
  settings.set(options::kCheckpointInterval, DurationMs(3'600'000));  // no periodic one
  const auto result = run_counts(settings, dud());
  expect_state(result, JobState::kFinished);
  EXPECT_GT(result.value().last_checkpoint, 0);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(RecoveryTest, AFinishedJobThatIsStartedAgainAddsNothing) {
  expect_state(run_counts(configuration(), dud()), JobState::kFinished);
  const std::size_t commits = counts_->commits();
  expect_state(run_counts(configuration(), dud()), JobState::kFinished);
  EXPECT_EQ(counts_->commits(), commits);
}

TEST_F(RecoveryTest, AStoppedJobGoesOnWhereItStopped) {
  expect_state(run_sums(configuration(), Bomb::stopping(400)), JobState::kSuspended);
  EXPECT_LT(sums_->rows().size(), expected_sums(source_, 100, 50).size());
  expect_state(run_sums(configuration(), dud()), JobState::kFinished);
  EXPECT_EQ(sums_->rows(), expected_sums(source_, 100, 50));
}

TEST_F(RecoveryTest, AJobIsRescaledByStartingItAtAnotherParallelism) {
  source_.count = 2000;
  expect_state(run_sums(configuration(1), Bomb::stopping(500)), JobState::kSuspended);
  expect_state(run_sums(configuration(3), Bomb::stopping(1200)), JobState::kSuspended);
  expect_state(run_sums(configuration(2), Bomb::throwing(1700)), JobState::kFinished);
  EXPECT_EQ(sums_->rows(), expected_sums(source_, 100, 50));
}

TEST_F(RecoveryTest, CountsGoOnOverARescale) {
  source_.count = 2000;
  expect_state(run_counts(configuration(4), Bomb::stopping(500)), JobState::kSuspended);
  expect_state(run_counts(configuration(1), Bomb::stopping(1200)), JobState::kSuspended);
  expect_state(run_counts(configuration(3), dud()), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(RecoveryTest, AJobStartsFromASnapshotThatTheUserChose) {
  expect_state(run_counts(configuration(), Bomb::stopping(400)), JobState::kSuspended);
  const auto at_the_snapshot = counts_;
  const std::filesystem::path manifest = checkpoint_files("_metadata").at(0);
  for (const std::filesystem::path& path : {manifest, manifest.parent_path()}) {
    counts_ = std::make_shared<Target<Counted>>(*at_the_snapshot);
    Configuration settings = configuration(3);
    settings.set(options::kCheckpointDir, directory_ + "/from-" + path.filename().string());
    settings.set(options::kRecoveryPath, path.string());
    expect_state(run_counts(settings, dud()), JobState::kFinished);
    EXPECT_EQ(counts_->rows(), expected_counts(source_));
  }
}

// --- Shapes -------------------------------------------------------------------------------------

TEST_F(RecoveryTest, UnionsSideOutputsAndSeveralSinksAgreeAboutEveryEpoch) {
  const auto copies = std::make_shared<Target<Event>>();
  const auto odd_events = std::make_shared<Target<Event>>();
  const OutputTag<Event> odd("odd");
  class Split : public KeyedProcessFunction<std::int64_t, Event, Counted> {
   public:
    explicit Split(OutputTag<Event> tag) : odd_(std::move(tag)) {}
    void open(OpenContext& context) override { count_ = context.value_state<std::int64_t>("n"); }
    void process_element(const Event& event, Context& context, Collector<Counted>& out) override {
      out.collect(Counted{event.key, ++count_.mutable_value()});
      if (event.number % 2 != 0) {
        context.output(odd_, event);
      }
    }

   private:
    OutputTag<Event> odd_;
    ValueState<std::int64_t> count_;
  };

  Environment environment(configuration());
  const auto all = events(environment).map(Bomb::throwing(600)).uid("bomb");
  const auto low = all.filter([](const Event& event) { return event.number < 500; });
  const auto high = all.filter([](const Event& event) { return event.number >= 500; });
  const auto both = low.union_with(high);
  both.sink_to(std::make_shared<MemorySink<Event>>(copies)).set_parallelism(1);
  const auto counted =
      both.key_by(&Event::key).with_side_output(odd).process(Split(odd)).set_parallelism(3);
  counted.sink_to(std::make_shared<MemorySink<Counted>>(counts_));
  counted.side_output(odd).sink_to(std::make_shared<MemorySink<Event>>(odd_events));
  const auto result = environment.execute("recovery");
  expect_state(result, JobState::kFinished);
  EXPECT_EQ(result.value().restarts, 1);

  std::vector<Event> expected_copies;
  std::vector<Event> expected_odd;
  for (std::int64_t number = 0; number < source_.count; ++number) {
    expected_copies.push_back(event_of(number, source_));
    if (number % 2 != 0) {
      expected_odd.push_back(event_of(number, source_));
    }
  }
  EXPECT_EQ(copies->rows(), expected_copies);
  EXPECT_EQ(odd_events->rows(), expected_odd);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(RecoveryTest, AUnionOfAStreamWithItselfDoublesIt) {
  const auto copies = std::make_shared<Target<Event>>();
  Environment environment(configuration());
  const auto stream = events(environment);
  stream.union_with(stream).sink_to(std::make_shared<MemorySink<Event>>(copies));
  expect_state(environment.execute("recovery"), JobState::kFinished);
  EXPECT_EQ(copies->rows().size(), 2 * static_cast<std::size_t>(source_.count));
}

TEST_F(RecoveryTest, EveryPartitioningDeliversEachEventOnce) {
  const auto copies = std::make_shared<Target<Event>>();
  Environment environment(configuration(2));
  const auto same = [](const Event& event) { return event; };
  events(environment)
      .rebalance()
      .map(same)
      .set_parallelism(3)
      .rescale()
      .map(Bomb::throwing(500))
      .set_parallelism(2)
      .global()
      .map(same)
      .broadcast()
      .filter([](const Event&) { return true; })
      .set_parallelism(1)
      .sink_to(std::make_shared<MemorySink<Event>>(copies))
      .set_parallelism(4);
  expect_state(environment.execute("recovery"), JobState::kFinished);
  EXPECT_EQ(copies->rows().size(), static_cast<std::size_t>(source_.count));
}

TEST_F(RecoveryTest, AListenerSeesTheJobFromItsStartToItsEnd) {
  Environment environment(configuration());
  count_events(environment, Bomb::throwing(500));
  std::vector<JobPhase> phases;
  JobStatus last;
  environment.set_listener([&](const JobStatus& status) {
    EXPECT_GE(status.checkpoints_completed, last.checkpoints_completed);  // also over the restart
    EXPECT_GE(status.last_checkpoint, last.last_checkpoint);
    if (phases.empty() || phases.back() != status.phase) {
      phases.push_back(status.phase);
    }
    last = status;
  });
  expect_state(environment.execute("recovery"), JobState::kFinished);
  EXPECT_EQ(phases,
            (std::vector<JobPhase>{JobPhase::kRestoring, JobPhase::kRunning, JobPhase::kRestarting,
                                   JobPhase::kRestoring, JobPhase::kRunning, JobPhase::kFinished}));
  EXPECT_EQ(last.restarts, 1);
  EXPECT_GE(last.records_in, source_.count);
  EXPECT_GT(last.checkpoints_completed, 1);
  EXPECT_EQ(last.pending_committables, 0);
}

}  // namespace
}  // namespace weir::recovery
