// Savepoints that are made without a job, and jobs that start from them.
#include "weir/savepoint_editor.h"

#include "recovery/savepoint_scenario.h"

namespace weir::recovery {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SavepointEditorTest : public SavepointTest {
 protected:
  SavepointEditorTest() { source_.count = 2'000; }

  /// The counts of a run that began with `first` of each key.
  std::vector<Counted> counts_after(const std::function<std::int64_t(std::int64_t)>& first) const {
    std::vector<Counted> counts = expected_counts(source_);
    for (Counted& counted : counts) {
      counted.count += first(counted.key);
    }
    std::sort(counts.begin(), counts.end());
    return counts;
  }
  Result<JobResult> run_from(const std::string& snapshot, int parallelism = 2,
                             bool ignores_unclaimed = false) const {
    Configuration settings = chosen(snapshot, "next", parallelism);
    settings.set(options::kIgnoreUnclaimedState, ignores_unclaimed);
    return run_counts(settings, dud());
  }
  /// A checkpoint in the middle of a run.
  std::string stopped_job(bool is_incremental) const {
    Configuration settings = configuration(2, 0);
    settings.set(options::kIncrementalCheckpoints, is_incremental);
    expect_state(run_counts(settings, Bomb::stopping(1'000)), JobState::kSuspended);
    std::string latest;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_)) {
      if (entry.path().filename() == "_metadata" &&
          (latest.empty() || number_of(entry.path()) > number_of(latest))) {
        latest = entry.path();
      }
    }
    return std::filesystem::path(latest).parent_path();
  }
  static std::int64_t number_of(const std::filesystem::path& manifest) {
    return std::stoll(manifest.parent_path().filename().string().substr(4));
  }
  template <class T>
  static T value_of(Result<T> result) {
    EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message);
    return std::move(result).value();
  }
};

TEST_F(SavepointEditorTest, AJobBeginsWithStateThatNoJobMade) {
  SavepointEditor savepoint = SavepointEditor::create();
  auto counts = value_of(savepoint.keyed_state<std::int64_t>("count"));
  auto count = counts.states().value_state<std::int64_t>("count");
  for (std::int64_t key = 0; key < source_.keys; ++key) {
    counts.set_current_key(key);
    count.update(key * 100);
  }
  const std::string path = value_of(savepoint.write(savepoints()));
  expect_state(run_from(path, 3), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), counts_after([](std::int64_t key) { return key * 100; }));
}

TEST_F(SavepointEditorTest, TheStateOfAJobIsChangedKeyByKey) {
  for (const bool is_incremental : {false, true}) {
    counts_ = std::make_shared<Target<Counted>>();
    const std::string snapshot = stopped_job(is_incremental);
    SavepointEditor savepoint = value_of(SavepointEditor::open("file://" + snapshot));
    EXPECT_THAT(savepoint.uids(), ElementsAre("bomb", "count", "counts", "events"));
    auto counts = value_of(savepoint.keyed_state<std::int64_t>("count"));
    auto count = counts.states().value_state<std::int64_t>("count");
    std::set<std::int64_t> keys;
    counts.for_each_key([&] {
      EXPECT_TRUE(keys.insert(counts.current_key()).second);
      count.mutable_value() += 1'000;
    });
    EXPECT_EQ(keys.size(), static_cast<std::size_t>(source_.keys));
    const std::string path = value_of(savepoint.write("file://" + savepoints()));
    expect_state(run_from(path), JobState::kFinished);
    EXPECT_TRUE(path.starts_with(savepoints()));
    std::vector<Counted> rows = counts_->rows();
    std::vector<Counted> expected = expected_counts(source_);
    ASSERT_EQ(rows.size(), expected.size());
    for (Counted& row : rows) {
      row.count %= 1'000;
    }
    std::sort(rows.begin(), rows.end());
    EXPECT_EQ(rows, expected) << is_incremental;
    EXPECT_TRUE(std::filesystem::exists(snapshot + "/_metadata")) << "it stays as it was";
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directory(directory_);
  }
}

TEST_F(SavepointEditorTest, WhatIsNotEditedIsCarriedAlong) {
  const std::string snapshot = stopped_job(/*is_incremental=*/true);
  const SavepointEditor unchanged = value_of(SavepointEditor::open(snapshot));
  SavepointEditor savepoint = value_of(SavepointEditor::open(snapshot));
  auto other = value_of(savepoint.keyed_state<std::string>("other"));
  other.states().value_state<std::int64_t>("x").update(1);
  const std::string path = value_of(savepoint.write(savepoints()));
  const Result<JobResult> refused = run_from(path);
  ASSERT_FALSE(refused.ok()) << "state of an operator that the job does not have";
  EXPECT_THAT(refused.error().message, HasSubstr("other"));
  expect_state(run_from(path, 3, /*ignores_unclaimed=*/true), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(SavepointEditorTest, OperatorsAreRemovedAndRenamed) {
  const std::string snapshot = stopped_job(/*is_incremental=*/false);
  SavepointEditor savepoint = value_of(SavepointEditor::open(snapshot));
  EXPECT_TRUE(savepoint.rename("count", "former").ok());
  EXPECT_EQ(savepoint.rename("count", "x").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(savepoint.rename("former", "events").error().code, ErrorCode::kAlreadyExists);
  EXPECT_THAT(savepoint.remove("nobody").error().message, HasSubstr("there is bomb, counts"));
  const std::string renamed = value_of(savepoint.write(savepoints()));
  ASSERT_FALSE(run_from(renamed).ok());
  EXPECT_TRUE(savepoint.remove("former").ok());
  const std::string removed = value_of(savepoint.write(savepoints()));
  expect_state(run_from(removed), JobState::kFinished);
  EXPECT_LT(counts_->rows().size(), 2'000U + 2'000U) << "counts begin anew in the middle";
  EXPECT_TRUE(savepoint.rename("bomb", "count").ok()) << "the name is free";
}

TEST_F(SavepointEditorTest, ListsMapsTimersAndTimeToLive) {
  const StateTtlConfig day{.ttl = std::chrono::hours(24)};
  std::string path;
  {
    SavepointEditor savepoint = SavepointEditor::create(16);
    auto op = value_of(savepoint.keyed_state<std::string>("op"));
    auto list = op.states().list_state<std::int32_t>("list", day);
    auto map = op.states().map_state<std::string, double>("map");
    for (const std::string key : {"a", "b", "c"}) {
      op.set_current_key(key);
      list.add(1);
      list.add(2);
      map.put("x" + key, 0.5);
      value_of(op.timer_service())->register_event_time_timer(1'000);
    }
    path = value_of(savepoint.write(savepoints()));
  }
  SavepointEditor savepoint = value_of(SavepointEditor::open(path));
  auto op = value_of(savepoint.keyed_state<std::string>("op"));
  auto list = op.states().list_state<std::int32_t>("list", day);
  auto map = op.states().map_state<std::string, double>("map");
  int keys = 0;
  op.for_each_key([&] {
    ++keys;
    EXPECT_THAT(*list.get(), ElementsAre(1, 2));
    EXPECT_DOUBLE_EQ(*map.get("x" + op.current_key()), 0.5);
  });
  EXPECT_EQ(keys, 3);
  EXPECT_EQ(value_of(op.timer_service())->event_time().size(), 3U);
  EXPECT_TRUE(op.states().status().ok());
  op.states().value_state<std::int32_t>("map");
  EXPECT_FALSE(op.states().status().ok()) << "another type";
}

TEST_F(SavepointEditorTest, ErrorsNameTheThing) {
  EXPECT_EQ(SavepointEditor::open(directory_ + "/nowhere").error().code, ErrorCode::kNotFound);
  const std::string snapshot = stopped_job(/*is_incremental=*/false);
  SavepointEditor savepoint = value_of(SavepointEditor::open(snapshot));
  const auto of_source = savepoint.keyed_state<std::int64_t>("events");
  ASSERT_FALSE(of_source.ok());
  EXPECT_THAT(of_source.error().message, HasSubstr("'events' is a source or sink"));
  auto counts = value_of(savepoint.keyed_state<std::string>("count"));
  counts.states().value_state<std::int64_t>("count");
  ASSERT_FALSE(counts.states().status().ok());
  EXPECT_THAT(counts.states().status().error().message, HasSubstr("the type of a key"));
}

}  // namespace
}  // namespace weir::recovery
