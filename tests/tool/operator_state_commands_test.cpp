// What `weir state ...` and `weir checkpoint describe` say about state that belongs to no key.
#include <map>
#include <sstream>

#include <gmock/gmock.h>

#include "recovery/operator_state_scenario.h"
#include "tool/tool_run.h"

namespace weir::tool {
namespace {

using nlohmann::json;
using recovery::Counted;
using recovery::Event;
using ::testing::HasSubstr;

class OperatorStateCommands : public recovery::RecoveryTest {
 protected:
  void SetUp() override {
    Configuration settings = configuration(2);
    settings.set(options::kRetainedCheckpoints, 1);
    Environment environment(settings);
    const DataStream<Event> input = events(environment).rebalance();
    const auto sink = [&](DataStream<Counted> stream, const std::string& uid) {
      stream.uid(uid)
          .sink_to(std::make_shared<recovery::MemorySink<Counted>>(counts_))
          .uid(uid + "-out");
    };
    sink(input.process(recovery::CountInUnion()), "tallies");
    sink(input
             .connect(input.filter(&recovery::is_rule)
                          .map(&recovery::rule_of)
                          .broadcast(recovery::rules_state<recovery::RuleCount>()))
             .process(recovery::KnowRules<recovery::RuleCount>()),
         "rules");
    expect_state(environment.execute("recovery"), JobState::kFinished);
    for (const std::string& path : checkpoint_files("_metadata")) {
      snapshot_ = std::filesystem::path(path).parent_path().string();
    }
  }
  std::vector<json> rows(std::vector<std::string> words) const {
    words.insert(words.begin() + 2, snapshot_);
    const ToolRun run = run_tool(words);
    EXPECT_EQ(run.status, 0) << run.err;
    std::vector<json> lines;
    std::istringstream in(run.out);
    for (std::string line; std::getline(in, line);) {
      lines.push_back(json::parse(line));
    }
    return lines;
  }

  std::string snapshot_;
};

TEST_F(OperatorStateCommands, ListItemsAreShownWithTheirSubtask) {
  std::int64_t sum = 0;
  std::vector<int> subtasks;
  for (const json& row : rows({"state", "export", "tallies", "tallies"})) {
    subtasks.push_back(row.at("subtask"));
    EXPECT_EQ(row.at("value").at("subtask"), row.at("subtask"));
    sum += row.at("value").at("events").get<std::int64_t>();
  }
  EXPECT_EQ(subtasks, (std::vector<int>{0, 1}));
  EXPECT_EQ(sum, source_.count);
  const ToolRun get = run_tool({"state", "get", snapshot_, "tallies", "tallies", "0"});
  EXPECT_NE(get.status, 0);
  EXPECT_THAT(get.err, HasSubstr("is a union list, which has no keys: use scan or export"));
}

TEST_F(OperatorStateCommands, BroadcastStateIsShownOnceByKey) {
  std::map<std::int64_t, std::int64_t> counts;  // by the greatest number
  for (const json& row : rows({"state", "scan", "rules", "rules", "--json"})) {
    EXPECT_TRUE(counts.emplace(row.at("value").at("greatest"), row.at("value").at("count")).second);
  }
  std::map<std::int64_t, std::int64_t> expected;
  for (const Counted& row : recovery::expected_rules(source_, 1)) {
    expected[-row.key - 1] = row.count;
  }
  EXPECT_EQ(counts, expected);
  const auto one = rows({"state", "get", "rules", "rules", "rule 3"});
  ASSERT_EQ(one.size(), 1U);
  EXPECT_EQ(one.front().at("key"), "rule 3");
  const ToolRun none = run_tool({"state", "get", snapshot_, "rules", "rules", "rule 9"});
  EXPECT_EQ(none.status, 1);
  const ToolRun csv = run_tool({"state", "export", snapshot_, "rules", "rules", "--format", "csv"});
  EXPECT_THAT(csv.out, HasSubstr("key,value.count,value.greatest\r\nrule 0,"));
}

TEST_F(OperatorStateCommands, DescribeNamesStatesAndTheirTypes) {
  const ToolRun run = run_tool({"checkpoint", "describe", snapshot_});
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, ::testing::ContainsRegex("tallies +tallies +union list +- +struct"));
  EXPECT_THAT(run.out, ::testing::ContainsRegex("rules +rules +broadcast +string +struct"));
}

}  // namespace
}  // namespace weir::tool
