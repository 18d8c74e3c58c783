// What `weir state ...` says about the state of a real job.
#include <fstream>
#include <map>
#include <sstream>

#include <gmock/gmock.h>

#include "tool/checkpoint_fixture.h"

namespace weir::tool {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class StateCommands : public ToolTest {
 protected:
  static std::vector<json> lines_of(const std::string& text) {
    std::vector<json> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
      lines.push_back(json::parse(line));
    }
    return lines;
  }
};

TEST_F(StateCommands, ExportHasEveryKeyOnce) {
  const ToolRun run = run_tool({"state", "export", last(), "count", "count"});
  ASSERT_EQ(run.status, 0) << run.err;
  std::map<std::int64_t, std::int64_t> counts;
  for (const json& line : lines_of(run.out)) {
    EXPECT_TRUE(counts.emplace(line.at("key"), line.at("value")).second);
  }
  std::map<std::int64_t, std::int64_t> expected;
  for (const recovery::Counted& counted : recovery::expected_counts(source_)) {
    std::int64_t& highest = expected[counted.key];
    highest = std::max(highest, counted.count);
  }
  EXPECT_EQ(counts, expected);
}

TEST_F(StateCommands, ExportAsCsvSpreadsStructs) {
  const std::string file = directory_ + "/sums.csv";
  const ToolRun run = run_tool(
      {"state", "export", middle(), "sums", "window-contents", "--format", "csv", "-o", file});
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, "");
  EXPECT_THAT(read_file(file), StartsWith("key,namespace,value.sum\r\n"));
  const ToolRun lines = run_tool({"state", "export", middle(), "sums", "window-contents"});
  const std::string csv = read_file(file);
  EXPECT_EQ(static_cast<std::size_t>(std::count(csv.begin(), csv.end(), '\n')),
            lines_of(lines.out).size() + 1);
  const json first = lines_of(lines.out).at(0);
  EXPECT_THAT(csv, HasSubstr("\r\n" + first.at("key").dump() + "," + first.at("namespace").dump() +
                             "," + first.at("value").at("sum").dump() + "\r\n"));
  const ToolRun again =
      run_tool({"state", "export", middle(), "sums", "window-contents", "-o", file});
  EXPECT_NE(again.status, 0) << "an export does not write over a file";
  EXPECT_EQ(read_file(file), csv);
}

TEST_F(StateCommands, GetFindsOneKey) {
  const json exported = lines_of(run_tool({"state", "export", last(), "count", "count"}).out).at(3);
  const ToolRun run =
      run_tool({"state", "get", last(), "count", "count", exported.at("key").dump()});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(lines_of(run.out), std::vector<json>{exported});
}

TEST_F(StateCommands, GetOfWhatIsNotThere) {
  const ToolRun none = run_tool({"state", "get", last(), "count", "count", "123456"});
  EXPECT_EQ(none.status, 1);
  EXPECT_THAT(none.err, HasSubstr("no entry of the key 123456"));
  const ToolRun no_key = run_tool({"state", "get", last(), "count", "count", "\"text\""});
  EXPECT_EQ(no_key.status, 2);
  EXPECT_THAT(no_key.err, HasSubstr("expected an integer of 64 bits"));
  const ToolRun no_state = run_tool({"state", "get", last(), "count", "sum", "1"});
  EXPECT_EQ(no_state.status, 2);
  EXPECT_THAT(no_state.err, HasSubstr("it has count, event-time-timers"));
  const ToolRun no_operator = run_tool({"state", "get", last(), "counts", "count", "1"});
  EXPECT_EQ(no_operator.status, 2);
  EXPECT_THAT(no_operator.err, HasSubstr("it has count, sums"));
}

