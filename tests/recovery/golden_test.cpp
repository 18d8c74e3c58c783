// Checkpoints that earlier versions wrote, kept in tests/golden: every later build goes on from
// them.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>

#include "recovery/scenario.h"

namespace weir::recovery {
namespace {

constexpr std::int64_t kStopsAt = 1'500;
constexpr std::int64_t kOfLists = 1'000'000;
constexpr std::int64_t kOfMaps = 2'000'000;
constexpr std::int64_t kOfTimers = 3'000'000;

/// Every kind of keyed state. What it emits depends on the order of a key's events only.
class EveryKind : public KeyedProcessFunction<std::int64_t, Event, Counted> {
 public:
  void open(OpenContext& context) override {
    count_ = context.value_state<std::int64_t>("count");
    last_ = context.list_state<std::string>("last");
    sums_ = context.map_state<std::string, std::int64_t>("sums");
  }
  void process_element(const Event& event, Context& context, Collector<Counted>& out) override {
    out.collect(Counted{event.key, ++count_.mutable_value()});
    last_.add(std::to_string(event.number));
    if (last_.get()->size() == 7) {
      out.collect(Counted{event.key, kOfLists + std::stoll(last_.get()->front())});
      last_.clear();
    }
    std::int64_t& sum = sums_.mutable_value("mod " + std::to_string(event.number % 3));
    sum += event.number;
    out.collect(Counted{event.key, kOfMaps + sum});
    context.timer_service().register_event_time_timer(event.time / 100 * 100 + 300);
  }
  void on_timer(TimestampMs time, Context& context, Collector<Counted>& out) override {
    out.collect(Counted{context.current_key(), kOfTimers + time});
  }

 private:
  ValueState<std::int64_t> count_;
  ListState<std::string> last_;
  MapState<std::string, std::int64_t> sums_;
};

/// How a job's checkpoints are made.
struct Form {
  bool is_incremental = true;
  StateBackendType backend = StateBackendType::kHashMap;
  bool is_compressed = false;
};

class Golden : public RecoveryTest {
 protected:
  Golden() {
    source_.count = 4'000;
    source_.keys = 8;  // A key's events are in one split, hence in order.
  }

  /// Incremental: with an operator of many keys besides, few of which change at a time.
  Result<JobResult> run(const Form& form, Bomb bomb) const {
    Configuration settings = configuration();
    settings.set(options::kStateBackend, form.backend);
    if (form.backend == StateBackendType::kRocksDb) {
      settings.set(options::kRocksDbLocalDir, directory_ + "-local");
    } else {
      settings.set(options::kSnapshotCompression, form.is_compressed);
    }
    settings.set(options::kJobId, "golden");
    settings.set(options::kIncrementalCheckpoints, form.is_incremental);
    Environment environment(settings);
    const auto stream = events(environment).map(std::move(bomb)).uid("bomb");
    const auto keyed = stream.key_by(&Event::key);
    keyed.process(EveryKind())
        .uid("every kind")
        .sink_to(std::make_shared<MemorySink<Counted>>(counts_))
        .uid("counts");
    keyed.window(SlidingEventTimeWindows::of(DurationMs(200), DurationMs(100)))
        .aggregate(SumOfNumbers(),
                   [](std::int64_t key, const TimeWindow& window, std::int64_t sum) {
                     return WindowSum{key, window.start, sum};
                   })
        .uid("sums")
        .sink_to(std::make_shared<MemorySink<WindowSum>>(sums_))
        .uid("sums-out");
    if (form.is_incremental) {
      stream.map([](const Event& event) { return with_many_keys(event); })
          .uid("many keys")
          .key_by(&Event::key)
          .process(CountPerKey())
          .uid("count of many")
          .sink_to(std::make_shared<MemorySink<Counted>>(many_))
          .uid("many");
    }
    return environment.execute("golden");
  }

