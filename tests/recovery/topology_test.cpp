#include "recovery/savepoint_scenario.h"

/// Starts of a changed program: operators added, removed, renamed, rescaled.
namespace weir::recovery {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class TopologyTest : public SavepointTest {
 protected:
  TopologyTest() {
    source_.count = 1500;
    source_.events_per_checkpoint = 48;  // 96 of both readers: a multiple of their batches
  }
  struct Uids {
    std::string source = "events";
    std::string count = "count";
    std::string sink = "counts";
  };
  static void build(Environment& environment, const TopologyTest& test, const Uids& uids) {
    environment
        .from_source<Event>(std::make_shared<RewindingSource>(test.source_),
                            WatermarkStrategy<Event>::no_watermarks(), "events")
        .uid(uids.source)
        .key_by(&Event::key)
        .process(CountPerKey())
        .uid(uids.count)
        .sink_to(std::make_shared<MemorySink<Counted>>(test.counts_))
        .uid(uids.sink);
  }
  Result<JobResult> run(const Configuration& settings, const Uids& uids) const {
    Environment environment(settings);
    build(environment, *this, uids);
    return environment.execute("recovery");
  }
  /// A savepoint with prepared results that its job never committed.
  SnapshotInfo savepoint_with_open_results() const {
    Environment environment(without_period());
    build(environment, *this, {});
    JobClient job = environment.execute_async("recovery").value();
    EXPECT_TRUE(wait_until([&] { return job.status().records_in >= 96; }));
    EXPECT_TRUE(answer(job.trigger_checkpoint()).ok());
    EXPECT_TRUE(wait_until([&] { return job.status().records_in >= 192; }));
    const Result<SnapshotInfo> savepoint = answer(job.trigger_savepoint(savepoints()));
    EXPECT_TRUE(savepoint.ok()) << savepoint.error().message;
    EXPECT_FALSE(manifest_of(savepoint.value().path).sinks.at(0).committables.empty());
    job.cancel();
    EXPECT_TRUE(job.wait().ok());
    return savepoint.value();
  }
  Configuration mapped(const SnapshotInfo& savepoint, const std::string& mapping,
                       const std::string& directory = "next") const {
    Configuration settings = chosen(savepoint.path, directory);
    settings.set(options::kUidMapping, mapping);
    return settings;
  }
};

TEST_F(TopologyTest, RenamedOperatorsSourcesAndSinksKeepTheirStateByMapping) {
  const SnapshotInfo savepoint = savepoint_with_open_results();
  const Uids renamed{"orders", "totals", "totals-out"};
  const Configuration settings = mapped(savepoint, "events=orders,count=totals,counts=totals-out");
  expect_state(run(settings, renamed), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(TopologyTest, TheMappingMayStayWhenTheJobGoesOn) {
  const SnapshotInfo savepoint = savepoint_with_open_results();
  const Configuration settings = mapped(savepoint, "count=totals");
  {
    Environment environment(settings);
    build(environment, *this, {.count = "totals"});
    JobClient job = environment.execute_async("recovery").value();
    ASSERT_TRUE(answer(job.trigger_checkpoint()).ok());
    job.suspend();
    ASSERT_TRUE(job.wait().ok());
  }
  expect_state(run(settings, {.count = "totals"}), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(TopologyTest, AWrongMappingIsRefusedWithWhatTheSnapshotHas) {
  const SnapshotInfo savepoint = savepoint_with_open_results();
  const struct {
    const char* mapping;
    const char* says;
  } table[] = {
      {"count=totals", "no operator with the uid 'totals'"},
      {"cuont=count", ""},  // the present name is known: nothing to do
      {"typo=count2", "no operator with the uid 'count2'"},
      {"count", "old=new"},
      {"count=a,events=a", "names a uid that another part names too"},
      {"events=count", "both 'events' and 'count'"},
  };
  int run_number = 0;
  for (const auto& row : table) {
    const auto result =
        run(mapped(savepoint, row.mapping, "run-" + std::to_string(run_number++)), {});
    if (*row.says == '\0') {
      expect_state(result, JobState::kFinished);
      counts_ = std::make_shared<Target<Counted>>();
      continue;
    }
    ASSERT_FALSE(result.ok()) << row.mapping;
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(result.error().message, HasSubstr(row.says));
  }
}

TEST_F(TopologyTest, M4AMissingOperatorIsRefusedAndListedUnlessItsStateIsDropped) {
  const SnapshotInfo savepoint = savepoint_with_open_results();
  const auto refused = run(chosen(savepoint.path, "refused"), {.count = "cuont"});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, AllOf(HasSubstr("dropped: count"), HasSubstr("new: cuont"),
                                             HasSubstr("matched: counts, events")));
  Configuration dropping = chosen(savepoint.path, "dropping");
  dropping.set(options::kIgnoreUnclaimedState, true);
  expect_state(run(dropping, {.count = "cuont"}), JobState::kFinished);
  EXPECT_NE(counts_->rows(), expected_counts(source_));  // it counted from one again
}

TEST_F(TopologyTest, ASinkWithOpenResultsCannotBeDropped) {
  const SnapshotInfo savepoint = savepoint_with_open_results();
  Configuration dropping = chosen(savepoint.path, "dropping");
  dropping.set(options::kIgnoreUnclaimedState, true);
  const auto refused = run(dropping, {.sink = "another"});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("uncommitted results of sink counts"));
}

TEST_F(TopologyTest, AnAddedOperatorAndSinkStartEmptyAndTheRestGoesOn) {
  const SnapshotInfo savepoint = savepoint_with_open_results();
  const auto copies = std::make_shared<Target<Event>>();
  Environment environment(chosen(savepoint.path, "next", 3));
  const auto stream = environment
                          .from_source<Event>(std::make_shared<RewindingSource>(source_),
                                              WatermarkStrategy<Event>::no_watermarks(), "events")
                          .uid("events");
  stream.key_by(&Event::key)
      .process(CountPerKey())
      .uid("count")
      .sink_to(std::make_shared<MemorySink<Counted>>(counts_))
      .uid("counts");
  stream.key_by(&Event::key)
      .process(CountPerKey())
      .uid("count-again")
      .map([](const Counted& counted) { return Event{counted.count, counted.key, 0}; })
      .sink_to(std::make_shared<MemorySink<Event>>(copies))
      .uid("copies");
  expect_state(environment.execute("recovery"), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
  EXPECT_EQ(copies->rows().size(), static_cast<std::size_t>(source_.count - 192));
}

TEST_F(TopologyTest, AUidThatChangedItsKindIsRefused) {
  const SnapshotInfo savepoint = savepoint_with_open_results();
  Configuration dropping = chosen(savepoint.path, "next");
  dropping.set(options::kIgnoreUnclaimedState, true);
  const auto refused = run(dropping, {.count = "counts", .sink = "count"});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("of another kind"));
}

TEST_F(TopologyTest, KeyedStateOfAnOperatorWithoutKeysIsRefusedUnlessItMayBeDropped) {
  const SnapshotInfo savepoint = savepoint_with_open_results();
  const auto run_without_keys = [&](bool may_drop) {
    Configuration settings = chosen(savepoint.path, "next");
    settings.set(options::kIgnoreUnclaimedState, may_drop);
    Environment environment(settings);
    environment
        .from_source<Event>(std::make_shared<RewindingSource>(source_),
                            WatermarkStrategy<Event>::no_watermarks(), "events")
        .uid("events")
        .map([](const Event& event) { return Counted{event.key, 0}; })
        .uid("count")
        .sink_to(std::make_shared<MemorySink<Counted>>(counts_))
        .uid("counts");
    return environment.execute("recovery");
  };
  const auto refused = run_without_keys(false);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message,
              AllOf(HasSubstr("uid count"), HasSubstr("no key_by() in the job")));
  expect_state(run_without_keys(true), JobState::kFinished);
}

TEST_F(TopologyTest, TheMaxParallelismOfASavepointIsKeptAndCannotChange) {
  source_.events_per_checkpoint = 50;
  const auto settings_with = [&](Configuration settings, int max_parallelism) {
    settings.set(options::kMaxParallelism, max_parallelism);
    return settings;
  };
  Environment environment(settings_with(without_period(), 8));
  build(environment, *this, {});
  JobClient job = environment.execute_async("recovery").value();
  ASSERT_TRUE(wait_until([&] { return job.status().records_in >= 96; }));
  const Result<SnapshotInfo> savepoint = answer(job.stop_with_savepoint(false, savepoints()));
  ASSERT_TRUE(savepoint.ok()) << savepoint.error().message;
  ASSERT_TRUE(job.wait().ok());
  const std::string& path = savepoint.value().path;
  EXPECT_EQ(manifest_of(path).operators.at(0).max_parallelism, 8);

  const auto other = run(settings_with(chosen(path, "other"), 16), {});
  ASSERT_FALSE(other.ok());
  EXPECT_THAT(other.error().message, AllOf(HasSubstr("16"), HasSubstr("8")));
  const auto above = run(chosen(path, "above", 9), {});
  ASSERT_FALSE(above.ok());
  EXPECT_THAT(above.error().message, HasSubstr("at most 8"));
  // A value that nobody set gives way to the stored one.
  expect_state(run(chosen(path, "same", 8), {}), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

}  // namespace
}  // namespace weir::recovery
