#include <fstream>

#include "recovery/scenario.h"

/// What a job refuses to start with, and how it says so.
namespace weir::recovery {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}
void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}
std::string name_of(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

TEST_F(RecoveryTest, AnUnknownKeyIsAnErrorThatNamesTheNearest) {
  Configuration settings = configuration();
  const Status status = settings.set("execution.checkpointing.intervall", "1 s");
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message, HasSubstr("execution.checkpointing.interval"));
}

TEST_F(RecoveryTest, AnExactlyOnceSinkNeedsCheckpoints) {
  const auto result = run_counts(Configuration(), dud());
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(result.error().message, HasSubstr("execution.checkpointing.interval"));
}

TEST_F(RecoveryTest, AnOperatorWithoutUidIsRefusedWhereUidsAreNotGenerated) {
  Configuration settings = configuration();
  settings.set(options::kAutoGenerateUids, false);
  Environment environment(settings);
  events(environment)
      .filter([](const Event&) { return true; })
      .name("everything")
      .sink_to(std::make_shared<MemorySink<Event>>(std::make_shared<Target<Event>>()))
      .uid("out");
  const auto result = environment.execute("recovery");
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.error().message, HasSubstr("everything"));
}

TEST_F(RecoveryTest, E10_StateThatNoOperatorClaimsIsRefusedUnlessTheUserDropsIt) {
  expect_state(run_counts(configuration(), Bomb::stopping(400)), JobState::kSuspended);
  const auto run_with_another_uid = [&](const Configuration& settings) {
    Environment environment(settings);
    events(environment)
        .map(dud())
        .uid("bomb")
        .key_by(&Event::key)
        .process(CountPerKey())
        .uid("renamed")
        .sink_to(std::make_shared<MemorySink<Counted>>(counts_))
        .uid("counts");
    return environment.execute("recovery");
  };
  const auto refused = run_with_another_uid(configuration());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(refused.error().message, AllOf(HasSubstr("count"), HasSubstr("renamed")));
  Configuration dropping = configuration();
  dropping.set(options::kIgnoreUnclaimedState, true);
  expect_state(run_with_another_uid(dropping), JobState::kFinished);
}

TEST_F(RecoveryTest, AStateOfAnotherTypeIsRefusedAndNotRetried) {
  expect_state(run_counts(configuration(), Bomb::stopping(400)), JobState::kSuspended);
  class CountsInText : public KeyedProcessFunction<std::int64_t, Event, Counted> {
   public:
    void open(OpenContext& context) override { (void)context.value_state<std::string>("count"); }
    void process_element(const Event&, Context&, Collector<Counted>&) override {}
  };
  Environment environment(configuration());
  int restarts = 0;
  environment.set_listener([&](const JobStatus& status) { restarts = status.restarts; });
  events(environment)
      .map(dud())
      .uid("bomb")
      .key_by(&Event::key)
      .process(CountsInText())
      .uid("count")
      .sink_to(std::make_shared<MemorySink<Counted>>(counts_))
      .uid("counts");
  const auto result = environment.execute("recovery");
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.error().message, AllOf(HasSubstr("count"), HasSubstr("string")));
  EXPECT_EQ(restarts, 0);
}

TEST_F(RecoveryTest, CheckpointsOfAnotherJobAreRefused) {
  Configuration settings = configuration();
  settings.set(options::kCheckpointCreateSubdir, false);
  expect_state(run_counts(settings, Bomb::stopping(400)), JobState::kSuspended);
  settings.set(options::kJobId, "another");
  const auto result = run_counts(settings, dud());
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(result.error().message, HasSubstr("recovery"));
}

TEST_F(RecoveryTest, AMaximumParallelismOtherThanTheStoredOneIsRefused) {
  expect_state(run_counts(configuration(), Bomb::stopping(400)), JobState::kSuspended);
  Configuration settings = configuration();
  settings.set(options::kMaxParallelism, 64);
  const auto result = run_counts(settings, dud());
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.error().message, AllOf(HasSubstr("64"), HasSubstr("128")));
}

TEST_F(RecoveryTest, SoIsAnOperatorsOwnMaximumParallelism) {
  const auto run_with = [&](int max_parallelism, const Bomb& bomb) {
    Environment environment(configuration());
    events(environment)
        .map(bomb)
        .uid("bomb")
        .key_by(&Event::key)
        .process(CountPerKey())
        .uid("count")
        .set_max_parallelism(max_parallelism)
        .sink_to(std::make_shared<MemorySink<Counted>>(counts_))
        .uid("counts");
    return environment.execute("recovery");
  };
  expect_state(run_with(64, Bomb::stopping(400)), JobState::kSuspended);
  const auto refused = run_with(32, dud());
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, AllOf(HasSubstr("64"), HasSubstr("32")));
  // A value that was not set gives way to the stored one.
  expect_state(run_counts(configuration(), dud()), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(RecoveryTest, AParallelismAboveTheStoredMaximumIsRefused) {
  Configuration settings = configuration(2);
  settings.set(options::kMaxParallelism, 2);
  expect_state(run_counts(settings, Bomb::stopping(400)), JobState::kSuspended);
  const auto result = run_counts(configuration(3), dud());
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
}

TEST_F(RecoveryTest, ADamagedFileOfTheCheckpointIsRefusedByName) {
  expect_state(run_counts(configuration(), Bomb::stopping(400)), JobState::kSuspended);
  std::vector<std::string> files = checkpoint_files("count-");
  ASSERT_FALSE(files.empty());
  files.push_back(checkpoint_files("_metadata").at(0));
  for (const std::string& path : files) {
    const std::string whole = read_file(path);
    for (const bool is_cut : {false, true}) {
      std::string damaged = whole;
      if (is_cut) {
        damaged.resize(whole.size() - 1);
      } else {
        damaged[whole.size() / 2] = static_cast<char>(damaged[whole.size() / 2] ^ 0x10);
      }
      write_file(path, damaged);
      const auto result = run_counts(configuration(), dud());
      ASSERT_FALSE(result.ok()) << path;
      EXPECT_EQ(result.error().code, ErrorCode::kCorruption);
      EXPECT_THAT(result.error().message, HasSubstr(name_of(path)));
    }
    std::filesystem::remove(path);
    if (name_of(path) != "_metadata") {
      const auto result = run_counts(configuration(), dud());
      ASSERT_FALSE(result.ok()) << path;
      EXPECT_THAT(result.error().message, HasSubstr(name_of(path)));
    }
    write_file(path, whole);
  }
  // Whole again, it is as good as ever.
  expect_state(run_counts(configuration(), dud()), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(RecoveryTest, ASinkOfAnotherRecordTypeIsRefusedWhereItIsNamed) {
  Environment environment(configuration());
  const auto stream = events(environment);
  EXPECT_DEATH((void)stream.sink_to(std::make_shared<MemorySink<Counted>>(counts_)),
               "another record type");
}

}  // namespace
}  // namespace weir::recovery