  static Event with_many_keys(const Event& event) {
    return {event.number, event.number % 1'000, event.time};
  }

  std::vector<Counted> expected_of_many() const {
    std::vector<Counted> rows;
    std::map<std::int64_t, std::int64_t> counts;
    for (std::int64_t number = 0; number < source_.count; ++number) {
      const Event event = with_many_keys(event_of(number, source_));
      rows.push_back({event.key, ++counts[event.key]});
    }
    std::sort(rows.begin(), rows.end());
    return rows;
  }

  std::vector<Counted> expected() const {
    std::vector<Counted> rows = expected_counts(source_);
    std::map<std::int64_t, std::vector<std::int64_t>> last;
    std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t> sums;
    std::set<std::pair<std::int64_t, std::int64_t>> timers;
    for (std::int64_t number = 0; number < source_.count; ++number) {
      const Event event = event_of(number, source_);
      last[event.key].push_back(number);
      if (last[event.key].size() == 7) {
        rows.push_back({event.key, kOfLists + last[event.key].front()});
        last[event.key].clear();
      }
      rows.push_back({event.key, kOfMaps + (sums[{event.key, number % 3}] += number)});
      timers.emplace(event.key, event.time / 100 * 100 + 300);
    }
    for (const auto& [key, time] : timers) {
      rows.push_back({key, kOfTimers + time});
    }
    std::sort(rows.begin(), rows.end());
    return rows;
  }

  std::shared_ptr<Target<Counted>> many_ = std::make_shared<Target<Counted>>();
};

/// What had been committed until the checkpoint: a line "c key count", "w key start sum", "m key
/// count" or "i identity" each.
void write_committed(const std::string& path, const Target<Counted>& counts,
                     const Target<WindowSum>& sums, const Target<Counted>& many) {
  std::ofstream out(path);
  for (const Counted& row : counts.rows()) {
    out << "c " << row.key << ' ' << row.count << '\n';
  }
  for (const WindowSum& row : sums.rows()) {
    out << "w " << row.key << ' ' << row.start << ' ' << row.sum << '\n';
  }
  for (const Counted& row : many.rows()) {
    out << "m " << row.key << ' ' << row.count << '\n';
  }
  for (const auto& identities : {counts.identities(), sums.identities(), many.identities()}) {
    for (const std::string& identity : identities) {
      out << "i " << identity << '\n';
    }
  }
}

void read_committed(const std::string& path, Target<Counted>& counts, Target<WindowSum>& sums,
                    Target<Counted>& many) {
  std::ifstream in(path);
  std::vector<Counted> count_rows;
  std::vector<Counted> many_rows;
  std::vector<WindowSum> sum_rows;
  std::set<std::string> identities;
  for (std::string kind; in >> kind;) {
    if (kind == "c" || kind == "m") {
      Counted& row = (kind == "c" ? count_rows : many_rows).emplace_back();
      in >> row.key >> row.count;
    } else if (kind == "w") {
      WindowSum& row = sum_rows.emplace_back();
      in >> row.key >> row.start >> row.sum;
    } else {
      std::string identity;
      in >> identity;
      identities.insert(identity);
    }
  }
  ASSERT_FALSE(count_rows.empty() || sum_rows.empty() || identities.empty()) << path;
  counts.adopt(std::move(count_rows), identities);
  many.adopt(std::move(many_rows), identities);
  sums.adopt(std::move(sum_rows), std::move(identities));
}

struct Version {
  const char* folder;
  Form form;
};
class GoldenCheckpoint : public Golden, public ::testing::WithParamInterface<Version> {};

TEST_P(GoldenCheckpoint, IsRestored) {
  const std::string golden = std::string(WEIR_SOURCE_DIR) + "/tests/golden/" + GetParam().folder;
  std::filesystem::copy(golden + "/checkpoints", directory_,
                        std::filesystem::copy_options::recursive);
  ASSERT_NO_FATAL_FAILURE(read_committed(golden + "/committed.txt", *counts_, *sums_, *many_));
  const std::size_t rows_before = counts_->rows().size();
  expect_state(run(GetParam().form, dud()), JobState::kFinished);
  EXPECT_LT(rows_before, counts_->rows().size());
  EXPECT_EQ(counts_->rows(), expected());
  EXPECT_EQ(sums_->rows(), expected_sums(source_, 200, 100));
  EXPECT_EQ(many_->rows(),
            GetParam().form.is_incremental ? expected_of_many() : std::vector<Counted>());
}

INSTANTIATE_TEST_SUITE_P(
    Versions, GoldenCheckpoint,
    ::testing::Values(Version{"0.1-state-file-1", {.is_incremental = false}},
                      Version{"0.1-state-file-2", {}}, Version{"0.1-state-file-3", {}},
                      Version{"0.1-state-file-4", {}}, Version{"0.1-state-file-5", {}},
                      Version{"0.1-rocksdb-1", {.backend = StateBackendType::kRocksDb}},
                      Version{"0.1-rocksdb-2", {.backend = StateBackendType::kRocksDb}}),
    [](const auto& version) {
      std::string name = version.param.folder;
      std::replace_if(name.begin(), name.end(), [](char c) { return c == '.' || c == '-'; }, '_');
      return name;
    });

/// WEIR_GOLDEN_WRITE=<new folder>: keeps what a new version has to read, of the backend that
/// WEIR_STATE_BACKEND names.
TEST_F(Golden, AJobStopsInTheMiddle) {
  const Form form =
      is_on_rocksdb() ? Form{.backend = StateBackendType::kRocksDb} : Form{.is_compressed = true};
  expect_state(run(form, Bomb::stopping(kStopsAt)), JobState::kSuspended);
  EXPECT_LT(counts_->rows().size(), expected().size());
  const char* to = std::getenv("WEIR_GOLDEN_WRITE");
  if (to == nullptr) {
    return;
  }
  ASSERT_TRUE(std::filesystem::create_directory(to));
  std::filesystem::copy(directory_, std::string(to) + "/checkpoints",
                        std::filesystem::copy_options::recursive);
  write_committed(std::string(to) + "/committed.txt", *counts_, *sums_, *many_);
}

}  // namespace
}  // namespace weir::recovery
