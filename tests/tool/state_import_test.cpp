// `weir state import` and `create`: what they make, and the jobs that start from it.
#include <map>
#include <regex>

#include <gmock/gmock.h>

#include "recovery/every_state.h"
#include "tool/checkpoint_fixture.h"

namespace weir::tool {
namespace {

using nlohmann::json;
using recovery::EveryState;
using recovery::EveryValue;
using recovery::MemorySink;
using recovery::Seen;
using recovery::Target;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::StartsWith;

/// Savepoints of a job with EveryState that has not run yet.
class StateCreate : public recovery::RecoveryTest {
 protected:
  StateCreate() {
    source_.count = 200;
    source_.splits = 1;
  }

  std::string file_of(const std::string& name, const std::string& text) const {
    ToolTest::write_file(directory_ + "/" + name, text);
    return directory_ + "/" + name;
  }
  /// Path of the savepoint.
  static std::string made_by(const ToolRun& run) {
    EXPECT_EQ(run.status, 0) << run.err;
    return run.out.substr(0, run.out.find('\n'));
  }
  std::string savepoints() const { return directory_ + "/savepoints"; }
  ToolRun create(const std::string& uid, const std::string& state, const std::string& file,
                 const std::vector<std::string>& options) const {
    std::vector<std::string> words{"state", "create", uid, state, file, savepoints()};
    words.insert(words.end(), options.begin(), options.end());
    return run_tool(words);
  }
  ToolRun import_into(const std::string& snapshot, const std::string& uid, const std::string& state,
                      const std::string& file, const std::vector<std::string>& options = {}) const {
    std::vector<std::string> words{"state", "import", snapshot, uid, state, file, savepoints()};
    words.insert(words.end(), options.begin(), options.end());
    return run_tool(words);
  }
  static std::string exported(const std::string& snapshot, const std::string& uid,
                              const std::string& state, const std::string& format = "jsonl") {
    const ToolRun run = run_tool({"state", "export", snapshot, uid, state, "--format", format});
    EXPECT_EQ(run.status, 0) << run.err;
    return run.out;
  }
  std::vector<Seen> rows_after(const std::string& savepoint) const {
    Configuration settings = configuration(2);
    settings.set(options::kCheckpointDir, directory_ + "/next");
    settings.set(options::kRecoveryPath, savepoint);
    const auto seen = std::make_shared<Target<Seen>>();
    Environment environment(settings);
    events(environment)
        .key_by(&recovery::Event::key)
        .process(EveryState())
        .uid("every")
        .sink_to(std::make_shared<MemorySink<Seen>>(seen))
        .uid("out");
    expect_state(environment.execute("recovery"), JobState::kFinished);
    return seen->rows();
  }

