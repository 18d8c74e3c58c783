// As golden_test.cpp, of what its job does not have: times to live, reducing and aggregating state,
// savepoints, and checkpoints that barriers overtook records for. Restored at other parallelisms
// too, and savepoints on both backends.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <set>

#include "recovery/savepoint_scenario.h"

namespace weir::recovery {

struct NumberMean {
  struct Accumulator {
    std::int64_t sum = 0;
    std::int64_t count = 0;
  };
  Accumulator create_accumulator() const { return {}; }
  void add(Accumulator& into, const std::int64_t& number) const {
    into.sum += number;
    ++into.count;
  }
  std::int64_t get_result(const Accumulator& from) const { return from.count; }
  void merge(Accumulator& into, const Accumulator& from) const {
    into.sum += from.sum;
    into.count += from.count;
  }
};

namespace {

constexpr std::int64_t kKinds = 6;
constexpr std::int64_t kOfKind = 1'000'000;

/// One running count of a key's events by each kind of state: in which order they come does not
/// matter.
class OtherKinds : public KeyedProcessFunction<std::int64_t, Event, Counted> {
 public:
  explicit OtherKinds(std::chrono::microseconds per_event) : per_event_(per_event) {}

  void open(OpenContext& context) override {
    // Nothing expires before the end of the century after next.
    const StateTtlConfig ttl{.ttl = std::chrono::hours(24 * 365 * 200)};
    total_ = context.reducing_state<std::int64_t>("total", std::plus<>());
    mean_ = context.aggregating_state<std::int64_t>("mean", NumberMean());
    value_ = context.value_state<std::int64_t>("brief value", ttl);
    list_ = context.list_state<std::int64_t>("brief list", ttl);
    map_ = context.map_state<std::string, std::int64_t>("brief map", ttl);
    brief_total_ = context.reducing_state<std::int64_t>("brief total", std::plus<>(), ttl);
  }
  void process_element(const Event& event, Context&, Collector<Counted>& out) override {
    const auto end = std::chrono::steady_clock::now() + per_event_;
    while (std::chrono::steady_clock::now() < end) {
    }
    total_.add(1);
    mean_.add(event.number);
    list_.add(event.number);
    brief_total_.add(1);
    const std::int64_t counts[kKinds] = {
        *total_.get(),
        *mean_.get(),
        ++value_.mutable_value(),
        static_cast<std::int64_t>(list_.get()->size()),
        ++map_.mutable_value("all"),
        *brief_total_.get(),
    };
    for (std::int64_t kind = 0; kind < kKinds; ++kind) {
      out.collect(Counted{event.key, kind * kOfKind + counts[kind]});
    }
  }

 private:
  std::chrono::microseconds per_event_;
  ReducingState<std::int64_t> total_;
  AggregatingState<std::int64_t, NumberMean> mean_;
  ValueState<std::int64_t> value_;
  ListState<std::int64_t> list_;
  MapState<std::string, std::int64_t> map_;
  ReducingState<std::int64_t> brief_total_;
};

class GoldenKinds : public SavepointTest {
 protected:
  GoldenKinds() {
    source_.count = 4'000;
    source_.keys = 40;
  }

