// One job whose state moves between the backends: every kind of keyed state, timers of both clocks
// and windows, with and without a time to live.
#include "recovery/every_state.h"
#include "recovery/savepoint_scenario.h"
#include "weir/savepoint_editor.h"

namespace weir::recovery {
namespace {

using ::testing::HasSubstr;

constexpr StateBackendType kHeap = StateBackendType::kHashMap;
constexpr StateBackendType kRocks = StateBackendType::kRocksDb;
constexpr StateTtlConfig kDay{.ttl = std::chrono::hours(24)};

class BackendChangeTest : public SavepointTest {
 protected:
  BackendChangeTest() {
    source_.count = 2'000;
    source_.splits = 1;  // so that the order of a key's events is known
  }

  /// Of the run with that number; each has a directory of its own.
  Configuration settings_of(int run, StateBackendType backend, int parallelism,
                            const std::string& from = "") const {
    Configuration settings = configuration(parallelism, /*restarts=*/0);
    settings.set(options::kCheckpointDir, checkpoints_of(run));
    settings.set(options::kStateBackend, backend);
    if (backend == kRocks) {
      settings.set(options::kRocksDbLocalDir, directory_ + "-local");
      settings.set(options::kRocksDbMemory, SizeBytes{1024 * 1024});
    }
    if (!from.empty()) {
      settings.set(options::kRecoveryPath, from);
    }
    return settings;
  }
  std::string checkpoints_of(int run) const { return directory_ + "/run-" + std::to_string(run); }

  void build(Environment& environment, const StateTtlConfig& ttl, Bomb bomb) const {
    const auto keyed = events(environment).map(std::move(bomb)).uid("bomb").key_by(&Event::key);
    keyed.process(EveryState(ttl))
        .uid("every")
        .sink_to(std::make_shared<MemorySink<Seen>>(seen_))
        .uid("seen");
    keyed.window(SlidingEventTimeWindows::of(DurationMs(100), DurationMs(50)))
        .aggregate(SumOfNumbers(),
                   [](std::int64_t key, const TimeWindow& window, std::int64_t sum) {
                     return WindowSum{key, window.start, sum};
                   })
        .uid("sums")
        .sink_to(std::make_shared<MemorySink<WindowSum>>(sums_))
        .uid("sums-out");
  }
  Result<JobResult> run(const Configuration& settings, const StateTtlConfig& ttl,
                        Bomb bomb = dud()) const {
    Environment environment(settings);
    build(environment, ttl, std::move(bomb));
    return environment.execute("recovery");
  }
  /// Runs the job for some epochs and stops it with a savepoint. It reads a hundred events per
  /// epoch, so that it cannot come to its end before.
  std::string savepoint_of(Configuration settings, const StateTtlConfig& ttl) const {
    settings.set(options::kCheckpointInterval, std::chrono::hours(1));
    Environment environment(settings);
    build(environment, ttl, dud());
    JobClient job = environment.execute_async("recovery").value();
    const std::size_t commits = seen_->commits();
    for (int epochs = 0; epochs < 4 || seen_->commits() == commits; ++epochs) {
      const Result<SnapshotInfo> checkpoint = answer(job.trigger_checkpoint());
      if (!checkpoint.ok()) {
        ADD_FAILURE() << checkpoint.error().message;
        break;
      }
    }
    const Result<SnapshotInfo> stopped = answer(job.stop_with_savepoint(false, savepoints()));
    EXPECT_TRUE(stopped.ok()) << stopped.error().message;
    expect_state(job.wait(), JobState::kSuspended);
    return stopped.ok() ? stopped.value().path : "";
  }
  /// Stops the job at an event, with a checkpoint, which is the last of the run.
  std::string checkpoint_of(int run_number, const Configuration& settings,
                            const StateTtlConfig& ttl) const {
    expect_state(run(settings, ttl, Bomb::stopping(source_.count / 2)), JobState::kSuspended);
    return last_checkpoint_of(run_number);
  }
  std::string last_checkpoint_of(int run_number) const {
    std::string last;
    CheckpointId highest = 0;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(checkpoints_of(run_number))) {
      if (entry.path().filename() == "_metadata" &&
          manifest_of(entry.path()).checkpoint > highest) {
        highest = manifest_of(entry.path()).checkpoint;
        last = entry.path().parent_path();
      }
    }
    return last;
  }
  static std::size_t files_of(const std::string& snapshot, const std::string& kind) {
    std::size_t files = 0;
    for (const auto& op : manifest_of(snapshot).operators) {
      for (const auto& subtask : op.subtasks) {
        files += static_cast<std::size_t>(
            std::count_if(subtask.files.begin(), subtask.files.end(),
                          [&](const auto& handle) { return handle.kind == kind; }));
      }
    }
    return files;
  }

