#include "recovery/schema_scenario.h"

/// Every kind of keyed state, with a type in it that changes between two runs.
namespace weir::recovery {

// Outside the unnamed namespace: clang warns of reflected types that have internal linkage.
namespace schema_test {
/// What a reduction reduces is also what flows.
struct OldRunning {
  std::int64_t key = 0;
  std::int32_t count = 0;
  std::string unused = "x";
};
struct NewRunning {
  std::int64_t count = 0;
  std::optional<std::int64_t> since;
  std::int64_t key = 0;
};
}  // namespace schema_test

namespace {

using namespace schema_test;

/// The types of state that changed get what they did not have from their initializers.
void expect_default(const Old& /*state*/) {}
void expect_default(const New& state) { EXPECT_EQ(state.last, "none"); }

/// The last few counts; the next one builds on the newest.
template <class State>
class CountInList : public KeyedProcessFunction<std::int64_t, Event, Counted> {
 public:
  void open(typename CountInList::OpenContext& context) override {
    counts_ = context.template list_state<State>("counts");
  }
  void process_element(const Event& event, typename CountInList::Context&,
                       Collector<Counted>& out) override {
    State next;
    if (const auto* list = counts_.get()) {
      expect_default(list->back());
      next.count = list->back().count;
    }
    ++next.count;
    if (next.count % 5 == 0) {
      counts_.update({next});
    } else {
      counts_.add(next);
    }
    out.collect(Counted{event.key, next.count});
  }

 private:
  ListState<State> counts_;
};

/// A part of the count in each of three entries.
template <class State>
class CountInMap : public KeyedProcessFunction<std::int64_t, Event, Counted> {
 public:
  void open(typename CountInMap::OpenContext& context) override {
    counts_ = context.template map_state<std::string, State>("counts");
  }
  void process_element(const Event& event, typename CountInMap::Context&,
                       Collector<Counted>& out) override {
    ++counts_.mutable_value("mod " + std::to_string(event.number % 3)).count;
    std::int64_t count = 0;
    counts_.for_each([&](const std::string&, const State& part) {
      expect_default(part);
      count += part.count;
    });
    out.collect(Counted{event.key, count});
  }

 private:
  MapState<std::string, State> counts_;
};

template <class State>
struct CountAggregate {
  using Accumulator = State;
  State create_accumulator() const { return {}; }
  void add(State& into, const Event& /*event*/) const { ++into.count; }
  std::int64_t get_result(const State& from) const {
    expect_default(from);
    return from.count;
  }
  void merge(State& into, const State& from) const { into.count += from.count; }
};

template <class State>
class CountInAggregate : public KeyedProcessFunction<std::int64_t, Event, Counted> {
 public:
  void open(typename CountInAggregate::OpenContext& context) override {
    count_ = context.template aggregating_state<Event>("count", CountAggregate<State>());
  }
  void process_element(const Event& event, typename CountInAggregate::Context&,
                       Collector<Counted>& out) override {
    count_.add(event);
    out.collect(Counted{event.key, *count_.get()});
  }

 private:
  AggregatingState<Event, CountAggregate<State>> count_;
};

template <class State>
class CountInReduction : public KeyedProcessFunction<std::int64_t, Event, Counted> {
 public:
  void open(typename CountInReduction::OpenContext& context) override {
    count_ = context.template reducing_state<State>("count", [](const State& a, const State& b) {
      State sum = a;
      sum.count += b.count;
      return sum;
    });
  }
  void process_element(const Event& event, typename CountInReduction::Context&,
                       Collector<Counted>& out) override {
    State one;
    one.count = 1;
    count_.add(one);
    expect_default(*count_.get());
    out.collect(Counted{event.key, count_.get()->count});
  }

