// `weir compat` on a snapshot of one version of a job and programs of others. What it says is
// compared with what a real start of the same program does.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tool/tool_run.h"

namespace weir::tool {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class Compat : public ::testing::Test {
 protected:
  /// The snapshot is one of version `first`.
  explicit Compat(std::string first = "first") : first_(std::move(first)) {}

  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "weir-compat-test-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
    ASSERT_EQ(start(first_, "first").status, 0);
    snapshot_ = snapshot_in("first");
    ASSERT_FALSE(snapshot_.empty());
  }
  std::string snapshot_in(const std::string& directory) const {
    std::string latest;
    for (const auto& job : fs::directory_iterator(directory_ / directory)) {
      for (const auto& entry : fs::directory_iterator(job.path())) {
        if (fs::exists(entry.path() / "_metadata")) {
          latest = std::max(latest, entry.path().string());
        }
      }
    }
    return latest;
  }
  void TearDown() override { fs::remove_all(directory_); }

  /// A real start with checkpoints in a directory of its own.
  ToolRun start(const std::string& version, const std::string& directory,
                const std::vector<std::string>& settings = {}) const {
    std::vector<std::string> words{
        COMPAT_JOB_PATH,
        version,
        "-D",
        "execution.checkpointing.interval=1 h",
        "-D",
        "execution.checkpointing.dir=" + (directory_ / directory).string()};
    add_settings(settings, words);
    return run_program(std::move(words));
  }
  /// WEIR_STATE_BACKEND=rocksdb: the same about jobs and snapshots of that backend.
  static void add_settings(const std::vector<std::string>& settings,
                           std::vector<std::string>& words) {
    const char* const backend = std::getenv("WEIR_STATE_BACKEND");
    const bool is_chosen = std::any_of(settings.begin(), settings.end(), [](const auto& setting) {
      return setting.starts_with("state.backend.type=");
    });
    if (!is_chosen && backend != nullptr && std::string(backend) == "rocksdb") {
      words.insert(words.end(), {"-D", "state.backend.type=rocksdb"});
    }
    words.insert(words.end(), settings.begin(), settings.end());
  }
  ToolRun compat(const std::string& version, const std::vector<std::string>& settings = {}) const {
    return compat_with({"--json"}, version, settings);
  }
  ToolRun compat_with(const std::vector<std::string>& options, const std::string& version,
                      const std::vector<std::string>& settings = {}) const {
    std::vector<std::string> words{"compat"};
    words.insert(words.end(), options.begin(), options.end());
    words.insert(words.end(), {snapshot_, COMPAT_JOB_PATH, version});
    add_settings(settings, words);
    return run_tool(words);
  }
  /// What compat says of a version, after a look whether a start agrees.
  json answer(const std::string& version, const std::vector<std::string>& settings = {}) const {
    const ToolRun said = compat(version, settings);
    json report = said.json();
    EXPECT_EQ(said.status, report.value("is_compatible", false) ? 0 : 1);
    std::vector<std::string> all = settings;
    all.insert(all.end(), {"-D", "execution.state-recovery.path=" + snapshot_});
    const ToolRun started = start(version, "start-of-" + version, all);
    EXPECT_EQ(started.status == 0, report.value("is_compatible", false)) << started.err;
    for (const json& refusal : report["refusals"]) {
      const std::string text = refusal.get<std::string>();
      EXPECT_THAT(started.err, HasSubstr(text.substr(text.rfind(": ") + 2)));
    }
    return report;
  }
  using Fits = std::map<std::string, std::string>;
  /// Operators by uid, states by "uid/state".
  static Fits fits_of(const json& report) {
    Fits fits;
    for (const json& op : report.at("operators")) {
      fits[op.at("uid")] = op.at("fit");
      for (const json& state : op.at("states")) {
        fits[op.at("uid").get<std::string>() + "/" + state.at("name").get<std::string>()] =
            state.at("fit");
      }
    }
    fits.erase("events");
    fits.erase("lines");
    return fits;
  }
  static json notes_of(const json& report, const std::string& state) {
    for (const json& op : report.at("operators")) {
      for (const json& one : op.at("states")) {
        if (one.at("name") == state) {
          return one.at("notes");
        }
      }
    }
    return {};
  }

  const std::string first_;
  fs::path directory_;
  std::string snapshot_;
};

class CompatOfWindows : public Compat {
 protected:
  CompatOfWindows() : Compat("windows") {}
};

TEST_F(Compat, TheSameProgram) {
  const json report = answer("first");
  Fits fits = fits_of(report);
  for (const auto& [name, fit] : fits) {
    EXPECT_EQ(fit, "same") << name;
  }
  EXPECT_TRUE(fits.contains("count/total"));
  EXPECT_TRUE(fits.contains("count/seen"));
  EXPECT_GE(fits.size(), 4U) << "timers are state";
}

