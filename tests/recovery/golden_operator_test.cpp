// As golden_test.cpp, of operator state: lists, union lists and broadcast state, restored at
// another parallelism. Nothing comes out before the end, hence nothing has been committed.
#include <cstdlib>
#include <set>

#include "recovery/operator_state_scenario.h"

namespace weir::recovery {

// Outside the unnamed namespace: clang warns of reflected types that have internal linkage.
namespace golden_operator_test {
struct Held {
  std::int64_t number = 0;
  std::string note = "held";
};
}  // namespace golden_operator_test

namespace {

using golden_operator_test::Held;

class GoldenOperatorState : public RecoveryTest {
 protected:
  GoldenOperatorState() { source_.count = 4'000; }

  Result<JobResult> run(int parallelism, Bomb bomb) const {
    Configuration settings = configuration(parallelism);
    settings.set(options::kJobId, "golden-operators");
    Environment environment(settings);
    const auto stream = events(environment).map(std::move(bomb)).uid("bomb").rebalance();
    keep(stream.process(HoldBack<Held>()).uid("held"), "held-out");
    keep(stream.process(CountInUnion()).uid("counted"), "counted-out");
    const auto rules = stream.filter(&is_rule).uid("rules").map(&rule_of).uid("rule").broadcast(
        rules_state<RuleCount>());
    keep(stream.connect(rules)
             .process(KnowRules<RuleCount>())
             .uid("known")
             .filter([](const Counted& row) { return row.key < 0; })
             .uid("only rules"),
         "known-out");
    return environment.execute("golden operators");
  }
  void keep(const DataStream<Counted>& rows, const std::string& uid) const {
    rows.sink_to(std::make_shared<MemorySink<Counted>>(counts_)).uid(uid);
  }
};

TEST_F(GoldenOperatorState, IsRestored) {
  std::filesystem::copy(std::string(WEIR_SOURCE_DIR) + "/tests/golden/0.1-operator-state",
                        directory_, std::filesystem::copy_options::recursive);
  constexpr int kParallelism = 3;
  expect_state(run(kParallelism, dud()), JobState::kFinished);
  std::vector<Counted> held;
  std::vector<Counted> rules;
  std::int64_t own_events = 0;
  std::vector<std::int64_t> seen;
  std::vector<std::int64_t> marks;
  for (const Counted& row : counts_->rows()) {
    if (row.key < 0) {
      rules.push_back(row);
    } else if (row.count == 1) {
      held.push_back(row);
    } else if (row.key == kOwnEvents) {
      own_events += row.count;
    } else {
      (row.key == kSeenAtStart ? seen : marks).push_back(row.count);
    }
  }
  EXPECT_EQ(sorted(held), every_number(source_));
  EXPECT_EQ(own_events, source_.count);
  ASSERT_EQ(seen.size(), static_cast<std::size_t>(kParallelism));
  EXPECT_GT(seen.front(), 1) << "the checkpoint was not restored";
  EXPECT_EQ(std::set<std::int64_t>(seen.begin(), seen.end()).size(), 1U);
  EXPECT_EQ(marks, std::vector<std::int64_t>(kParallelism, 2));
  EXPECT_EQ(sorted(rules), sorted(expected_rules(source_, kParallelism)));
}

/// WEIR_GOLDEN_WRITE=<new folder>: keeps what a new version has to read.
TEST_F(GoldenOperatorState, AJobStopsInTheMiddle) {
  expect_state(run(2, Bomb::stopping(1'500)), JobState::kSuspended);
  EXPECT_TRUE(counts_->rows().empty());
  if (const char* to = std::getenv("WEIR_GOLDEN_WRITE")) {
    std::filesystem::copy(directory_, to, std::filesystem::copy_options::recursive);
  }
}

}  // namespace
}  // namespace weir::recovery