  Configuration kinds(int parallelism, StateBackendType backend, int restarts = 3) const {
    Configuration settings = configuration(parallelism, restarts);
    settings.set(options::kStateBackend, backend);
    if (backend == StateBackendType::kRocksDb) {
      settings.set(options::kRocksDbLocalDir, directory_ + "-local");
    }
    settings.set(options::kJobId, "golden-kinds");
    return settings;
  }
  void build(Environment& environment, const Bomb& bomb,
             std::chrono::microseconds per_event = {}) const {
    events(environment)
        .rebalance()
        .map(bomb)
        .uid("bomb")
        .key_by(&Event::key)
        .process(OtherKinds(per_event))
        .uid("other kinds")
        .sink_to(std::make_shared<MemorySink<Counted>>(counts_))
        .uid("counts");
  }
  Result<JobClient> start_kinds(const Configuration& settings, const Bomb& bomb,
                                std::chrono::microseconds per_event) const {
    Environment environment(settings);
    build(environment, bomb, per_event);
    return environment.execute_async("golden kinds");
  }
  Result<JobResult> run_kinds(const Configuration& settings, const Bomb& bomb) const {
    Environment environment(settings);
    build(environment, bomb);
    return environment.execute("golden kinds");
  }
  std::vector<Counted> expected() const {
    std::vector<Counted> rows;
    for (const Counted& row : expected_counts(source_)) {
      for (std::int64_t kind = 0; kind < kKinds; ++kind) {
        rows.push_back({row.key, kind * kOfKind + row.count});
      }
    }
    std::sort(rows.begin(), rows.end());
    return rows;
  }

