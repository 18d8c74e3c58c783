// What `weir checkpoint ...` says about the checkpoints of a real job.
#include <cstdint>
#include <regex>
#include <set>

#include "tool/checkpoint_fixture.h"

namespace weir::tool {
namespace {

using nlohmann::json;

/// Members of an object.
std::set<std::string> members_of(const json& object) {
  std::set<std::string> names;
  for (const auto& [name, value] : object.items()) {
    names.insert(name);
  }
  return names;
}
using Names = std::set<std::string>;

class CheckpointCommands : public ToolTest {
 protected:
  static json ask(std::vector<std::string> words) {
    words.insert(words.begin(), "checkpoint");
    words.push_back("--json");
    const ToolRun run = run_tool(words);
    EXPECT_EQ(run.status, 0) << run.err;
    EXPECT_EQ(run.err, "");
    return run.json();
  }
  /// What differs from run to run becomes a word; columns become single spaces.
  std::string normalized(std::string text) const {
    const auto replace = [&text](const std::string& pattern, const std::string& by) {
      text = std::regex_replace(text, std::regex(pattern), by);
    };
    replace(directory_, "DIR");
    replace("[0-9a-f]{32}", "JOB");
    replace(R"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z)", "TIME");
    replace(R"(took [0-9.]+ m?s)", "took T");
    replace(R"(checkpoint \d+|chk-\d+)", "N");
    replace(R"(a\d+-c\d+-[0-9a-f]{16}-)", "");
    replace(R"(\d+(\.\d)? (B|KiB))", "SIZE");
    replace(R"(in \d+ files)", "in N files");
    replace(R"(incarnation \d+)", "incarnation I");
    replace(" +", " ");
    return text;
  }
  static json by_uid(const json& list, const std::string& uid) {
    for (const json& one : list) {
      if (one.at("uid") == uid) {
        return one;
      }
    }
    ADD_FAILURE() << "no " << uid << " in " << list;
    return {};
  }
};

TEST_F(CheckpointCommands, ListShowsEachPublishedCheckpointOfARootAndOfAJob) {
  for (const std::string& directory : {directory_, job_, job_ + "/"}) {
    const json listing = ask({"list", directory});
    ASSERT_EQ(listing.at("jobs").size(), 1U);
    EXPECT_TRUE(listing.at("savepoints").empty());
    const json& job = listing.at("jobs").at(0);
    EXPECT_EQ(job.at("path"), job_);
    EXPECT_EQ(job.at("pipeline_id"), "recovery");
    std::vector<std::int64_t> numbers;
    for (const json& snapshot : job.at("snapshots")) {
      numbers.insert(numbers.begin(), snapshot.at("checkpoint").get<std::int64_t>());
      EXPECT_EQ(snapshot.at("kind"), "checkpoint");
      EXPECT_EQ(snapshot.at("is_terminal"), snapshot.at("path") == last());
    }
    EXPECT_EQ(numbers, published());
  }
}

TEST_F(CheckpointCommands, ListGoesOnAfterAManifestThatCannotBeRead) {
  write_file(middle() + "/_metadata", "rubbish");
  const json listing = ask({"list", job_});
  int unreadable = 0;
  for (const json& snapshot : listing.at("jobs").at(0).at("snapshots")) {
    if (snapshot.contains("error")) {
      ++unreadable;
      EXPECT_EQ(snapshot.at("path"), middle());
    }
  }
  EXPECT_EQ(unreadable, 1);
  const ToolRun run = run_tool({"checkpoint", "list", job_});
  EXPECT_EQ(run.status, 0);
  EXPECT_NE(run.out.find("unreadable"), std::string::npos) << run.out;
}

TEST_F(CheckpointCommands, DescribeOfTheLastCheckpointReadsLikeThis) {
  const ToolRun run = run_tool({"checkpoint", "describe", last()});
  EXPECT_EQ(run.status, 0) << run.err;
  const std::string text = normalized(run.out);
  // Which epochs were not committed yet depends on the moment.
  const std::size_t commits = text.find("\ncommittables\n");
  const std::size_t edges = text.find("\nedges\n");
  ASSERT_TRUE(commits != std::string::npos && edges != std::string::npos) << run.out;
  EXPECT_EQ(text.substr(0, commits) + text.substr(edges), R"(N of job recovery
 path DIR/JOB/N
 job id JOB
 pipeline recovery
 attempt 1, incarnation I
 parent N
 completed TIME, took T
 size SIZE in N files
 note the job ended or was stopped with it

operators
 UID NAME PARALLELISM MAX SIZE ENTRIES WATERMARK
 count Process 2 128 SIZE 10 end of input
 sums Window 2 128 SIZE 0 end of input

states
 OPERATOR STATE KIND KEY VALUE ENTRIES
 count count keyed i64 i64 10
 count event-time-timers timers i64 timers 0
 count processing-time-timers timers i64 timers 0
 sums window-contents keyed i64 struct{sum:i64} 0
 sums window-geometry union list - struct{size:i64,slide:i64,offset:i64} 0

state files
 OPERATOR SUBTASK KEY GROUPS SIZE KIND FILE
 count 0 0 to 63 SIZE heap N/count-0
 count 1 64 to 127 SIZE heap N/count-1
 sums 0 0 to 63 SIZE heap N/sums-0
 sums 1 64 to 127 SIZE heap N/sums-1

positions
 SOURCE READER SPLIT READS NEXT
 events - - no split is being read

edges
 EDGE RECORDS OF THE ATTEMPT
 events -> count 1000
 events -> sums 1000
)") << run.out;
}

TEST_F(CheckpointCommands, DescribeShowsOperatorsStatesAndSizes) {
  const json described = ask({"describe", middle() + "/_metadata"});
  EXPECT_EQ(described.at("path"), middle());
  EXPECT_EQ(described.at("max_parallelism"), 128);
  const json count = by_uid(described.at("operators"), "count");
  EXPECT_EQ(count.at("parallelism"), kParallelism);
  EXPECT_EQ(count.at("max_parallelism"), 128);
  ASSERT_EQ(count.at("states").size(), 3U) << "one of its own and two timer queues";
  const json& state = count.at("states").at(0);
  EXPECT_EQ(state.at("name"), "count");
  EXPECT_EQ(state.at("kind"), "keyed");
  EXPECT_EQ(state.at("key_schema"), "i64");
  EXPECT_EQ(state.at("value_schema"), "i64");
  EXPECT_EQ(state.at("entries"), 10) << "ten keys";
  std::uint64_t bytes = 0;
  for (const json& subtask : count.at("subtasks")) {
    for (const json& file : subtask.at("files")) {
      const std::string path = job_ + "/" + file.at("path").get<std::string>();
      EXPECT_EQ(file.at("length_bytes"), std::filesystem::file_size(path));
      bytes += file.at("length_bytes").get<std::uint64_t>();
    }
  }
  EXPECT_EQ(count.at("size_bytes"), bytes);
}

TEST_F(CheckpointCommands, DescribeCountsTheKeyGroupsOnRequest) {
  const json count = by_uid(ask({"describe", middle(), "--key-groups"}).at("operators"), "count");
  std::map<int, int> expected;
  for (std::int64_t key = 0; key < source_.keys; ++key) {
    ++expected[key_group_of(key_hash(key), 128)];
  }
  std::map<int, int> found;
  for (const json& group : count.at("key_groups")) {
    found[group.at("key_group").get<int>()] = group.at("entries").get<int>();
    EXPECT_EQ(group.at("bytes"), group.at("entries").get<int>() * 20) << "hash, key, value";
  }
  EXPECT_EQ(found, expected);
}

TEST_F(CheckpointCommands, DescribeShowsThePositionsTheStateBelongsTo) {
  // Each event adds one to one count; positions n of the splits mean that so many were read.
  const std::string path = middle();
  const json described = ask({"describe", path});
  std::int64_t read = source_.count;
  const json source = by_uid(described.at("sources"), "events");
  for (const json& split : source.at("splits")) {
    const json& position = split.at("position");
    ASSERT_EQ(position.at("form"), "text");
    const std::int64_t next = std::stoll(position.at("text").get<std::string>());
    read -= (source_.count - next + source_.splits - 1) / source_.splits;
  }
  EXPECT_GT(read, 0);
  EXPECT_LE(read, source_.count);
  ASSERT_EQ(described.at("edges").size(), 2U);
  for (const json& edge : described.at("edges")) {
    EXPECT_EQ(edge.at("records"), read) << edge;
  }
}

TEST_F(CheckpointCommands, DescribeShowsCommittablesAndTheirFiles) {
  const json sink = by_uid(ask({"describe", middle()}).at("sinks"), "counts-out");
  ASSERT_FALSE(sink.at("committables").empty());
  std::uint64_t bytes = 0;
  for (const json& committable : sink.at("committables")) {
    ASSERT_EQ(committable.at("files").size(), 1U);
    bytes +=
        std::filesystem::file_size(job_ + "/" + committable.at("files").at(0).get<std::string>());
    EXPECT_EQ(committable.at("attempt"), 1);
    EXPECT_EQ(committable.at("payload").at("form"), "bytes");
  }
  EXPECT_EQ(sink.at("size_bytes"), bytes);
  EXPECT_EQ(sink.at("writer_states"), kParallelism);
}

TEST_F(CheckpointCommands, DiffOfASnapshotWithItselfIsEmpty) {
  const json diff = ask({"diff", middle(), middle()});
  EXPECT_TRUE(diff.at("files").at("only_first").empty());
  EXPECT_TRUE(diff.at("files").at("only_second").empty());
  EXPECT_FALSE(diff.at("files").at("shared").empty());
  for (const json& split : diff.at("splits")) {
    EXPECT_EQ(split.at("is_moved"), false);
  }
  for (const json& op : diff.at("operators")) {
    EXPECT_EQ(op.at("presence"), "both");
    EXPECT_EQ(op.at("bytes_first"), op.at("bytes_second"));
  }
}

TEST_F(CheckpointCommands, DiffShowsHowFarSourcesCameAndWhatIsNew) {
  const json diff = ask({"diff", snapshot(published().front()), last()});
  EXPECT_EQ(diff.at("first").at("checkpoint"), published().front());
  EXPECT_EQ(diff.at("second").at("checkpoint"), published().back());
  EXPECT_FALSE(diff.at("splits").empty());
  for (const json& split : diff.at("splits")) {
    EXPECT_EQ(split.at("presence"), "removed") << "all splits are finished at the end";
    EXPECT_TRUE(split.at("second").is_null());
  }
  EXPECT_TRUE(diff.at("files").at("shared").empty());
  const ToolRun run = run_tool({"checkpoint", "diff", snapshot(published().front()), last()});
  EXPECT_EQ(run.status, 0);
  EXPECT_NE(run.out.find("only in the 2nd"), std::string::npos) << run.out;
}

TEST_F(CheckpointCommands, DuAddsUpToWhatIsOnDisk) {
  write_file(job_ + "/shared/a1-c1-0123456789abcdef-left-over", std::string(4321, 'x'));
  std::uint64_t on_disk = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(job_)) {
    on_disk += entry.is_regular_file() ? entry.file_size() : 0;
  }
  const json du = ask({"du", directory_});
  EXPECT_EQ(du.at("total_bytes"), on_disk);
  ASSERT_EQ(du.at("jobs").size(), 1U);
  const json& job = du.at("jobs").at(0);
  EXPECT_EQ(job.at("total_bytes"), on_disk);
  EXPECT_EQ(job.at("orphaned_files"),
            json::array({{{"path", "shared/a1-c1-0123456789abcdef-left-over"}, {"bytes", 4321}}}));
  std::uint64_t sum = job.at("shared_bytes").get<std::uint64_t>() +
                      job.at("orphaned_bytes").get<std::uint64_t>() +
                      job.at("bookkeeping_bytes").get<std::uint64_t>();
  EXPECT_EQ(job.at("snapshots").size(), published().size());
  for (const json& snapshot : job.at("snapshots")) {
    sum += snapshot.at("own_bytes").get<std::uint64_t>() +
           snapshot.at("manifest_bytes").get<std::uint64_t>();
    EXPECT_TRUE(snapshot.at("missing_files").empty());
  }
  EXPECT_EQ(sum, on_disk);
}

TEST_F(CheckpointCommands, JsonDocumentsHaveTheMembersOfTheirPage) {
  const Names summary{"path",
                      "kind",
                      "checkpoint",
                      "job_id",
                      "job_name",
                      "pipeline_id",
                      "attempt",
                      "incarnation",
                      "is_terminal",
                      "triggered_ms",
                      "parent_checkpoint",
                      "completed_ms",
                      "max_parallelism",
                      "files",
                      "size_bytes"};
  const auto with = [](Names names, const Names& more) {
    names.insert(more.begin(), more.end());
    return names;
  };
  const json list = ask({"list", job_});
  EXPECT_EQ(members_of(list), (Names{"jobs", "savepoints"}));
  EXPECT_EQ(members_of(list.at("jobs").at(0)),
            (Names{"path", "job_id", "pipeline_id", "snapshots", "unpublished"}));
  EXPECT_EQ(members_of(list.at("jobs").at(0).at("snapshots").at(0)),
            with(summary, {"manifest_bytes"}));

  const json described = ask({"describe", middle()});
  EXPECT_EQ(members_of(described),
            with(summary, {"operators", "sources", "sinks", "edges", "in_flight"}));
  EXPECT_EQ(members_of(by_uid(described.at("operators"), "count")),
            (Names{"uid", "name", "parallelism", "max_parallelism", "size_bytes", "states", "lists",
                   "subtasks"}));
  EXPECT_EQ(members_of(by_uid(described.at("sources"), "events")),
            (Names{"uid", "name", "parallelism", "finished_readers", "enumerator_state_bytes",
                   "splits"}));
  EXPECT_EQ(members_of(by_uid(described.at("sinks"), "counts-out")),
            (Names{"uid", "name", "parallelism", "size_bytes", "writer_states", "committables"}));

  EXPECT_EQ(members_of(ask({"verify", middle()})),
            (Names{"path", "is_whole", "kind", "checkpoint", "files_read", "bytes_read",
                   "entries_read", "faults"}));
  EXPECT_EQ(members_of(ask({"diff", middle(), last()})),
            (Names{"first", "second", "operators", "splits", "files"}));
  const json du = ask({"du", job_});
  EXPECT_EQ(members_of(du), (Names{"jobs", "savepoints", "total_bytes"}));
  EXPECT_EQ(members_of(du.at("jobs").at(0)),
            (Names{"path", "job_id", "pipeline_id", "snapshots", "shared_files", "shared_bytes",
                   "orphaned_files", "orphaned_bytes", "bookkeeping_bytes", "total_bytes"}));
}

TEST_F(CheckpointCommands, PathsThatAreNoSnapshotAreRefusedWithThoseThatAre) {
  const ToolRun run = run_tool({"checkpoint", "verify", job_});
  EXPECT_EQ(run.status, 2);
  EXPECT_NE(run.err.find("name one of those below it"), std::string::npos) << run.err;
  EXPECT_NE(run.err.find(last()), std::string::npos) << run.err;
  for (const char* const command : {"describe", "verify", "list", "du"}) {
    const ToolRun missing = run_tool({"checkpoint", command, job_ + "/nowhere"});
    EXPECT_EQ(missing.status, 2) << command;
    EXPECT_NE(missing.err.find("nowhere"), std::string::npos) << missing.err;
    EXPECT_EQ(missing.out, "");
  }
}

TEST_F(CheckpointCommands, PlacesMayBeUris) {
  for (const char* const command : {"list", "du"}) {
    const ToolRun plain = run_tool({"checkpoint", command, job_});
    const ToolRun uri = run_tool({"checkpoint", command, "file://" + job_});
    EXPECT_EQ(uri.status, 0) << uri.err;
    EXPECT_EQ(uri.out, plain.out);
  }
  EXPECT_EQ(run_tool({"checkpoint", "verify", "file:" + last()}).status, 0);
  EXPECT_EQ(run_tool({"checkpoint", "diff", "file://" + last(), last()}).status, 0);
  const ToolRun elsewhere = run_tool({"checkpoint", "verify", "gs://bucket/chk-1"});
  EXPECT_EQ(elsewhere.status, 2);
  EXPECT_NE(elsewhere.err.find("'gs://bucket/chk-1' is on 'gs'"), std::string::npos)
      << elsewhere.err;
}

TEST(CommandLine, IsExplainedAndRefusedByTheShellsRules) {
  EXPECT_EQ(run_tool({}).status, 2);
  EXPECT_EQ(run_tool({"checkpoint"}).status, 2);
  EXPECT_EQ(run_tool({"checkpoint", "verify"}).status, 2);
  EXPECT_EQ(run_tool({"nonsense"}).status, 2);
  const ToolRun help = run_tool({"--help"});
  EXPECT_EQ(help.status, 0);
  EXPECT_NE(help.out.find("checkpoint"), std::string::npos);
  const ToolRun version = run_tool({"--version"});
  EXPECT_EQ(version.status, 0);
  EXPECT_EQ(version.out, "weir " WEIR_TOOL_VERSION "\n");
}

}  // namespace
}  // namespace weir::tool
