// Every kind of keyed state in a savepoint that is made without a job, with and without a time to
// live, and the job that starts from it.
#include "recovery/every_state.h"
#include "recovery/savepoint_scenario.h"
#include "weir/savepoint_editor.h"

namespace weir::recovery {
namespace {

using ::testing::ElementsAre;
using ::testing::IsSupersetOf;

class EditedStatesTest : public SavepointTest {
 protected:
  EditedStatesTest() {
    source_.count = 300;
    source_.splits = 1;  // so that the order of a key's events is known
  }

  template <class T>
  static T value_of(Result<T> result) {
    EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message);
    return std::move(result).value();
  }
  /// An operator's state with an event of each key in it: what EveryState then begins with.
  std::map<std::int64_t, EveryValue> add_first_events(SavepointEditor& savepoint,
                                                      const StateTtlConfig& ttl) const {
    auto op = value_of(savepoint.keyed_state<std::int64_t>("every"));
    EveryHandle state(op.states(), ttl);
    std::map<std::int64_t, EveryValue> first;
    for (std::int64_t key = 0; key < source_.keys; ++key) {
      const Event event{10'000 + key, key, 0};
      op.set_current_key(key);
      state.add(event);
      first[key].add(event);
    }
    EXPECT_TRUE(op.states().status().ok());
    return first;
  }
  std::vector<Seen> rows_after(const std::string& savepoint, const StateTtlConfig& ttl) const {
    const auto seen = std::make_shared<Target<Seen>>();
    Environment environment(chosen(savepoint, "next", 3));
    events(environment)
        .key_by(&Event::key)
        .process(EveryState(ttl))
        .uid("every")
        .sink_to(std::make_shared<MemorySink<Seen>>(seen))
        .uid("out");
    expect_state(environment.execute("recovery"), JobState::kFinished);
    return seen->rows();
  }
  static void wait_for_the_next_millisecond() {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
};

TEST_F(EditedStatesTest, AJobFindsEveryKindOfState) {
  for (const StateTtlConfig& ttl :
       {StateTtlConfig(), StateTtlConfig{.ttl = std::chrono::hours(24)},
        StateTtlConfig{.ttl = std::chrono::hours(24),
                       .update_type = StateTtlConfig::UpdateType::kOnReadAndWrite}}) {
    SavepointEditor savepoint = SavepointEditor::create();
    const auto first = add_first_events(savepoint, ttl);
    const std::string path = value_of(savepoint.write(savepoints()));
    EXPECT_EQ(values_in(rows_after(path, ttl)), expected_seen(source_, first)) << ttl.ttl.count();
    std::filesystem::remove_all(directory_ + "/next");
  }
}

TEST_F(EditedStatesTest, ReadingAValueInTheEditorRefreshesIt) {
  const StateTtlConfig ttl{.ttl = std::chrono::hours(24),
                           .update_type = StateTtlConfig::UpdateType::kOnReadAndWrite};
  std::map<std::int64_t, EveryValue> first;
  std::string path;
  {
    SavepointEditor savepoint = SavepointEditor::create();
    first = add_first_events(savepoint, ttl);
    path = value_of(savepoint.write(savepoints()));
  }
  SavepointEditor savepoint = value_of(SavepointEditor::open(path));
  auto op = value_of(savepoint.keyed_state<std::int64_t>("every"));
  const EveryHandle state(op.states(), ttl);
  op.for_each_key([&] { EXPECT_EQ(state.get().text(), first.at(op.current_key()).text()); });
  path = value_of(savepoint.write(savepoints()));
  EXPECT_EQ(values_in(rows_after(path, ttl)), expected_seen(source_, first));
}

TEST_F(EditedStatesTest, WhatHasExpiredIsHiddenInTheEditorToo) {
  SavepointEditor savepoint = SavepointEditor::create();
  add_first_events(savepoint, {.ttl = std::chrono::hours(24)});
  const std::string path = value_of(savepoint.write(savepoints()));
  wait_for_the_next_millisecond();
  SavepointEditor opened = value_of(SavepointEditor::open(path));
  auto op = value_of(opened.keyed_state<std::int64_t>("every"));
  EveryHandle state(op.states(), {.ttl = std::chrono::milliseconds(1)});
  op.set_current_key(3);
  EXPECT_EQ(state.get().text(), EveryValue().text());
  EXPECT_EQ(state.value.value(), nullptr);
  EXPECT_EQ(state.list.get(), nullptr);
  EXPECT_FALSE(state.map.contains(10'003 % 3));
  EXPECT_EQ(state.greatest.get(), nullptr);
  EXPECT_FALSE(state.sum.get().has_value());
}

TEST_F(EditedStatesTest, TimeGoesOnInTheEditor) {
  SavepointEditor savepoint = SavepointEditor::create();
  auto op = value_of(savepoint.keyed_state<std::int64_t>("every"));
  auto value =
      op.states().value_state<std::int64_t>("value", {.ttl = std::chrono::milliseconds(1)});
  op.set_current_key(1);
  value.update(7);
  wait_for_the_next_millisecond();
  op.set_current_key(1);
  EXPECT_EQ(value.value(), nullptr);
}

TEST_F(EditedStatesTest, TimersOfBothClocksFireInTheJob) {
  SavepointEditor savepoint = SavepointEditor::create();
  auto op = value_of(savepoint.keyed_state<std::int64_t>("every"));
  TimerService& timers = *value_of(op.timer_service());
  for (std::int64_t key = 0; key < 3; ++key) {
    op.set_current_key(key);
    timers.register_event_time_timer(100 + key);
    timers.register_processing_time_timer(EveryState::kPast - 1 - key);
    timers.register_processing_time_timer(EveryState::kFuture);
  }
  const std::string path = value_of(savepoint.write(savepoints()));
  std::vector<Seen> expected;
  for (std::int64_t key = 0; key < 3; ++key) {
    expected.push_back({key, 100 + key, "timer"});
    expected.push_back({key, EveryState::kPast - 1 - key, "timer"});
  }
  const std::vector<Seen> fired = timers_in(rows_after(path, {}));
  EXPECT_THAT(fired, IsSupersetOf(expected));
  for (const Seen& timer : fired) {
    EXPECT_LT(timer.number, EveryState::kFuture) << "of key " << timer.key;
  }
}

}  // namespace
}  // namespace weir::recovery