  const std::vector<std::string> numbers_{"--key-schema", "i64", "--value-schema", "i64"};
};

TEST_F(StateCreate, AJobStartsFromStateThatIsMadeFromFiles) {
  std::map<std::int64_t, EveryValue> first;
  std::string values = "value,key\n";
  std::string lists;
  for (std::int64_t key = 0; key < source_.keys; ++key) {
    first[key].value = 100 + key;
    first[key].list = {7000 + key};
    values += std::to_string(100 + key) + "," + std::to_string(key) + "\n";
    lists += json{{"key", key}, {"value", {7000 + key}}}.dump() + "\n";
  }
  const std::string begun =
      made_by(create("every", "value", file_of("values.csv", values), numbers_));
  const std::string whole =
      made_by(import_into(begun, "every", "list", file_of("lists.jsonl", lists),
                          {"--key-schema", "i64", "--value-schema", "list<i64>"}));
  EXPECT_EQ(run_tool({"checkpoint", "verify", whole}).status, 0);
  EXPECT_EQ(recovery::values_in(rows_after(whole)), recovery::expected_seen(source_, first));
}

TEST_F(StateCreate, TheSavepointIsTheOneThatAJobWouldHaveWritten) {
  // Sizes of keys and values are in the file as the types of the job have them: bytes are equal.
  const std::string made = made_by(
      create("every", "value", file_of("values.jsonl", R"({"key":3,"value":4})"), numbers_));
  const std::string again = made_by(import_into(made, "every", "value", file_of("none.jsonl", "")));
  const json described = run_tool({"checkpoint", "describe", made, "--json"}).json();
  // Hash, key and value of eight bytes each: nothing has its length in front.
  const json counted = run_tool({"checkpoint", "describe", again, "--key-groups", "--json"}).json();
  EXPECT_EQ(described.at("operators").at(0).at("states").at(0).at("entries"), 1);
  EXPECT_EQ(counted.at("operators").at(0).at("key_groups").at(0).at("bytes"), 4 + 8 + 8);
  EXPECT_EQ(described.at("max_parallelism"), 128);
  const std::string narrow =
      made_by(create("every", "value", directory_ + "/values.jsonl",
                     {"--key-schema", "i64", "--value-schema", "i64", "--max-parallelism", "4"}));
  EXPECT_EQ(run_tool({"checkpoint", "describe", narrow, "--json"}).json().at("max_parallelism"), 4);
}

TEST_F(StateCreate, TimersAreSortedAndFire) {
  const std::string event_time =
      made_by(create("every", "event-time-timers",
                     file_of("timers.jsonl", R"({"key":1,"value":[5,3,5]})"
                                             "\n"
                                             R"({"key":2,"value":[4]})"),
                     {"--key-schema", "i64"}));
  EXPECT_THAT(exported(event_time, "every", "event-time-timers"),
              HasSubstr(R"({"key":1,"value":[3,5]})"));
  const std::string both = made_by(import_into(
      event_time, "every", "processing-time-timers",
      file_of("timers.csv", "key,value\n1,[6]\n3,\"[8,7]\"\n"), {"--key-schema", "i64"}));
  EXPECT_THAT(recovery::timers_in(rows_after(both)),
              IsSupersetOf(std::vector<Seen>{{1, 3, "timer"},
                                             {1, 5, "timer"},
                                             {2, 4, "timer"},
                                             {1, 6, "timer"},
                                             {3, 7, "timer"},
                                             {3, 8, "timer"}}));
}

TEST_F(StateCreate, WhatCannotBeTimersIsRefused) {
  const std::string file = file_of("none.jsonl", R"({"key":1,"value":[]})");
  const ToolRun empty = create("every", "event-time-timers", file, {"--key-schema", "i64"});
  EXPECT_EQ(empty.status, 2);
  EXPECT_THAT(empty.err, HasSubstr("line 1: value: no time"));
  const ToolRun as_table = create("every", "event-time-timers", file, numbers_);
  EXPECT_EQ(as_table.status, 2);
  EXPECT_THAT(as_table.err, HasSubstr("are timers"));
  const ToolRun text =
      create("every", "event-time-timers", file_of("text.jsonl", R"({"key":1,"value":["x"]})"),
             {"--key-schema", "i64"});
  EXPECT_EQ(text.status, 2);
  EXPECT_THAT(text.err, HasSubstr("line 1: value: [0]: expected an integer"));
  EXPECT_FALSE(std::filesystem::exists(savepoints()));
}

TEST_F(StateCreate, WhatIsExportedIsImportedInBothForms) {
  const std::vector<std::string> schemas{
      "--key-schema", "struct{name:string,id:i32}", "--value-schema",
      "struct{text:string,maybe:optional<string>,list:list<i32>,rates:map<string,f64>,ratio:f32,"
      "is_new:bool,inner:struct{a:u8,b:optional<i64>},none:struct{}}"};
  const auto line = [](const std::string& name, const std::string& text, const std::string& maybe,
                       const std::string& rest) {
    return R"({"key":{"name":)" + name + R"(,"id":-1},"value":{"text":)" + text + R"(,"maybe":)" +
           maybe + "," + rest + R"(,"none":{}}})" + "\n";
  };
  const std::string plain =
      R"("list":[1,2],"rates":{"EUR":1.5},"ratio":0.1,"is_new":true,"inner":{"a":255,"b":null})";
  const std::string odd =
      R"("list":[],"rates":{"a,b":NaN},"ratio":"-Infinity","is_new":false,"inner":{"a":0,"b":-9})";
  const std::string not_a_number = std::regex_replace(odd, std::regex("NaN"), R"("NaN")");
  const std::string lines =
      line(R"("a")", R"("plain")", "null", plain) + line(R"("b")", R"("")", R"("")", not_a_number) +
      line(R"("c,\"d\"")", R"("two\r\nlines")", R"("null")", plain) +
      line(R"({"b64":"/w=="})", R"("{\"b64\":\"eA==\"}")", R"({"b64":"/w=="})", plain) +
      line(R"(" e ")", R"("12")", R"("{\"b64\":1}")", not_a_number);
  const std::string first = made_by(create("op", "s", file_of("lines", lines), schemas));
  ASSERT_EQ(std::count(lines.begin(), lines.end(), '\n'), 5);
  const std::string as_json = exported(first, "op", "s");
  EXPECT_EQ(std::count(as_json.begin(), as_json.end(), '\n'), 5);
  for (const std::string format : {"jsonl", "csv"}) {
    const std::string written = exported(first, "op", "s", format);
    std::vector<std::string> options = schemas;
    options.insert(options.end(), {"--format", format});
    const std::string file = file_of("exported-" + format, written);
    const std::string made = made_by(create("op", "s", file, options));
    EXPECT_EQ(exported(made, "op", "s", format), written);
    EXPECT_EQ(exported(made, "op", "s"), as_json) << "the values are the same, not only their text";
    const std::string replaced =
        made_by(import_into(first, "op", "s", file, {"--replace", "--format", format}));
    EXPECT_EQ(exported(replaced, "op", "s", format), written);
  }
}

TEST_F(StateCreate, AWrongRowOfCsvIsNamed) {
  for (const auto& [text, why] : std::map<std::string, std::string>{
           {"key,values\n",
            "line 1: there is no column 'values'; the columns are "
            "key,namespace,value"},
           {"key\n1\n", "line 1: the column 'value' is missing"},
           {"key,key,value\n", "line 1: the column 'key' is there twice"},
           {"key,value\n1,2\n\n3\n", "line 4: has 1 cell, the header 2 columns"},
           {"key,value\n1,x\n", "line 2: value: 'x' is no i64"},
           {"key,value\n1,1.5\n", "line 2: value: expected an integer of 64 bits"},
           {"key,value\n1,\"2\n", "line 2: a cell in quotes has no end"},
           {"key,value\n1,\"2\"3\n", "line 2: something stands behind the closing quote"},
           {"", "line 1: the column 'key' is missing"}}) {
    const ToolRun run = create("op", "s", file_of("wrong.csv", text), numbers_);
    EXPECT_EQ(run.status, 2) << text;
    EXPECT_THAT(run.err, HasSubstr(why));
  }
  EXPECT_FALSE(std::filesystem::exists(savepoints()));
}

TEST_F(StateCreate, KeysAreDeleted) {
  const std::string first = made_by(create(
      "op", "s", file_of("s.csv", "\xEF\xBB\xBFkey,value\r\n1,10\r\n2,20\r\n3,30\r\n"), numbers_));
  const std::string by_json = made_by(
      import_into(first, "op", "s", file_of("keys", "{\"key\":2}\n{\"key\":4}\n"), {"--delete"}));
  EXPECT_EQ(exported(by_json, "op", "s", "csv").find("\n2,"), std::string::npos);
  EXPECT_THAT(exported(by_json, "op", "s", "csv"), HasSubstr("\n1,0,10\r"));
  EXPECT_THAT(exported(by_json, "op", "s", "csv"), HasSubstr("\n3,0,30\r"));
  const std::string by_csv =
      made_by(import_into(first, "op", "s", file_of("keys.csv", "key\n1\n3\n"), {"--delete"}));
  EXPECT_EQ(exported(by_csv, "op", "s"), "{\"key\":2,\"value\":20}\n");
  const std::string all = made_by(import_into(
      first, "op", "s", file_of("all.jsonl", exported(first, "op", "s")), {"--delete"}));
  EXPECT_EQ(exported(all, "op", "s"), "");
  const ToolRun nothing = import_into(first, "op", "t", directory_ + "/keys.csv", {"--delete"});
  EXPECT_EQ(nothing.status, 2);
  EXPECT_THAT(nothing.err, HasSubstr("has no state 't' to delete from"));
}

TEST_F(StateCreate, KeysOfAnotherTypeThanTheOperatorsAreRefused) {
  const std::string first =
      made_by(create("op", "s", file_of("s.csv", "key,value\n1,10\n"), numbers_));
  const ToolRun run = import_into(first, "op", "t", directory_ + "/s.csv",
                                  {"--key-schema", "string", "--value-schema", "i64"});
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, HasSubstr("operator op has keys of type i64, not string"));
}

class StateImport : public ToolTest {};

TEST_F(StateImport, WindowsKeepTheirNamespacesInCsv) {
  const auto exported = [](const std::string& snapshot) {
    return run_tool({"state", "export", snapshot, "sums", "window-contents", "--format", "csv"})
        .out;
  };
  const std::string file = directory_ + "/windows.csv";
  write_file(file, exported(middle()));
  ASSERT_THAT(read_file(file), StartsWith("key,namespace,value.sum\r\n"));
  const ToolRun run = run_tool({"state", "import", middle(), "sums", "window-contents", file,
                                directory_ + "/savepoints", "--replace"});
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(exported(run.out.substr(0, run.out.size() - 1)), read_file(file));
}

TEST_F(StateImport, AMissingStateFileIsNoMissingState) {
  const std::string copy = directory_ + "/copy";
  std::filesystem::copy(job_, copy, std::filesystem::copy_options::recursive);
  const std::string snapshot = copy + "/" + std::filesystem::path(last()).filename().string();
  const json described = run_tool({"checkpoint", "describe", snapshot, "--json"}).json();
  const std::string lost =
      described.at("operators").at(0).at("subtasks").at(0).at("files").at(0).at("path");
  ASSERT_TRUE(std::filesystem::remove(copy + "/" + lost));
  const std::string file = directory_ + "/new.jsonl";
  write_file(file, R"({"key":1,"value":1})");
  const std::string uid = described.at("operators").at(0).at("uid");
  const ToolRun run =
      run_tool({"state", "import", snapshot, uid, "new", file, directory_ + "/savepoints",
                "--key-schema", "i64", "--value-schema", "i64"});
  EXPECT_NE(run.status, 0) << "the rest of the operator's state would be gone";
  EXPECT_THAT(run.err, HasSubstr(std::filesystem::path(lost).filename().string()));
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/savepoints"));
}

}  // namespace
}  // namespace weir::tool