  /// The results of all runs together are those of one that nobody interrupted, and no timer was
  /// lost or doubled: it has fired, or is in the last checkpoint.
  void expect_all_results(int last_run) const {
    const std::vector<Seen> rows = seen_->rows();
    EXPECT_EQ(values_in(rows), expected_seen(source_));
    EXPECT_EQ(sums_->rows(), expected_sums(source_, 100, 50));

    std::vector<Seen> timers = timers_in(rows);
    auto snapshot = SavepointEditor::open(last_checkpoint_of(last_run));
    ASSERT_TRUE(snapshot.ok()) << snapshot.error().message;
    auto op = snapshot.value().keyed_state<std::int64_t>("every");
    ASSERT_TRUE(op.ok()) << op.error().message;
    TimerQueue& left = op.value().timer_service().value()->processing_time();
    for (TimerQueue::Timer timer; left.pop(kMaxTimestamp - 1, timer);) {
      timers.push_back({*static_cast<const std::int64_t*>(timer.key), timer.timestamp, "timer"});
    }
    std::sort(timers.begin(), timers.end());
    std::vector<Seen> expected;
    for (std::int64_t number = 0; number < source_.count; ++number) {
      const Event event = event_of(number, source_);
      for (const std::int64_t time : {event.time + EveryState::kTimerDelay,
                                      EveryState::kPast + number, EveryState::kFuture + number}) {
        expected.push_back({event.key, time, "timer"});
      }
    }
    std::sort(expected.begin(), expected.end());
    EXPECT_EQ(timers, expected);
  }

  std::shared_ptr<Target<Seen>> seen_ = std::make_shared<Target<Seen>>();
};

/// A run of the job: on a backend, at a parallelism.
struct Leg {
  StateBackendType backend;
  int parallelism;
};
struct Way {
  std::string name;
  StateTtlConfig ttl;
  std::vector<Leg> legs;
};

class BackendChangeBySavepoint : public BackendChangeTest,
                                 public ::testing::WithParamInterface<Way> {};

TEST_P(BackendChangeBySavepoint, ResultsAreThoseOfOneRun) {
  const Way& way = GetParam();
  std::string from;
  for (std::size_t i = 0; i < way.legs.size(); ++i) {
    const Leg& leg = way.legs[i];
    const Configuration settings =
        settings_of(static_cast<int>(i), leg.backend, leg.parallelism, from);
    if (i + 1 < way.legs.size()) {
      from = savepoint_of(settings, way.ttl);
      ASSERT_FALSE(from.empty());
    } else {
      expect_state(run(settings, way.ttl), JobState::kFinished);
      expect_all_results(static_cast<int>(i));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Ways, BackendChangeBySavepoint,
    ::testing::Values(
        Way{"uninterrupted", {}, {{kHeap, 2}}},
        Way{"heap_rocksdb_heap", {}, {{kHeap, 2}, {kRocks, 3}, {kHeap, 1}}},
        Way{"heap_rocksdb_heap_ttl", kDay, {{kHeap, 2}, {kRocks, 3}, {kHeap, 1}}},
        Way{"rocksdb_heap_rocksdb", {}, {{kRocks, 2}, {kHeap, 3}, {kRocks, 1}}},
        Way{"rocksdb_heap_rocksdb_ttl", kDay, {{kRocks, 2}, {kHeap, 3}, {kRocks, 1}}}),
    [](const auto& way) { return way.param.name; });

TEST_F(BackendChangeTest, RocksDbReadsACheckpointOfTheHeap) {
  const std::string from = checkpoint_of(0, settings_of(0, kHeap, 2), kDay);
  EXPECT_GT(files_of(from, std::string(checkpoint::kStateFileKind)), 0U);
  expect_state(run(settings_of(1, kRocks, 3, from), kDay), JobState::kFinished);
  EXPECT_GT(files_of(last_checkpoint_of(1), std::string(checkpoint::kRocksDbKind)), 0U);
  expect_all_results(1);
}

TEST_F(BackendChangeTest, RocksDbReadsAChainOfDeltasOfTheHeap) {
  source_.count = 3'000;
  source_.keys = 1'000;  // of which few change in an epoch
  Configuration settings = settings_of(0, kHeap, 2);
  settings.set(options::kIncrementalCheckpoints, true);
  const std::string from = checkpoint_of(0, settings, {});
  EXPECT_GT(files_of(from, std::string(checkpoint::kStateFileKind)), 4U)
      << "two operators of two subtasks: more files are deltas";
  expect_state(run(settings_of(1, kRocks, 1, from), {}), JobState::kFinished);
  expect_all_results(1);
}

TEST_F(BackendChangeTest, TheHeapRefusesACheckpointOfRocksDbAndTakesTheWayByASavepoint) {
  const std::string from = checkpoint_of(0, settings_of(0, kRocks, 2), {});
  const Result<JobResult> refused = run(settings_of(1, kHeap, 2, from), {});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message,
              HasSubstr("the checkpoint was written with state.backend.type rocksdb and cannot be "
                        "read by hashmap: start with rocksdb, take a savepoint, and start from "
                        "that"));
  EXPECT_THAT(refused.error().message, HasSubstr("every"));
  const std::string savepoint = savepoint_of(settings_of(2, kRocks, 2, from), {});
  expect_state(run(settings_of(3, kHeap, 2, savepoint), {}), JobState::kFinished);
  expect_all_results(3);
}

}  // namespace
}  // namespace weir::recovery