TEST_F(Compat, AStateThatGrewIsMigrated) {
  const json report = answer("grown");
  EXPECT_EQ(fits_of(report).at("count"), "migratable");
  EXPECT_EQ(fits_of(report).at("count/total"), "migratable");
  EXPECT_EQ(fits_of(report).at("count/seen"), "same");
  EXPECT_THAT(notes_of(report, "total"),
              UnorderedElementsAre("count: i32 becomes i64", "last: added", "unused: dropped"));
}

TEST_F(Compat, AStateThatShrankIsRefused) {
  const json report = answer("shrunk");
  EXPECT_EQ(fits_of(report).at("count/total"), "incompatible");
  EXPECT_THAT(notes_of(report, "total").at(0).get<std::string>(), HasSubstr("i32"));
}

TEST_F(Compat, ATimeToLiveOfAValueWithACodecOfItsOwn) {
  const json report = answer("expiring-mark");
  EXPECT_EQ(fits_of(report).at("count/mark"), "migratable");
  EXPECT_EQ(fits_of(report).at("count/marks"), "same");
}

TEST_F(Compat, ATimeToLiveOfElementsWithACodecOfTheirOwnIsRefused) {
  const json report = answer("expiring-marks");
  EXPECT_EQ(fits_of(report).at("count/marks"), "incompatible");
  EXPECT_THAT(notes_of(report, "marks").at(0).get<std::string>(),
              HasSubstr("an element has a Codec of its own, mark"));
}

TEST_F(Compat, AnotherKeyIsRefused) {
  const json report = answer("rekeyed");
  EXPECT_EQ(fits_of(report).at("count"), "incompatible");
  EXPECT_THAT(report.at("refusals").at(0).get<std::string>(),
              HasSubstr("the type of a key cannot change"));
}

TEST_F(Compat, AStateOfAnotherNameStartsEmptyAndTheOldOneIsCarriedAlong) {
  const json report = answer("renamed");
  EXPECT_EQ(fits_of(report).at("count/seen"), "dropped");
  EXPECT_EQ(fits_of(report).at("count/visits"), "missing");
  EXPECT_TRUE(report.at("is_compatible").get<bool>());
}

TEST_F(Compat, AnOperatorThatIsGoneIsRefusedUnlessItMayBeDroppedOrIsMapped) {
  const json refused = answer("moved");
  EXPECT_EQ(fits_of(refused).at("count"), "dropped");
  EXPECT_EQ(fits_of(refused).at("count/total"), "dropped");
  EXPECT_EQ(fits_of(refused).at("counts"), "missing");
  EXPECT_FALSE(refused.at("is_compatible").get<bool>());
  const std::string ignore = "execution.state-recovery.ignore-unclaimed-state=true";
  EXPECT_TRUE(fits_of(answer("moved", {"-D", ignore})).contains("count"));
  const json mapped = answer("moved", {"-D", "weir.state-recovery.uid-mapping=count=counts"});
  EXPECT_EQ(fits_of(mapped).at("counts/total"), "same");
  EXPECT_FALSE(fits_of(mapped).contains("count"));
}

TEST_F(CompatOfWindows, TheSameWindowsAndAnotherLateness) {
  for (const std::string version : {"windows", "windows-kept-longer"}) {
    const json report = answer(version);
    EXPECT_TRUE(report.at("is_compatible").get<bool>()) << version;
    EXPECT_EQ(fits_of(report).at("windows/window-contents"), "same");
    EXPECT_EQ(fits_of(report).at("windows/window-geometry"), "same");
  }
}

TEST_F(CompatOfWindows, WindowsThatAreCutInAnotherWayAreRefused) {
  const json report = answer("windows-of-15-s");
  EXPECT_FALSE(report.at("is_compatible").get<bool>());
  EXPECT_EQ(fits_of(report).at("windows"), "incompatible");
  EXPECT_EQ(fits_of(report).at("windows/window-contents"), "same");
  EXPECT_EQ(fits_of(report).at("windows/window-geometry"), "incompatible");
  EXPECT_THAT(notes_of(report, "window-geometry").at(0).get<std::string>(),
              AllOf(HasSubstr("tumbling windows of 10000 ms"),
                    HasSubstr("tumbling windows of 15000 ms"), HasSubstr("another uid")));
}

TEST_F(Compat, AParallelismThatDoesNotFitIsRefused) {
  const json report =
      answer("first", {"-D", "parallelism.default=200", "-D", "pipeline.max-parallelism=256"});
  EXPECT_FALSE(report.at("is_compatible").get<bool>());
}

