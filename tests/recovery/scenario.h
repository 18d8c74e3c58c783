#pragma once

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "recovery/memory_sink.h"
#include "recovery/rewinding_source.h"
#include "weir/config_options.h"
#include "weir/environment.h"
#include "weir/rocksdb_options.h"

namespace weir::recovery {

/// One running count: the n-th event of its key.
struct Counted {
  std::int64_t key = 0;
  std::int64_t count = 0;
  friend auto operator<=>(const Counted&, const Counted&) = default;
};
struct WindowSum {
  std::int64_t key = 0;
  std::int64_t start = 0;
  std::int64_t sum = 0;
  friend auto operator<=>(const WindowSum&, const WindowSum&) = default;
};

/// Emits 1, 2, 3, ... per key: a lost event leaves a gap at the end, a doubled one a number too
/// many.
class CountPerKey : public KeyedProcessFunction<std::int64_t, Event, Counted> {
 public:
  void open(OpenContext& context) override { count_ = context.value_state<std::int64_t>("count"); }
  void process_element(const Event& event, Context&, Collector<Counted>& out) override {
    std::int64_t& count = count_.mutable_value();
    out.collect(Counted{event.key, ++count});
  }

 private:
  ValueState<std::int64_t> count_;
};

struct SumOfNumbers {
  struct Accumulator {
    std::int64_t sum = 0;
  };
  Accumulator create_accumulator() const { return {}; }
  void add(Accumulator& into, const Event& event) const { into.sum += event.number; }
  std::int64_t get_result(const Accumulator& from) const { return from.sum; }
  void merge(Accumulator& into, const Accumulator& from) const { into.sum += from.sum; }
};

inline std::vector<Counted> expected_counts(const SourceSettings& settings) {
  std::map<std::int64_t, std::int64_t> counts;
  std::vector<Counted> result;
  for (std::int64_t number = 0; number < settings.count; ++number) {
    const Event event = event_of(number, settings);
    result.push_back({event.key, ++counts[event.key]});
  }
  std::sort(result.begin(), result.end());
  return result;
}

inline std::vector<WindowSum> expected_sums(const SourceSettings& settings, std::int64_t size,
                                            std::int64_t slide) {
  std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t> sums;
  for (std::int64_t number = 0; number < settings.count; ++number) {
    const Event event = event_of(number, settings);
    for (std::int64_t start = event.time / slide * slide; start > event.time - size;
         start -= slide) {
      sums[{event.key, start}] += event.number;
    }
  }
  std::vector<WindowSum> result;
  for (const auto& [pane, sum] : sums) {
    result.push_back({pane.first, pane.second, sum});
  }
  return result;
}

/// Does something at given events, a given number of times over all restarts. Copies share it.
class Bomb {
 public:
  Bomb(std::int64_t at_number, int times, std::function<void()> act)
      : state_(std::make_shared<State>()), at_number_(at_number), act_(std::move(act)) {
    state_->left = times;
  }
  static Bomb throwing(std::int64_t at_number, int times = 1) {
    return {at_number, times, [] { throw std::runtime_error("the bomb went off"); }};
  }
  /// What an operator of a service does: SIGTERM.
  static Bomb stopping(std::int64_t at_number) {
    return {at_number, 1, [] { (void)std::raise(SIGTERM); }};
  }
  Event operator()(const Event& event) const {
    if (event.number == at_number_ && state_->left.fetch_sub(1) > 0) {
      ++state_->went_off;
      act_();
    }
    return event;
  }
  int went_off() const { return state_->went_off; }

 private:
  struct State {
    std::atomic<int> left{0};
    std::atomic<int> went_off{0};
  };
  std::shared_ptr<State> state_;
  std::int64_t at_number_;
  std::function<void()> act_;
};

/// A directory for checkpoints and settings for many of them, with quick restarts.
class RecoveryTest : public ::testing::Test {
 protected:
  RecoveryTest() {
    std::string name = std::filesystem::temp_directory_path() / "weir-recovery-XXXXXX";
    directory_ = ::mkdtemp(name.data());
  }
  ~RecoveryTest() override {
    std::filesystem::remove_all(directory_);
    std::filesystem::remove_all(directory_ + "-local");
  }

