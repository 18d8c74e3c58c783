#include "recovery/schema_scenario.h"

namespace weir::recovery {

// Outside the unnamed namespace: clang warns of reflected types that have internal linkage.
namespace schema_test {
struct Smaller {
  std::int16_t count = 0;
};
/// Counts down from a million: no rule could find that out.
struct Remaining {
  std::int64_t left = 1'000'000;
};
}  // namespace schema_test

}  // namespace weir::recovery

template <>
struct weir::Migration<weir::recovery::schema_test::Remaining> {
  using From = weir::recovery::schema_test::Old;
  static weir::recovery::schema_test::Remaining migrate(const From& old) {
    return {1'000'000 - old.count};
  }
};

namespace weir::recovery {
namespace {

using namespace schema_test;

/// A running count per key in a struct.
template <class State>
class CountIn : public KeyedProcessFunction<std::int64_t, Event, Counted> {
 public:
  explicit CountIn(StateTtlConfig ttl = {}) : ttl_(ttl) {}
  void open(typename CountIn::OpenContext& context) override {
    count_ = context.template value_state<State>("count", ttl_);
  }
  void process_element(const Event& event, typename CountIn::Context&,
                       Collector<Counted>& out) override {
    State& state = count_.mutable_value();
    if constexpr (requires { state.left; }) {
      out.collect(Counted{event.key, 1'000'000 - --state.left});
    } else {
      if constexpr (requires { state.last; }) {
        EXPECT_TRUE(state.last == "none" || state.last == std::to_string(event.key)) << state.last;
        state.last = std::to_string(event.key);
      }
      out.collect(Counted{event.key, ++state.count});
    }
  }

 private:
  StateTtlConfig ttl_;
  ValueState<State> count_;
};

TEST_F(SchemaTest, FieldsAreAddedDroppedReorderedAndWidened) {
  expect_state(run(CountIn<Old>(), Bomb::stopping(3'000)), JobState::kSuspended);
  expect_state(run(CountIn<New>(), Bomb::stopping(7'000), false, 3), JobState::kSuspended);
  expect_state(run(CountIn<New>(), dud()), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(SchemaTest, TheJobsOwnMigrationIsUsed) {
  for (const bool is_incremental : {false, true}) {
    counts_ = std::make_shared<Target<Counted>>();
    expect_state(run(CountIn<Old>(), Bomb::stopping(3'000), is_incremental), JobState::kSuspended);
    expect_state(run(CountIn<Remaining>(), Bomb::stopping(7'000), is_incremental, 3),
                 JobState::kSuspended);
    expect_state(run(CountIn<Remaining>(), dud(), is_incremental), JobState::kFinished);
    EXPECT_EQ(counts_->rows(), expected_counts(source_));
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directory(directory_);
  }
}

TEST_F(SchemaTest, AChainOfDeltasBeginsAnewWithTheNewSchema) {
  source_.keys = 2'000;
  expect_state(run(CountIn<Old>(), Bomb::stopping(4'000), true), JobState::kSuspended);
  expect_state(run(CountIn<New>(), Bomb::stopping(8'000), true), JobState::kSuspended);
  expect_state(run(CountIn<New>(), dud(), true), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(SchemaTest, ATimeToLiveComesAndGoes) {
  const StateTtlConfig day{.ttl = std::chrono::hours(24)};
  expect_state(run(CountIn<Old>(), Bomb::stopping(3'000)), JobState::kSuspended);
  expect_state(run(CountIn<New>(day), Bomb::stopping(7'000)), JobState::kSuspended);
  expect_state(run(CountIn<New>(), dud()), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(SchemaTest, WhatDoesNotFitIsRefusedAndNothingIsLost) {
  expect_state(run(CountIn<Old>(), Bomb::stopping(3'000)), JobState::kSuspended);
  const auto refused = run(CountIn<Smaller>(), dud());
  ASSERT_FALSE(refused.ok());
  const std::string& message = refused.error().message;
  EXPECT_NE(message.find("state 'count' was stored as i64 -> struct{count:i32,unused:string}"),
            std::string::npos)
      << message;
  EXPECT_NE(message.find("count: i32 cannot become i16"), std::string::npos) << message;
  expect_state(run(CountIn<Old>(), dud()), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

}  // namespace
}  // namespace weir::recovery