 private:
  ReducingState<State> count_;
};

/// The sum of a window's numbers.
template <class State>
struct SumIn {
  using Accumulator = State;
  State create_accumulator() const { return {}; }
  void add(State& into, const Event& event) const {
    into.count += static_cast<decltype(into.count)>(event.number);
  }
  std::int64_t get_result(const State& from) const {
    expect_default(from);
    return from.count;
  }
  void merge(State& into, const State& from) const { into.count += from.count; }
};

class SchemaOfEveryKind : public SchemaTest {
 protected:
  SchemaOfEveryKind() { source_.count = 4'000; }

  template <template <class> class Function>
  void expect_counts_over_a_change() {
    for (const bool is_incremental : {false, true}) {
      counts_ = std::make_shared<Target<Counted>>();
      expect_state(run(Function<Old>(), Bomb::stopping(1'000), is_incremental),
                   JobState::kSuspended);
      expect_state(run(Function<New>(), Bomb::stopping(2'500), is_incremental, 3),
                   JobState::kSuspended);
      expect_state(run(Function<New>(), dud(), is_incremental), JobState::kFinished);
      EXPECT_EQ(counts_->rows(), expected_counts(source_));
      std::filesystem::remove_all(directory_);
      std::filesystem::create_directory(directory_);
    }
  }

  template <class Running>
  Result<JobResult> run_reduce(Bomb bomb) const {
    Environment environment(configuration(2, 0));
    events(environment)
        .map(std::move(bomb))
        .uid("bomb")
        .map([](const Event& event) {
          Running one;
          one.key = event.key;
          one.count = 1;
          return one;
        })
        .uid("ones")
        .key_by(&Running::key)
        .reduce([](const Running& a, const Running& b) {
          Running sum = a;
          sum.count += b.count;
          return sum;
        })
        .uid("running")
        .map([](const Running& running) { return Counted{running.key, running.count}; })
        .uid("counted")
        .sink_to(std::make_shared<MemorySink<Counted>>(counts_))
        .uid("counts");
    return environment.execute("recovery");
  }

  template <class State>
  Result<JobResult> run_windows(Bomb bomb, int parallelism = 2) const {
    Environment environment(configuration(parallelism, 0));
    events(environment)
        .map(std::move(bomb))
        .uid("bomb")
        .key_by(&Event::key)
        .window(SlidingEventTimeWindows::of(DurationMs(400), DurationMs(100)))
        .aggregate(SumIn<State>(),
                   [](std::int64_t key, const TimeWindow& window, std::int64_t sum) {
                     return WindowSum{key, window.start, sum};
                   })
        .uid("sums")
        .sink_to(std::make_shared<MemorySink<WindowSum>>(sums_))
        .uid("sums-out");
    return environment.execute("recovery");
  }
};

TEST_F(SchemaOfEveryKind, ElementsOfLists) { expect_counts_over_a_change<CountInList>(); }
TEST_F(SchemaOfEveryKind, ValuesOfMaps) { expect_counts_over_a_change<CountInMap>(); }
TEST_F(SchemaOfEveryKind, AccumulatorsOfAggregatingState) {
  expect_counts_over_a_change<CountInAggregate>();
}
TEST_F(SchemaOfEveryKind, ValuesOfReducingState) {
  expect_counts_over_a_change<CountInReduction>();
}

TEST_F(SchemaOfEveryKind, WhatAKeyedStreamReduces) {
  expect_state(run_reduce<OldRunning>(Bomb::stopping(1'000)), JobState::kSuspended);
  expect_state(run_reduce<NewRunning>(Bomb::stopping(2'500)), JobState::kSuspended);
  expect_state(run_reduce<NewRunning>(dud()), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(SchemaOfEveryKind, AccumulatorsOfWindows) {
  expect_state(run_windows<Old>(Bomb::stopping(1'000)), JobState::kSuspended);
  expect_state(run_windows<New>(Bomb::stopping(2'500), 3), JobState::kSuspended);
  expect_state(run_windows<New>(dud()), JobState::kFinished);
  EXPECT_EQ(sums_->rows(), expected_sums(source_, 400, 100));
}

TEST_F(SchemaOfEveryKind, AccumulatorsThatDoNotFitAreRefusedAndNothingIsLost) {
  expect_state(run_windows<New>(Bomb::stopping(1'000)), JobState::kSuspended);
  const auto refused = run_windows<Old>(dud());
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message,
              ::testing::AllOf(::testing::HasSubstr("state 'window-contents'"),
                               ::testing::HasSubstr("count: i64 cannot become i32")));
  expect_state(run_windows<New>(dud()), JobState::kFinished);
  EXPECT_EQ(sums_->rows(), expected_sums(source_, 400, 100));
}

}  // namespace
}  // namespace weir::recovery
