#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "operators/operator_harness.h"
#include "weir/window_operator.h"

/// What the tests of windows share: a job over small events, and Flink's rules as a model.
namespace weir::operators::test::window_test {

/// `id` tells records apart, so that a result shows exactly which ones it is made of.
struct Event {
  std::int64_t key = 0;
  std::int64_t id = 0;
  friend auto operator<=>(const Event&, const Event&) = default;
};
struct NamedEvent {
  std::string key;
  std::int64_t id = 0;
};

/// The sorted ids of all records.
template <class T>
struct IdsOf {
  using Accumulator = std::vector<std::int64_t>;
  Accumulator create_accumulator() const { return {}; }
  void add(Accumulator& into, const T& record) const { into.push_back(record.id); }
  std::vector<std::int64_t> get_result(const Accumulator& from) const {
    std::vector<std::int64_t> sorted = from;
    std::sort(sorted.begin(), sorted.end());
    return sorted;
  }
  void merge(Accumulator& into, const Accumulator& from) const {
    into.insert(into.end(), from.begin(), from.end());
  }
};

template <class K>
struct Pane {
  K key{};
  TimestampMs start = 0;
  std::vector<std::int64_t> ids;
  friend auto operator<=>(const Pane&, const Pane&) = default;
  friend bool operator==(const Pane&, const Pane&) = default;
};

struct MakePane {
  template <class K>
  Pane<K> operator()(const K& key, const TimeWindow& window, std::vector<std::int64_t> ids) const {
    return {key, window.start, std::move(ids)};
  }
};

struct Windows {
  std::int64_t size;
  std::int64_t slide;
  std::int64_t offset = 0;
  std::int64_t lateness = 0;
  bool has_late_output = false;
};

template <class T, class K>
WindowOperatorSpec spec_of(const Windows& windows) {
  WindowOperatorSpec spec;
  spec.windows = {DurationMs(windows.size), DurationMs(windows.slide), DurationMs(windows.offset)};
  spec.allowed_lateness = DurationMs(windows.lateness);
  spec.has_late_output = windows.has_late_output;
  spec.keys = std::make_shared<detail::TypedKeySelector<T, K T::*>>(&T::key);
  spec.functions =
      std::make_shared<detail::TypedWindowFunctions<K, T, IdsOf<T>, Pane<K>, MakePane>>(IdsOf<T>(),
                                                                                        MakePane());
  return spec;
}

/// Flink's rules, word by word (flink-semantics 5.2), without slices, batches or state.
class Model {
 public:
  struct Result {
    Pane<std::int64_t> pane;
    TimestampMs time;
    auto operator<=>(const Result&) const = default;
  };

  explicit Model(Windows windows) : windows_(windows) {}

  void record(const Event& event, TimestampMs time) {
    bool is_skipped_by_all = true;
    for (TimestampMs start = time - windows_.size + 1; start <= time; ++start) {
      if ((start - windows_.offset) % windows_.slide != 0) {
        continue;
      }
      const TimestampMs max_timestamp = start + windows_.size - 1;
      if (max_timestamp + windows_.lateness <= watermark_) {
        continue;  // late for this window
      }
      is_skipped_by_all = false;
      std::vector<std::int64_t>& contents = contents_[{start, event.key}];
      contents.push_back(event.id);
      if (max_timestamp <= watermark_) {
        fire(start, event.key, contents);
      }
    }
    if (is_skipped_by_all && time + windows_.lateness <= watermark_) {
      late.push_back(event);
    }
  }
  void watermark(TimestampMs watermark) {
    const TimestampMs before = watermark_;
    watermark_ = std::max(watermark_, watermark);
    for (auto& [pane, contents] : contents_) {
      const TimestampMs max_timestamp = pane.first + windows_.size - 1;
      if (max_timestamp > before && max_timestamp <= watermark_) {
        fire(pane.first, pane.second, contents);
      }
    }
    std::erase_if(contents_, [&](const auto& entry) {
      return entry.first.first + windows_.size - 1 + windows_.lateness <= watermark_;
    });
  }

  std::vector<Result> results;
  std::vector<Event> late;

 private:
  void fire(TimestampMs start, std::int64_t key, std::vector<std::int64_t> ids) {
    std::sort(ids.begin(), ids.end());
    results.push_back({{key, start, std::move(ids)}, start + windows_.size - 1});
  }