  /// WEIR_STATE_BACKEND=rocksdb: every test is one of that backend, too.
  static bool is_on_rocksdb() {
    const char* const backend = std::getenv("WEIR_STATE_BACKEND");
    return backend != nullptr && std::string(backend) == "rocksdb";
  }
  Configuration configuration(int parallelism = 2, int restarts = 3) const {
    Configuration settings;
    settings.set(options::kCheckpointDir, directory_);
    settings.set(options::kCheckpointInterval, DurationMs(10));
    settings.set(options::kCheckpointMinPause, DurationMs(0));
    settings.set(options::kParallelism, parallelism);
    settings.set(options::kWorkers, 2);
    settings.set(options::kAutoWatermarkInterval, DurationMs(2));
    settings.set(options::kJobId, "recovery");
    if (restarts == 0) {
      settings.set(options::kRestartStrategy, RestartStrategyType::kDisable);
    } else {
      settings.set(options::kRestartStrategy, RestartStrategyType::kFixedDelay);
      settings.set(options::kFixedDelayAttempts, restarts);
      settings.set(options::kFixedDelay, DurationMs(0));
    }
    if (is_on_rocksdb()) {
      settings.set(options::kStateBackend, StateBackendType::kRocksDb);
      settings.set(options::kRocksDbLocalDir, directory_ + "-local");
      settings.set(options::kRocksDbMemory, SizeBytes{1024 * 1024});
    }
    return settings;
  }

  DataStream<Event> events(Environment& environment) const {
    return environment
        .from_source<Event>(
            std::make_shared<RewindingSource>(source_),
            // Splits are read in turn, sixteen events at a time.
            WatermarkStrategy<Event>::for_bounded_out_of_orderness(DurationMs(source_.splits * 16)),
            "events")
        .uid("events");
  }
  void count_events(Environment& environment, Bomb bomb) const {
    events(environment)
        .map(std::move(bomb))
        .uid("bomb")
        .key_by(&Event::key)
        .process(CountPerKey())
        .uid("count")
        .sink_to(std::make_shared<MemorySink<Counted>>(counts_))
        .uid("counts");
  }
  void sum_windows(Environment& environment, Bomb bomb) const {
    events(environment)
        .map(std::move(bomb))
        .uid("bomb")
        .key_by(&Event::key)
        .window(SlidingEventTimeWindows::of(DurationMs(100), DurationMs(50)))
        .aggregate(SumOfNumbers(),
                   [](std::int64_t key, const TimeWindow& window, std::int64_t sum) {
                     return WindowSum{key, window.start, sum};
                   })
        .uid("sums")
        .sink_to(std::make_shared<MemorySink<WindowSum>>(sums_))
        .uid("sums-out");
  }
  Result<JobResult> run_counts(const Configuration& settings, Bomb bomb) const {
    Environment environment(settings);
    count_events(environment, std::move(bomb));
    return environment.execute("recovery");
  }
  Result<JobResult> run_sums(const Configuration& settings, Bomb bomb) const {
    Environment environment(settings);
    sum_windows(environment, std::move(bomb));
    return environment.execute("recovery");
  }
  static Bomb dud() { return Bomb::throwing(-1); }

  static void expect_state(const Result<JobResult>& result, JobState state) {
    ASSERT_TRUE(result.ok()) << result.error().message;
    EXPECT_EQ(result.value().state, state);
  }

  /// All files of checkpoints whose name contains `part`.
  std::vector<std::string> checkpoint_files(const std::string& part) const {
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_)) {
      if (entry.is_regular_file() && entry.path().string().find("/chk-") != std::string::npos &&
          entry.path().filename().string().find(part) != std::string::npos) {
        paths.push_back(entry.path().string());
      }
    }
    return paths;
  }

  std::string directory_;
  SourceSettings source_;
  std::shared_ptr<Target<Counted>> counts_ = std::make_shared<Target<Counted>>();
  std::shared_ptr<Target<WindowSum>> sums_ = std::make_shared<Target<WindowSum>>();
};

}  // namespace weir::recovery