TEST_F(StateCommands, ImportMakesASavepointWithOtherEntries) {
  const std::string lines = run_tool({"state", "export", last(), "count", "count"}).out;
  const json first = lines_of(lines).at(0);
  const std::string file = directory_ + "/new.jsonl";
  const json changed{{"key", first.at("key")}, {"value", 4711}};
  const json added{{"key", 123456}, {"value", -1}};
  write_file(file, changed.dump() + "\n\n" + added.dump() + "\n");
  const std::string directory = directory_ + "/savepoints";
  const ToolRun run = run_tool({"state", "import", last(), "count", "count", file, directory});
  ASSERT_EQ(run.status, 0) << run.err;
  const std::string path = run.out.substr(0, run.out.size() - 1);

  const auto sorted = [](std::vector<json> entries) {
    std::sort(entries.begin(), entries.end());
    return entries;
  };
  std::vector<json> expected = lines_of(lines);
  expected[0] = changed;
  expected.push_back(added);
  const ToolRun exported = run_tool({"state", "export", path, "count", "count"});
  EXPECT_EQ(sorted(lines_of(exported.out)), sorted(expected));
  EXPECT_EQ(run_tool({"checkpoint", "verify", path}).status, 0);
  EXPECT_EQ(run_tool({"state", "export", last(), "count", "count"}).out, lines) << "as it was";
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory), {}), 1);

  const ToolRun replaced = run_tool(
      {"state", "import", last(), "count", "count", file, directory, "--replace", "--json"});
  ASSERT_EQ(replaced.status, 0) << replaced.err;
  EXPECT_EQ(replaced.json().at("entries"), 2);
  const ToolRun left = run_tool({"state", "export", replaced.json().at("path"), "count", "count"});
  EXPECT_EQ(sorted(lines_of(left.out)), sorted({changed, added}));
}

TEST_F(StateCommands, ImportAddsAStateWithItsSchemas) {
  const std::string file = directory_ + "/rates.jsonl";
  write_file(file, R"({"key":"EUR","value":{"rate":1.5,"at":7}})");
  const std::vector<std::string> words{
      "state", "import", last(), "rates", "rate", file, directory_ + "/savepoints"};
  const ToolRun refused = run_tool(words);
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.err, HasSubstr("give --key-schema and --value-schema"));
  std::vector<std::string> with_schemas = words;
  with_schemas.insert(with_schemas.end(),
                      {"--key-schema", "string", "--value-schema", "struct{rate:f64,at:i64}"});
  const ToolRun run = run_tool(with_schemas);
  ASSERT_EQ(run.status, 0) << run.err;
  const std::string path = run.out.substr(0, run.out.size() - 1);
  const ToolRun got = run_tool({"state", "get", path, "rates", "rate", "EUR"});
  EXPECT_EQ(got.out, R"({"key":"EUR","value":{"rate":1.5,"at":7}})"
                     "\n");
  EXPECT_EQ(run_tool({"checkpoint", "verify", path}).status, 0);
}

TEST_F(StateCommands, ImportRefusesALineThatDoesNotFitAndMakesNothing) {
  const std::string file = directory_ + "/wrong.jsonl";
  const std::string directory = directory_ + "/savepoints";
  for (const auto& [line, why] : std::map<std::string, std::string>{
           {R"({"key":1,"value":"x"})", "line 2: value: expected an integer of 64 bits"},
           {R"({"key":1.5,"value":1})", "line 2: key: expected an integer of 64 bits"},
           {R"({"key":1})", "line 2: expected"},
           {R"({"key":1,"value":1,"ns":1})", "line 2: 'ns' is no part of an entry"},
           {"rubbish", "line 2: expected"}}) {
    write_file(file, R"({"key":1,"value":1})"
                     "\n" +
                         line);
    const ToolRun run = run_tool({"state", "import", last(), "count", "count", file, directory});
    EXPECT_EQ(run.status, 2) << line;
    EXPECT_THAT(run.err, HasSubstr(why));
    EXPECT_FALSE(std::filesystem::exists(directory));
  }
  const ToolRun absent =
      run_tool({"state", "import", last(), "count", "count", "/nowhere", directory});
  EXPECT_NE(absent.status, 0);
}

TEST_F(StateCommands, ScanShowsTheFirstEntries) {
  const ToolRun run = run_tool({"state", "scan", last(), "count", "count", "--limit", "3"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, StartsWith("GROUP"));
  EXPECT_THAT(run.out, HasSubstr("entries: 3; there are more (--limit)"));
  const ToolRun all = run_tool({"state", "scan", last(), "count", "count", "--json"});
  const ToolRun exported = run_tool({"state", "export", last(), "count", "count"});
  EXPECT_EQ(all.out, exported.out);
}

}  // namespace
}  // namespace weir::tool
