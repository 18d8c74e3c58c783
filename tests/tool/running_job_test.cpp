// The tool and a real job in a process of its own: savepoints, stopping, starting from there, with
// every result checked by the oracle of the crash tests.
#include <atomic>
#include <filesystem>
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "exactly_once/campaign.h"
#include "exactly_once/committed_files.h"
#include "exactly_once/event_text.h"
#include "exactly_once/job_process.h"
#include "exactly_once/oracle.h"
#include "exactly_once/workspace.h"
#include "io/line_client.h"
#include "tool/tool_run.h"

namespace weir::tool {
namespace {

using crash::JobProcess;
using nlohmann::json;

constexpr crash::Milliseconds kPatience{90'000};
constexpr std::uint32_t kKeys = 32;
constexpr std::uint64_t kRecords = 1'500'000;

class RunningJob : public ::testing::Test {
 protected:
  void SetUp() override {
    settings_.pipeline = "gen-window";
    settings_.seed = crash::campaign_seed();
    settings_.keys = kKeys;
    settings_.records = kRecords;
    settings_.records_per_second = 50'000;  // Half a minute, unless it is stopped.
    settings_.output = workspace_.path("output");
    settings_.second_output = workspace_.path("windows");
    settings_.checkpoints = workspace_.path("checkpoints");
    settings_.interval_ms = 50;
  }
  /// Runs `words` and expects success; stdout without its last newline.
  static std::string ask(const std::vector<std::string>& words) {
    const ToolRun run = run_tool(words);
    EXPECT_EQ(run.status, 0) << run.err;
    return run.out.substr(0, run.out.find_last_not_of('\n') + 1);
  }
  static json ask_json(std::vector<std::string> words) {
    words.push_back("--json");
    const ToolRun run = run_tool(words);
    EXPECT_EQ(run.status, 0) << run.err;
    return run.json();
  }
  void expect_exact() const {
    crash::Oracle oracle(settings_.seed, kKeys, kRecords);
    crash::CommittedFiles files(settings_.output, [&oracle](std::string_view line) {
      if (const auto total = crash::parse_total(line)) {
        oracle.add(*total);
      } else {
        oracle.add_garbage();
      }
    });
    files.read_new();
    EXPECT_TRUE(oracle.at_end().none()) << oracle.at_end().to_string();
    crash::WindowOracle windows(settings_.seed, kKeys, kRecords);
    crash::CommittedFiles window_files(settings_.second_output, [&windows](std::string_view line) {
      const auto window = crash::parse_window(line);
      ASSERT_TRUE(window.has_value()) << line;
      windows.add(*window);
    });
    window_files.read_new();
    EXPECT_TRUE(windows.at_end().none()) << windows.at_end().to_string();
  }
  void run_to_the_end() {
    settings_.records_per_second = 0;
    JobProcess job(settings_, workspace_.log());
    const auto ending = job.wait(kPatience);
    ASSERT_TRUE(ending.has_value() && ending->is_success()) << job.report().error;
    ASSERT_EQ(job.report().end, "finished");
  }
  std::string socket() const {
    for (const auto& entry : std::filesystem::directory_iterator(settings_.checkpoints)) {
      return entry.path().string() + "/control.sock";
    }
    return "";
  }

  crash::Workspace workspace_;
  crash::JobSettings settings_;
};

/// Entries of the window operator.
int open_windows_of(const std::string& snapshot) {
  const json described = run_tool({"checkpoint", "describe", snapshot, "--json"}).json();
  for (const json& op : described.at("operators")) {
    if (op.at("uid") == "windows") {
      int entries = 0;
      for (const json& subtask : op.at("subtasks")) {
        entries += subtask.at("entries").get<int>();
      }
      return entries;
    }
  }
  ADD_FAILURE() << "no windows in " << snapshot;
  return -1;
}

TEST_F(RunningJob, IsStoppedWithASavepointAndGoesOnFromItElsewhere) {
  std::string savepoint;
  {
    JobProcess job(settings_, workspace_.log());
    ASSERT_TRUE(job.wait_for_checkpoints(2, kPatience)) << job.report().error;
    const json status = ask_json({"job", "status", settings_.checkpoints});
    EXPECT_EQ(status.at("phase"), "RUNNING");
    EXPECT_EQ(status.at("process"), job.process().pid());
    EXPECT_GE(status.at("checkpoints_completed"), 2);
    EXPECT_EQ(ask_json({"job", "status", settings_.job_id}).at("job_id"), status.at("job_id"));

    const std::string first =
        ask({"savepoint", "trigger", settings_.checkpoints, workspace_.path("savepoints")});
    EXPECT_EQ(run_tool({"checkpoint", "verify", first}).status, 0);
    EXPECT_EQ(ask_json({"checkpoint", "describe", first}).at("kind"), "savepoint");
    EXPECT_TRUE(job.process().is_running()) << "a savepoint disturbs nothing";

    savepoint = ask({"savepoint", "stop", settings_.checkpoints, workspace_.path("savepoints")});
    const auto ending = job.wait(kPatience);
    ASSERT_TRUE(ending.has_value() && ending->is_success()) << job.report().error;
    EXPECT_EQ(job.report().end, "suspended");
    EXPECT_NE(savepoint, first);

    const ToolRun gone = run_tool({"job", "status", settings_.checkpoints});
    EXPECT_EQ(gone.status, 2);
    EXPECT_NE(gone.err.find("no job runs in"), std::string::npos) << gone.err;

    // The older one is not needed any more.
    ask({"savepoint", "dispose", first});
    EXPECT_FALSE(std::filesystem::exists(first));
  }
  EXPECT_EQ(run_tool({"checkpoint", "verify", savepoint}).status, 0);
  EXPECT_GT(open_windows_of(savepoint), 0) << "nothing fires unless the job is drained";
  const json listed = ask_json({"checkpoint", "list", workspace_.path("savepoints")});
  ASSERT_EQ(listed.at("savepoints").size(), 1U);
  EXPECT_EQ(listed.at("savepoints").at(0).at("path"), savepoint);
  // As on another machine: the savepoint was moved, and the old checkpoints are not there.
  const std::string moved = workspace_.path("moved");
  std::filesystem::rename(savepoint, moved);
  std::filesystem::remove_all(settings_.checkpoints);
  settings_.definitions = {"execution.state-recovery.path=" + moved};
  ASSERT_NO_FATAL_FAILURE(run_to_the_end());
  expect_exact();
}

TEST_F(RunningJob, DoesNotMindClientsThatSendGarbageOrVanish) {
  settings_.records_per_second = 200'000;
  JobProcess job(settings_, workspace_.log());
  ASSERT_TRUE(job.wait_for_checkpoints(1, kPatience)) << job.report().error;
  std::atomic<bool> is_over{false};
  std::vector<std::thread> clients;
  for (int n = 0; n < 4; ++n) {
    clients.emplace_back([&, n] {
      while (!is_over.load()) {
        if (const auto client = LineClient::connect(socket()); client.ok()) {
          const std::string lines[] = {std::string(100'000, 'x'), "{\"version\":1,\"re",
                                       R"({"version":1,"request":"trigger-checkpoint"})",
                                       "\xff\xfe\n\n{}\n[1]"};
          static_cast<void>(client.value()->send(lines[n]).ok());
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
    });
  }
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(run_tool({"job", "status", settings_.checkpoints}).status, 0);
  }
  const ToolRun triggered = run_tool({"checkpoint", "trigger", settings_.checkpoints});
  EXPECT_EQ(triggered.status, 0) << triggered.err;
  const auto ending = job.wait(kPatience);
  is_over = true;
  for (std::thread& client : clients) {
    client.join();
  }
  ASSERT_TRUE(ending.has_value() && ending->is_success()) << job.report().error;
  EXPECT_EQ(job.report().end, "finished");
  expect_exact();
}

TEST_F(RunningJob, IsDrainedWhenItIsToldSo) {
  JobProcess job(settings_, workspace_.log());
  ASSERT_TRUE(job.wait_for_checkpoints(2, kPatience)) << job.report().error;
  const std::string savepoint =
      ask({"savepoint", "stop", "--drain", settings_.checkpoints, workspace_.path("savepoints")});
  const auto ending = job.wait(kPatience);
  ASSERT_TRUE(ending.has_value() && ending->is_success()) << job.report().error;
  EXPECT_EQ(job.report().end, "finished");
  EXPECT_EQ(open_windows_of(savepoint), 0) << "all of them fired";
}

TEST_F(RunningJob, IsCancelledAndLaterGoesOnFromItsCheckpoint) {
  {
    JobProcess job(settings_, workspace_.log());
    ASSERT_TRUE(job.wait_for_checkpoints(2, kPatience)) << job.report().error;
    EXPECT_EQ(ask_json({"job", "cancel", settings_.checkpoints}).at("phase"), "CANCELED");
    ASSERT_TRUE(job.wait(kPatience).has_value());
    EXPECT_EQ(job.report().phase, "CANCELED");
    EXPECT_FALSE(std::filesystem::exists(socket()));
  }
  ASSERT_NO_FATAL_FAILURE(run_to_the_end());
  expect_exact();
}

TEST_F(RunningJob, ThatWasKilledIsSaidToBeDeadAndItsSocketIsReplaced) {
  {
    JobProcess job(settings_, workspace_.log());
    ASSERT_TRUE(job.wait_for_checkpoints(2, kPatience)) << job.report().error;
    job.kill();
    ASSERT_TRUE(job.wait(kPatience).has_value());
  }
  const ToolRun dead = run_tool({"job", "status", settings_.checkpoints});
  EXPECT_EQ(dead.status, 1);
  EXPECT_NE(dead.err.find("does not run"), std::string::npos) << dead.err;
  {
    JobProcess job(settings_, workspace_.log());
    ASSERT_TRUE(job.wait_until_running(kPatience)) << job.report().error;
    EXPECT_EQ(ask_json({"job", "status", settings_.checkpoints}).at("attempt"), 2);
    job.terminate();
    ASSERT_TRUE(job.wait(kPatience).has_value());
  }
  ASSERT_NO_FATAL_FAILURE(run_to_the_end());
  expect_exact();
}

TEST_F(RunningJob, RefusalsNameTheMendAndTheJobGoesOn) {
  JobProcess job(settings_, workspace_.log());
  ASSERT_TRUE(job.wait_for_checkpoints(2, kPatience)) << job.report().error;
  const ToolRun nowhere = run_tool({"savepoint", "trigger", settings_.checkpoints});
  EXPECT_EQ(nowhere.status, 2);
  EXPECT_NE(nowhere.err.find("execution.checkpointing.savepoint-dir"), std::string::npos)
      << nowhere.err;
  const ToolRun impossible =
      run_tool({"savepoint", "stop", settings_.checkpoints, workspace_.log() + "/no-directory"});
  EXPECT_EQ(impossible.status, 1) << impossible.out;
  const ToolRun stranger = run_tool({"job", "status", "no-such-job"});
  EXPECT_EQ(stranger.status, 2);
  EXPECT_NE(stranger.err.find("no-such-job"), std::string::npos);
  EXPECT_EQ(ask_json({"job", "status", settings_.checkpoints}).at("phase"), "RUNNING");
  const ToolRun checkpoint = run_tool({"checkpoint", "trigger", settings_.checkpoints});
  ASSERT_EQ(checkpoint.status, 0) << checkpoint.err;
  const ToolRun dispose =
      run_tool({"savepoint", "dispose", checkpoint.out.substr(0, checkpoint.out.size() - 1)});
  EXPECT_EQ(dispose.status, 2) << "a checkpoint belongs to its job";
}

TEST_F(RunningJob, StatusHasTheMembersOfItsPage) {
  settings_.definitions = {"weir.control.socket=" + workspace_.path("my.sock")};
  JobProcess job(settings_, workspace_.log());
  ASSERT_TRUE(job.wait_for_checkpoints(1, kPatience)) << job.report().error;
  const json status = ask_json({"job", "status", workspace_.path("my.sock")});
  std::set<std::string> names;
  for (const auto& [name, value] : status.items()) {
    names.insert(name);
  }
  EXPECT_EQ(names,
            (std::set<std::string>{
                "job_name", "job_id", "process", "directory", "phase", "attempt", "restarts",
                "records_in", "records_out", "checkpoints_completed", "checkpoints_failed",
                "last_checkpoint", "last_checkpoint_duration_ms", "last_checkpoint_size_bytes",
                "last_checkpoint_full_size_bytes", "restored_checkpoint", "pending_committables",
                "commit_retries", "oldest_commit_age_ms"}));
  EXPECT_EQ(ask_json({"job", "status", settings_.checkpoints}).at("job_id"), status.at("job_id"))
      << "found by its directory all the same";
  EXPECT_EQ(ask_json({"job", "cancel", workspace_.path("my.sock")}).at("phase"), "CANCELED");
}

}  // namespace
}  // namespace weir::tool
