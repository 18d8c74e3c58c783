#include <cstdlib>
#include <fstream>
#include <iterator>

#include "recovery/operator_state_scenario.h"

/// Operator state through crashes, rescaling and changes of its types.
namespace weir::recovery {

// Outside the unnamed namespace: clang warns of reflected types that have internal linkage.
namespace operator_state_test {
struct Item {
  std::int64_t number = 0;
};
struct OldItem {
  std::int32_t number = 0;
  std::string unused = "x";
};
struct SmallItem {
  std::int16_t number = 0;
};
}  // namespace operator_state_test

namespace {

using namespace operator_state_test;
using ::testing::HasSubstr;

class OperatorStateTest : public RecoveryTest {
 protected:
  OperatorStateTest() { source_.count = 9'000; }

  using Act = std::function<Event(const Event&)>;
  using Build = std::function<DataStream<Counted>(const DataStream<Event>&)>;

  Result<JobResult> run(const Configuration& settings, Act act, const Build& build) const {
    Environment environment(settings);
    build(events(environment).map(std::move(act)).uid("bomb").rebalance())
        .uid("stateful")
        .sink_to(std::make_shared<MemorySink<Counted>>(counts_))
        .uid("counts");
    return environment.execute("recovery");
  }
  /// Runs from nothing to the end, in three parts with a parallelism each; crashes in each part.
  void run_to_the_end(const Build& build, std::vector<int> parallelism, bool is_unaligned = false) {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directory(directory_);
    counts_ = std::make_shared<Target<Counted>>();
    for (int part = 0; part < 3; ++part) {
      Configuration settings = configuration(parallelism[static_cast<std::size_t>(part)]);
      settings.set(options::kUnalignedCheckpoints, is_unaligned);
      const Bomb crash = Bomb::throwing(1'500 + 3'000 * part, 2);
      const Bomb stop = part < 2 ? Bomb::stopping(3'000 + 3'000 * part) : dud();
      const auto act = [crash, stop](const Event& event) { return stop(crash(event)); };
      expect_state(run(settings, act, build),
                   part < 2 ? JobState::kSuspended : JobState::kFinished);
      EXPECT_EQ(crash.went_off(), 2);
    }
  }
  /// What `weir compat` is told by a program with that operator, about the latest checkpoint.
  std::string compat(const Build& build) const {
    int latest = 0;
    for (const std::string& path : checkpoint_files("_metadata")) {
      latest = std::max(latest, std::stoi(path.substr(path.find("/chk-") + 5)));
    }
    std::string snapshot;
    for (const std::string& path : checkpoint_files("_metadata")) {
      if (path.find("/chk-" + std::to_string(latest) + "/") != std::string::npos) {
        snapshot = std::filesystem::path(path).parent_path().string();
      }
    }
    const std::string report = directory_ + "/report";
    ::setenv("WEIR_COMPAT_SNAPSHOT", snapshot.c_str(), 1);
    ::setenv("WEIR_COMPAT_REPORT", report.c_str(), 1);
    const auto compared = run(configuration(3), dud(), build);
    ::unsetenv("WEIR_COMPAT_SNAPSHOT");
    ::unsetenv("WEIR_COMPAT_REPORT");
    EXPECT_FALSE(compared.ok());
    std::ifstream in(report);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  static std::string fit_of(const std::string& name, const std::string& kind,
                            const std::string& fit) {
    return R"({"name":")" + name + R"(","kind":")" + kind + R"(","fit":")" + fit + '"';
  }
  std::vector<std::int64_t> counts_of(std::int64_t key) const {
    std::vector<std::int64_t> counts;
    for (const Counted& row : counts_->rows()) {
      if (row.key == key) {
        counts.push_back(row.count);
      }
    }
    return counts;
  }
};

template <class Count = RuleCount>
BroadcastStream<Rule> rules_of(const DataStream<Event>& stream) {
  return stream.filter(&is_rule).uid("rules").map(&rule_of).uid("rule").broadcast(
      rules_state<Count>());
}

/// Takes the name of broadcast state for a list.
class ListOfRules : public ProcessFunction<Event, Counted> {
 public:
  void open(OpenContext& context) override { (void)context.list_state<RuleCount>("rules"); }
  void process_element(const Event&, Context&, Collector<Counted>&) override {}
};

TEST_F(OperatorStateTest, ItemsOfListStateAreKeptOnceEachAtEveryParallelism) {
  for (const std::vector<int>& parallelism : {std::vector{2, 3, 1}, {3, 1, 2}}) {
    run_to_the_end([](const auto& stream) { return stream.process(HoldBack<Item>()); },
                   parallelism);
    EXPECT_EQ(counts_->rows(), every_number(source_));
  }
}

TEST_F(OperatorStateTest, UnionListStateGoesToEverySubtaskAndDoesNotMultiply) {
  run_to_the_end([](const auto& stream) { return stream.process(CountInUnion()); }, {2, 3, 2});
  const std::vector<std::int64_t> own = counts_of(kOwnEvents);
  ASSERT_EQ(own.size(), 2U);
  EXPECT_EQ(own[0] + own[1], source_.count);
  const std::vector<std::int64_t> seen = counts_of(kSeenAtStart);
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0], seen[1]);
  EXPECT_GT(seen[0], 0);
  EXPECT_EQ(counts_of(kMarks), (std::vector<std::int64_t>{2, 2}));
}

TEST_F(OperatorStateTest, BroadcastStateIsEqualEverywhereAtEveryParallelism) {
  const auto build = [](const DataStream<Event>& stream) {
    return stream.connect(rules_of(stream)).process(KnowRules<RuleCount>());
  };
  auto expected = every_number(source_);
  const auto rules = expected_rules(source_, 3);
  expected.insert(expected.end(), rules.begin(), rules.end());
  expected = sorted(std::move(expected));
  for (const bool is_unaligned : {false, true}) {
    run_to_the_end(build, {2, 1, 3}, is_unaligned);
    EXPECT_EQ(counts_->rows(), expected);
  }
}

TEST_F(OperatorStateTest, BroadcastRecordsMeetKeyedStateAndTimers) {
  const auto build = [](const DataStream<Event>& stream) {
    return stream.key_by(&Event::key).connect(rules_of(stream)).process(CountAndKnowRules());
  };
  auto expected = expected_counts(source_);
  const auto rules = expected_rules(source_, static_cast<int>(source_.keys));
  expected.insert(expected.end(), rules.begin(), rules.end());
  expected = sorted(std::move(expected));
  for (const bool is_unaligned : {false, true}) {
    run_to_the_end(build, {3, 2, 3}, is_unaligned);
    EXPECT_EQ(counts_->rows(), expected);
  }
}

TEST_F(OperatorStateTest, ItemsOfListStateAreMatchedByTheNamesOfTheirFields) {
  const Build old_build = [](const auto& stream) { return stream.process(HoldBack<OldItem>()); };
  const Build new_build = [](const auto& stream) { return stream.process(HoldBack<Item>()); };
  expect_state(run(configuration(2), Bomb::stopping(3'000), old_build), JobState::kSuspended);
  expect_state(run(configuration(3), Bomb::stopping(6'000), new_build), JobState::kSuspended);
  expect_state(run(configuration(2), dud(), new_build), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), every_number(source_));
}

TEST_F(OperatorStateTest, BroadcastValuesAreMatchedByTheNamesOfTheirFields) {
  const auto build = []<class Count>(std::type_identity<Count>) -> Build {
    return [](const DataStream<Event>& stream) {
      return stream.connect(rules_of<Count>(stream)).process(KnowRules<Count>());
    };
  };
  const auto old_build = build(std::type_identity<RuleCount>());
  const auto new_build = build(std::type_identity<WiderRuleCount>());
  expect_state(run(configuration(2), Bomb::stopping(3'000), old_build), JobState::kSuspended);
  expect_state(run(configuration(3), dud(), new_build), JobState::kFinished);
  auto expected = every_number(source_);
  const auto rules = expected_rules(source_, 3);
  expected.insert(expected.end(), rules.begin(), rules.end());
  EXPECT_EQ(counts_->rows(), sorted(std::move(expected)));
}

TEST_F(OperatorStateTest, WhatDoesNotFitIsRefusedAndNothingIsLost) {
  const Build build = [](const auto& stream) { return stream.process(HoldBack<OldItem>()); };
  expect_state(run(configuration(2), Bomb::stopping(3'000), build), JobState::kSuspended);
  const auto refused = run(configuration(2, 0), dud(), [](const auto& stream) {
    return stream.process(HoldBack<SmallItem>());
  });
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message,
              AllOf(HasSubstr("operator state 'held': was stored as list state of struct{"),
                    HasSubstr("number: i32 cannot become i16")));
  expect_state(run(configuration(2), dud(), build), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), every_number(source_));
}

TEST_F(OperatorStateTest, CompatTellsWhatBecomesOfIt) {
  const Build build = [](const DataStream<Event>& stream) {
    return stream.connect(rules_of(stream)).process(KnowRules<RuleCount>());
  };
  expect_state(run(configuration(2), Bomb::stopping(3'000), build), JobState::kSuspended);
  EXPECT_THAT(compat(build), HasSubstr(fit_of("rules", "broadcast", "same")));
  EXPECT_THAT(compat([](const DataStream<Event>& stream) {
                return stream.connect(rules_of<WiderRuleCount>(stream))
                    .process(KnowRules<WiderRuleCount>());
              }),
              AllOf(HasSubstr(fit_of("rules", "broadcast", "migratable")),
                    HasSubstr("count: i32 becomes i64")));
  EXPECT_THAT(compat([](const auto& stream) { return stream.process(HoldBack<Item>()); }),
              AllOf(HasSubstr(fit_of("rules", "broadcast", "dropped")),
                    HasSubstr(fit_of("held", "list", "missing"))));
  EXPECT_THAT(compat([](const auto& stream) { return stream.process(ListOfRules()); }),
              AllOf(HasSubstr(fit_of("rules", "list", "incompatible")),
                    HasSubstr("the kind of a state cannot change")));
}

/// Operator state beside the state of keys.
class CountAll : public CountPerKey {
 public:
  void open(OpenContext& context) override {
    CountPerKey::open(context);
    seen_ = context.operator_state().list_state<std::int64_t>("seen");
  }
  void process_element(const Event& event, Context& context, Collector<Counted>& out) override {
    ++own_;
    CountPerKey::process_element(event, context, out);
    if (event.number == 8'999) {  // of the one subtask that is left
      std::int64_t sum = own_;
      for (const std::int64_t count : seen_.get()) {
        sum += count;
      }
      out.collect(Counted{-1, sum});
    }
  }
  void snapshot_state() override { seen_.add(std::exchange(own_, 0)); }

 private:
  std::int64_t own_ = 0;
  OperatorListState<std::int64_t> seen_;
};

TEST_F(OperatorStateTest, KeyedProcessFunctionsHaveItToo) {
  source_.splits = 1;  // The last event comes last.
  run_to_the_end([](const auto& stream) { return stream.key_by(&Event::key).process(CountAll()); },
                 {2, 3, 1});
  auto expected = expected_counts(source_);
  expected.push_back({-1, source_.count});
  EXPECT_EQ(counts_->rows(), sorted(std::move(expected)));
}

}  // namespace
}  // namespace weir::recovery