  const Windows windows_;
  std::map<std::pair<TimestampMs, std::int64_t>, std::vector<std::int64_t>> contents_;
  TimestampMs watermark_ = kMinTimestamp / 2;
};

inline std::vector<Model::Result> sorted(std::vector<Model::Result> results) {
  std::sort(results.begin(), results.end());
  return results;
}
inline std::vector<Model::Result> take_sorted(OperatorHarness& harness) {
  std::vector<Model::Result> results;
  for (Emitted<Pane<std::int64_t>>& emitted : harness.out().take<Pane<std::int64_t>>()) {
    results.push_back({std::move(emitted.record), emitted.time});
  }
  return sorted(std::move(results));
}

class WindowOperatorTest : public ::testing::Test {
 protected:
  /// A window operator over Events; `subtask` of `parallelism`.
  std::unique_ptr<OperatorHarness> make(const Windows& windows, int subtask = 0,
                                        int parallelism = 1) {
    spec_ = spec_of<Event, std::int64_t>(windows);
    return std::make_unique<OperatorHarness>(
        make_window_operator(spec_),
        OperatorHarness::Options{.subtask = subtask, .parallelism = parallelism});
  }
  void feed(OperatorHarness& harness, std::vector<Emitted<Event>> records) {
    harness.process(std::move(records), spec_.keys.get());
  }
  using Panes = std::vector<Emitted<Pane<std::int64_t>>>;

  WindowOperatorSpec spec_;
  SnapshotDirectory directory_;
};

struct Step {
  std::vector<Emitted<Event>> records;
  TimestampMs watermark = 0;
};

inline std::vector<Step> random_steps(std::mt19937_64& random, int count) {
  const auto below = [&](std::int64_t bound) {
    return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(bound));
  };
  std::vector<Step> steps;
  TimestampMs now = -100;
  std::int64_t id = 0;
  for (int i = 0; i < count; ++i) {
    Step step;
    const bool is_one_slice = below(4) == 0;
    const TimestampMs base = now + below(10);
    for (std::int64_t n = below(12); n > 0; --n) {
      step.records.push_back({{below(5), id++}, is_one_slice ? base : now - 30 + below(60)});
    }
    now += below(10) == 0 ? below(100) : below(8);
    step.watermark = now - 10;
    steps.push_back(std::move(step));
  }
  return steps;
}

inline Windows random_windows(std::mt19937_64& random) {
  const auto below = [&](std::int64_t bound) {
    return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(bound));
  };
  Windows windows{.size = 1 + below(30), .slide = 1};
  windows.slide = below(3) == 0 ? windows.size : 1 + below(windows.size + 10);
  windows.offset = below(2 * windows.slide - 1) - (windows.slide - 1);
  windows.lateness = below(2) == 0 ? 0 : below(40);
  windows.has_late_output = below(2) == 0;
  return windows;
}

inline std::string text_of(const Windows& windows) {
  return "size " + std::to_string(windows.size) + " slide " + std::to_string(windows.slide) +
         " offset " + std::to_string(windows.offset) + " lateness " +
         std::to_string(windows.lateness);
}

inline void expect_same(const Windows& windows, const Model& model,
                        std::vector<Model::Result> results, std::vector<Event> late,
                        std::int64_t dropped) {
  EXPECT_EQ(sorted(std::move(results)), sorted(model.results)) << text_of(windows);
  if (windows.has_late_output) {
    std::vector<Event> expected = model.late;
    std::sort(expected.begin(), expected.end());
    std::sort(late.begin(), late.end());
    EXPECT_EQ(late, expected) << text_of(windows);
  } else {
    EXPECT_EQ(dropped, static_cast<std::int64_t>(model.late.size())) << text_of(windows);
  }
}

/// Collects what all subtasks emit, over restarts.
struct Collected {
  std::vector<Model::Result> results;
  std::vector<Event> late;
  std::int64_t dropped = 0;

  void take(OperatorHarness& harness) {
    for (Emitted<Pane<std::int64_t>>& emitted : harness.out().take<Pane<std::int64_t>>()) {
      results.push_back({std::move(emitted.record), emitted.time});
    }
    for (Emitted<Event>& emitted : harness.side(0).take<Event>()) {
      late.push_back(emitted.record);
    }
  }
};

}  // namespace weir::operators::test::window_test