  /// WEIR_GOLDEN_WRITE=<new folder>: keeps `what` of the job's folder, and what was committed.
  void keep(const std::string& from, const std::string& what) const {
    const char* to = std::getenv("WEIR_GOLDEN_WRITE");
    if (to == nullptr) {
      return;
    }
    ASSERT_TRUE(std::filesystem::create_directory(to));
    std::filesystem::copy(from, std::string(to) + "/" + what,
                          std::filesystem::copy_options::recursive);
    std::ofstream out(std::string(to) + "/committed.txt");
    for (const Counted& row : counts_->rows()) {
      out << "c " << row.key << ' ' << row.count << '\n';
    }
    for (const std::string& identity : counts_->identities()) {
      out << "i " << identity << '\n';
    }
  }
  void adopt(const std::string& path) const {
    std::ifstream in(path);
    std::vector<Counted> rows;
    std::set<std::string> identities;
    for (std::string kind; in >> kind;) {
      if (kind == "c") {
        Counted& row = rows.emplace_back();
        in >> row.key >> row.count;
      } else {
        std::string identity;
        in >> identity;
        identities.insert(identity);
      }
    }
    ASSERT_FALSE(rows.empty() || identities.empty()) << path;
    counts_->adopt(std::move(rows), std::move(identities));
  }
  void go_on_to_the_end(const Configuration& settings) const {
    const std::size_t before = counts_->rows().size();
    expect_state(run_kinds(settings, dud()), JobState::kFinished);
    EXPECT_LT(before, counts_->rows().size());
    EXPECT_EQ(counts_->rows(), expected());
  }
};

struct KindsVersion {
  const char* folder;
  StateBackendType backend = StateBackendType::kHashMap;
  int parallelism = 2;
  bool is_unaligned = false;
};
class GoldenCheckpointOfKinds : public GoldenKinds,
                                public ::testing::WithParamInterface<KindsVersion> {};

std::string folder_of(const KindsVersion& version) {
  return std::string(WEIR_SOURCE_DIR) + "/tests/golden/" + version.folder;
}

TEST_P(GoldenCheckpointOfKinds, IsRestored) {
  const std::string golden = folder_of(GetParam());
  source_.events_per_checkpoint = 400;
  Configuration settings = kinds(GetParam().parallelism, GetParam().backend);
  if (std::filesystem::exists(golden + "/savepoint")) {
    std::filesystem::copy(golden + "/savepoint", directory_ + "/golden",
                          std::filesystem::copy_options::recursive);
    settings.set(options::kRecoveryPath, directory_ + "/golden");
  } else {
    std::filesystem::copy(golden + "/checkpoints", directory_,
                          std::filesystem::copy_options::recursive);
  }
  settings.set(options::kUnalignedCheckpoints, GetParam().is_unaligned);
  ASSERT_NO_FATAL_FAILURE(adopt(golden + "/committed.txt"));
  go_on_to_the_end(settings);
}

INSTANTIATE_TEST_SUITE_P(
    Versions, GoldenCheckpointOfKinds,
    ::testing::Values(KindsVersion{"0.1-kinds-heap"}, KindsVersion{"0.1-kinds-heap", {}, 3},
                      KindsVersion{"0.1-kinds-rocksdb", StateBackendType::kRocksDb},
                      KindsVersion{"0.1-kinds-rocksdb", StateBackendType::kRocksDb, 3},
                      KindsVersion{"0.1-savepoint-heap"}, KindsVersion{"0.1-savepoint-heap", {}, 1},
                      KindsVersion{"0.1-savepoint-heap", StateBackendType::kRocksDb, 3},
                      KindsVersion{"0.1-savepoint-rocksdb", {}, 3},
                      KindsVersion{"0.1-savepoint-rocksdb", StateBackendType::kRocksDb},
                      KindsVersion{"0.1-channel-log-1", {}, 2, true},
                      KindsVersion{"0.1-channel-log-1", {}, 3, true}),
    [](const auto& version) {
      std::string name = version.param.folder;
      std::replace_if(name.begin(), name.end(), [](char c) { return c == '.' || c == '-'; }, '_');
      return name +
             (version.param.backend == StateBackendType::kRocksDb ? "_on_rocksdb_at_"
                                                                  : "_on_heap_at_") +
             std::to_string(version.param.parallelism);
    });

StateBackendType chosen_backend(bool is_on_rocksdb) {
  return is_on_rocksdb ? StateBackendType::kRocksDb : StateBackendType::kHashMap;
}

TEST_F(GoldenKinds, AJobStopsInTheMiddle) {
  Configuration settings = kinds(2, chosen_backend(is_on_rocksdb()));
  settings.set(options::kIncrementalCheckpoints, true);
  expect_state(run_kinds(settings, Bomb::stopping(1'500)), JobState::kSuspended);
  EXPECT_LT(counts_->rows().size(), expected().size());
  keep(directory_, "checkpoints");
}

TEST_F(GoldenKinds, AJobStopsWithASavepointInTheMiddle) {
  const Configuration settings = kinds(2, chosen_backend(is_on_rocksdb()));
  Result<JobClient> job = start_kinds(settings, dud(), std::chrono::microseconds(100));
  ASSERT_TRUE(job.ok()) << job.error().message;
  ASSERT_TRUE(wait_until([&] { return counts_->commits() > 2; }));
  const Result<SnapshotInfo> stopped = answer(job.value().stop_with_savepoint(false, savepoints()));
  ASSERT_TRUE(stopped.ok()) << stopped.error().message;
  expect_state(job.value().wait(), JobState::kSuspended);
  EXPECT_LT(counts_->rows().size(), expected().size());
  keep(stopped.value().path, "savepoint");
}

TEST_F(GoldenKinds, AJobDiesWithRecordsUnderWay) {
  source_.events_per_checkpoint = 1'000;  // More than are worked off before the first checkpoint.
  Configuration settings = kinds(2, chosen_backend(is_on_rocksdb()), 0);
  settings.set(options::kCheckpointInterval, DurationMs(20));
  settings.set(options::kUnalignedCheckpoints, true);
  Result<JobClient> job =
      start_kinds(settings, Bomb::throwing(3'000), std::chrono::microseconds(100));
  ASSERT_TRUE(job.ok()) << job.error().message;
  EXPECT_FALSE(job.value().wait().ok());
  std::optional<checkpoint::Manifest> last;
  for (const std::string& path : checkpoint_files("_metadata")) {
    checkpoint::Manifest manifest = manifest_of(std::filesystem::path(path).parent_path());
    if (!last.has_value() || manifest.checkpoint > last->checkpoint) {
      last = std::move(manifest);
    }
  }
  ASSERT_TRUE(last.has_value());
  std::uint64_t under_way = 0;
  for (const auto& item : last->in_flight) {
    for (const auto& channel : item.channels) {
      under_way += channel.record_count;
    }
  }
  EXPECT_GT(under_way, 0U);
  keep(directory_, "checkpoints");
}

}  // namespace
}  // namespace weir::recovery