TEST_F(Compat, TheHeapBackendCannotReadACheckpointOfRocksDbAndTheOtherWayRoundItCan) {
  const std::vector<std::string> heap{"-D", "state.backend.type=hashmap"};
  const std::vector<std::string> rocksdb{"-D", "state.backend.type=rocksdb"};
  ASSERT_EQ(start("first", "on-rocksdb", rocksdb).status, 0);
  snapshot_ = snapshot_in("on-rocksdb");
  const json refused = answer("first", heap);
  EXPECT_FALSE(refused.at("is_compatible").get<bool>());
  EXPECT_THAT(refused.at("refusals").at(0).get<std::string>(),
              HasSubstr("operator count: the checkpoint was written with state.backend.type "
                        "rocksdb and cannot be read by hashmap"));
  EXPECT_TRUE(answer("grown", rocksdb).at("is_compatible").get<bool>());
  ASSERT_EQ(start("first", "on-heap", heap).status, 0);
  snapshot_ = snapshot_in("on-heap");
  EXPECT_TRUE(answer("grown", rocksdb).at("is_compatible").get<bool>());
}

TEST_F(Compat, ChosenVerdictsFailTheCommand) {
  EXPECT_EQ(compat_with({"--fail-on", "dropped,missing,migratable"}, "first").status, 0);
  const ToolRun renamed = compat_with({"--fail-on", "dropped,missing"}, "renamed");
  EXPECT_EQ(renamed.status, 1);
  EXPECT_THAT(renamed.out, HasSubstr("FAILED missing: state 'visits' of operator count"));
  EXPECT_THAT(renamed.out, HasSubstr("FAILED dropped: state 'seen' of operator count"));
  EXPECT_THAT(renamed.out, HasSubstr("compatible: compat starts from " + snapshot_));
  EXPECT_EQ(compat_with({"--fail-on", "migratable"}, "renamed").status, 0);
  EXPECT_EQ(compat_with({"--fail-on", "dropped", "--fail-on", "missing"}, "grown").status, 0);

  const ToolRun grown = compat_with({"--json", "--fail-on", "migratable"}, "grown");
  EXPECT_EQ(grown.status, 1);
  EXPECT_TRUE(grown.json().at("is_compatible").get<bool>());
  EXPECT_EQ(grown.json().at("failures"), json({"migratable: state 'total' of operator count"}));
  const std::vector<std::string> ignore{"-D",
                                        "execution.state-recovery.ignore-unclaimed-state=true"};
  EXPECT_EQ(compat_with({"--fail-on", "dropped"}, "moved", ignore).status, 1);
  EXPECT_EQ(compat_with({}, "moved", ignore).status, 0);

  const ToolRun unknown = compat_with({"--fail-on", "droped"}, "first");
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.err, HasSubstr("droped"));
  EXPECT_THAT(unknown.err, HasSubstr("dropped"));
}

TEST_F(Compat, NothingRunsAndNothingIsWritten) {
  const auto before = std::distance(fs::recursive_directory_iterator(directory_), {});
  const ToolRun run =
      compat("first", {"-D", "execution.checkpointing.interval=1 h", "-D",
                       "execution.checkpointing.dir=" + (directory_ / "never").string()});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(std::distance(fs::recursive_directory_iterator(directory_), {}), before);
}

TEST_F(Compat, TextForPeople) {
  const ToolRun run = compat_with({}, "grown");
  EXPECT_EQ(run.status, 0);
  EXPECT_THAT(run.out, HasSubstr("count: i32 becomes i64"));
  EXPECT_THAT(run.out, HasSubstr("compatible: compat starts from " + snapshot_));
  const ToolRun refused = compat_with({}, "shrunk");
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.out, HasSubstr("REFUSED operator count: state 'total'"));
}

TEST_F(Compat, WhatCannotBeComparedIsAnError) {
  const ToolRun broken = compat("broken");
  EXPECT_EQ(broken.status, 2);
  EXPECT_THAT(broken.err, HasSubstr("the rates are not there"));
  const ToolRun no_job = run_tool({"compat", snapshot_, "/bin/true"});
  EXPECT_EQ(no_job.status, 2);
  EXPECT_THAT(no_job.err, HasSubstr("is no weir job"));
  const ToolRun usage = run_tool({"compat", snapshot_, COMPAT_JOB_PATH});
  EXPECT_EQ(usage.status, 2);
  EXPECT_THAT(usage.err, HasSubstr("usage: compat_job"));
  const ToolRun endless = run_tool({"compat", "--timeout", "1", snapshot_, "/bin/sleep", "100"});
  EXPECT_NE(endless.status, 0);
  EXPECT_THAT(endless.err, HasSubstr("has not come to its execute() within"));
  const ToolRun nowhere = run_tool({"compat", "/nowhere", COMPAT_JOB_PATH, "first"});
  EXPECT_EQ(nowhere.status, 2);
  EXPECT_THAT(nowhere.err, HasSubstr("/nowhere"));
  const ToolRun absent = run_tool({"compat", snapshot_, "/no/such/program"});
  EXPECT_EQ(absent.status, 2);
  EXPECT_THAT(absent.err, HasSubstr("/no/such/program"));
}

}  // namespace
}  // namespace weir::tool
