#include "operators/window_operator.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "operators/operator_harness.h"

namespace weir::operators::test {
namespace {

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

std::vector<Model::Result> sorted(std::vector<Model::Result> results) {
  std::sort(results.begin(), results.end());
  return results;
}
std::vector<Model::Result> take_sorted(OperatorHarness& harness) {
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

TEST_F(WindowOperatorTest, ATumblingWindowFiresOnceWhenTheWatermarkReachesItsLastTime) {
  auto harness = make({.size = 10, .slide = 10});
  harness->open();
  feed(*harness, {{{1, 100}, 0}, {{1, 101}, 9}, {{2, 102}, 5}, {{1, 103}, 10}});
  harness->watermark(8);
  EXPECT_TRUE(harness->out().take<Pane<std::int64_t>>().empty());
  harness->watermark(9);
  EXPECT_EQ(take_sorted(*harness),
            (std::vector<Model::Result>{{{1, 0, {100, 101}}, 9}, {{2, 0, {102}}, 9}}));
  harness->watermark(kMaxTimestamp);
  EXPECT_EQ(take_sorted(*harness), (std::vector<Model::Result>{{{1, 10, {103}}, 19}}));
}

TEST_F(WindowOperatorTest, ALateRecordIsDroppedAndCounted) {
  auto harness = make({.size = 10, .slide = 10});
  harness->open();
  harness->watermark(9);
  feed(*harness, {{{1, 100}, 9}, {{1, 101}, 10}, {{1, 102}, -20}});
  EXPECT_EQ(harness->counter("numLateRecordsDropped"), 2);
  harness->watermark(100);
  EXPECT_EQ(take_sorted(*harness), (std::vector<Model::Result>{{{1, 10, {101}}, 19}}));
}

TEST_F(WindowOperatorTest, LateRecordsGoToTheirSideOutputWithTheirTime) {
  auto harness = make({.size = 10, .slide = 10, .has_late_output = true});
  harness->open();
  harness->watermark(25);
  feed(*harness, {{{1, 100}, 19}, {{1, 101}, 20}});
  EXPECT_EQ(harness->side(0).take<Event>(), (std::vector<Emitted<Event>>{{{1, 100}, 19}}));
  EXPECT_EQ(harness->counter("numLateRecordsDropped"), 0);
}

TEST_F(WindowOperatorTest, ALateButAllowedRecordFiresAgainAtOnceWithTheFullResult) {
  auto harness = make({.size = 10, .slide = 10, .lateness = 5});
  harness->open();
  feed(*harness, {{{1, 100}, 3}, {{2, 200}, 3}});
  harness->watermark(12);
  (void)take_sorted(*harness);
  feed(*harness, {{{1, 101}, 4}, {{1, 102}, 5}});
  // Once per record, and not for the other key.
  EXPECT_EQ(harness->out().take<Pane<std::int64_t>>(),
            (Panes{{{1, 0, {100, 101}}, 9}, {{1, 0, {100, 101, 102}}, 9}}));
  harness->watermark(13);
  feed(*harness, {{{1, 103}, 5}});
  EXPECT_EQ(harness->out().take<Pane<std::int64_t>>().size(), 1U);
  harness->watermark(14);  // 9 + 5: the window is gone
  feed(*harness, {{{1, 104}, 5}});
  EXPECT_TRUE(harness->out().take<Pane<std::int64_t>>().empty());
  EXPECT_EQ(harness->counter("numLateRecordsDropped"), 1);
}

TEST_F(WindowOperatorTest, AJumpOfTheWatermarkFiresAllWindowsInOrder) {
  auto harness = make({.size = 10, .slide = 5});
  harness->open();
  feed(*harness, {{{1, 100}, 7}, {{1, 101}, 32}});
  harness->watermark(kMaxTimestamp);
  EXPECT_EQ(
      harness->out().take<Pane<std::int64_t>>(),
      (Panes{{{1, 0, {100}}, 9}, {{1, 5, {100}}, 14}, {{1, 25, {101}}, 34}, {{1, 30, {101}}, 39}}));
}

TEST_F(WindowOperatorTest, ARecordBetweenTheWindowsVanishes) {
  auto harness = make({.size = 3, .slide = 10});
  harness->open();
  feed(*harness, {{{1, 100}, 5}, {{1, 101}, 2}});
  harness->watermark(kMaxTimestamp - 1);
  EXPECT_EQ(take_sorted(*harness), (std::vector<Model::Result>{{{1, 0, {101}}, 2}}));
  EXPECT_EQ(harness->counter("numLateRecordsDropped"), 0);
}

TEST_F(WindowOperatorTest, HoldsStateOnlyForWindowsThatCanStillFire) {
  auto harness = make({.size = 10, .slide = 5});
  harness->open();
  for (TimestampMs time = 0; time < 1000; ++time) {
    feed(*harness, {{{time % 7, time}, time}});
    harness->watermark(time - 1);
  }
  EXPECT_LE(harness->entry_count(), 7U * 3U);
  harness->watermark(kMaxTimestamp);
  EXPECT_EQ(harness->entry_count(), 0U);
}

TEST_F(WindowOperatorTest, StopsFiringWhileItsOutputIsFullAndGoesOnLater) {
  auto harness = make({.size = 10, .slide = 10});
  harness->open();
  for (TimestampMs window = 0; window < 5; ++window) {
    feed(*harness, {{{1, window}, window * 10}});
  }
  harness->out().set_room(2);
  ASSERT_TRUE(harness->op().process_watermark(kMaxTimestamp).ok());
  EXPECT_TRUE(harness->op().is_busy());
  EXPECT_EQ(harness->out().take<Pane<std::int64_t>>().size(), 2U);
  harness->out().set_room(100);
  ASSERT_TRUE(harness->op().resume().ok());
  EXPECT_FALSE(harness->op().is_busy());
  EXPECT_EQ(harness->out().take<Pane<std::int64_t>>().size(), 3U);
}

TEST_F(WindowOperatorTest, ABigWindowLeavesInPortionsAndEveryKeyOnce) {
  constexpr std::int64_t kKeys = 100'000;
  auto harness = make({.size = 10, .slide = 10});
  harness->open();
  std::vector<Emitted<Event>> records;
  for (std::int64_t key = 0; key < kKeys; ++key) {
    records.push_back({{key, key}, 5});
  }
  feed(*harness, std::move(records));
  harness->out().set_room(3);
  ASSERT_TRUE(harness->op().process_watermark(9).ok());
  std::vector<Model::Result> results;
  std::size_t calls = 1;
  for (;; ++calls) {
    const std::vector<Model::Result> portion = take_sorted(*harness);
    // No more than a few batches beyond a full output.
    EXPECT_LE(portion.size(), 8192U);
    results.insert(results.end(), portion.begin(), portion.end());
    if (!harness->op().is_busy()) {
      break;
    }
    harness->out().make_room();
    ASSERT_TRUE(harness->op().resume().ok());
  }
  EXPECT_GT(calls, 10U);
  std::sort(results.begin(), results.end());
  ASSERT_EQ(results.size(), static_cast<std::size_t>(kKeys));
  for (std::int64_t key = 0; key < kKeys; ++key) {
    ASSERT_EQ(results[static_cast<std::size_t>(key)], (Model::Result{{key, 0, {key}}, 9}));
  }
  EXPECT_EQ(harness->entry_count(), 0U);
}

TEST_F(WindowOperatorTest, ACallEmitsABoundedNumberOfResultsEvenIfThereIsRoom) {
  auto harness = make({.size = 10, .slide = 10});
  harness->open();
  std::vector<Emitted<Event>> records;
  for (std::int64_t key = 0; key < 100'000; ++key) {
    records.push_back({{key, key}, 5});
  }
  feed(*harness, std::move(records));
  ASSERT_TRUE(harness->op().process_watermark(kMaxTimestamp).ok());
  EXPECT_TRUE(harness->op().is_busy());
  EXPECT_LE(harness->out().take<Pane<std::int64_t>>().size(), 40'000U);
}

TEST_F(WindowOperatorTest, ARecordWithoutEventTimeIsAnErrorThatSaysSo) {
  auto harness = make({.size = 10, .slide = 10});
  harness->open();
  BatchPtr batch = Batch::make<Event>();
  batch->push_back(Event{1, 1}, kMinTimestamp);
  spec_.keys->hash(*batch);
  const Status status = harness->op().process_batch(std::move(batch), 0);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("with_timestamp_assigner"), std::string::npos);
}

TEST_F(WindowOperatorTest, AnEventTimeNoWindowCanHoldIsAnError) {
  auto harness = make({.size = 10, .slide = 10});
  harness->open();
  for (const TimestampMs time : {kMinTimestamp + 1, kMaxTimestamp, kMaxTimestamp - 3}) {
    BatchPtr batch = Batch::make<Event>();
    batch->push_back(Event{1, 1}, 5);
    batch->push_back(Event{1, 1}, time);
    spec_.keys->hash(*batch);
    EXPECT_FALSE(harness->op().process_batch(std::move(batch), 0).ok());
  }
}

TEST(WindowOperatorKeys, StringsWorkLikeNumbers) {
  const auto spec = spec_of<NamedEvent, std::string>({.size = 10, .slide = 5, .lateness = 5});
  OperatorHarness harness(make_window_operator(spec));
  harness.open();
  const std::string long_key(50, 'k');
  harness.process<NamedEvent>({{{long_key, 1}, 3}, {{"b", 2}, 12}, {{long_key, 3}, 4}},
                              spec.keys.get());
  harness.watermark(9);
  auto panes = harness.out().take<Pane<std::string>>();
  ASSERT_EQ(panes.size(), 2U);  // [-5, 5) and [0, 10)
  EXPECT_EQ(panes[1].record, (Pane<std::string>{long_key, 0, {1, 3}}));
  harness.process<NamedEvent>({{{"b", 4}, 8}}, spec.keys.get());
  panes = harness.out().take<Pane<std::string>>();
  ASSERT_EQ(panes.size(), 1U);
  EXPECT_EQ(panes[0].record, (Pane<std::string>{"b", 0, {4}}));
}

// --- Random inputs against the model ------------------------------------------------------------

struct Step {
  std::vector<Emitted<Event>> records;
  TimestampMs watermark = 0;
};

std::vector<Step> random_steps(std::mt19937_64& random, int count) {
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

Windows random_windows(std::mt19937_64& random) {
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

std::string text_of(const Windows& windows) {
  return "size " + std::to_string(windows.size) + " slide " + std::to_string(windows.slide) +
         " offset " + std::to_string(windows.offset) + " lateness " +
         std::to_string(windows.lateness);
}

void expect_same(const Windows& windows, const Model& model, std::vector<Model::Result> results,
                 std::vector<Event> late, std::int64_t dropped) {
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

TEST_F(WindowOperatorTest, AgreesWithFlinksRulesOnRandomInput) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    std::mt19937_64 random(seed);
    const Windows windows = random_windows(random);
    auto harness = make(windows);
    harness->open();
    Model model(windows);
    Collected collected;
    for (const Step& step : random_steps(random, 30)) {
      for (const Emitted<Event>& event : step.records) {
        model.record(event.record, event.time);
      }
      feed(*harness, step.records);
      model.watermark(step.watermark);
      harness->watermark(step.watermark);
      collected.take(*harness);
    }
    collected.dropped = harness->counter("numLateRecordsDropped");
    expect_same(windows, model, collected.results, collected.late, collected.dropped);
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
}

/// Runs the steps on `parallelism` subtasks that change at random points, through snapshots.
class Rescaled {
 public:
  Rescaled(const WindowOperatorSpec& spec, SnapshotDirectory& directory)
      : spec_(spec), directory_(directory) {}

  void start(int parallelism) {
    std::vector<Snapshot> snapshots;
    for (const auto& harness : subtasks_) {
      collected.dropped += harness->counter("numLateRecordsDropped");
      snapshots.push_back(harness->snapshot(directory_));
    }
    subtasks_.clear();
    for (int subtask = 0; subtask < parallelism; ++subtask) {
      subtasks_.push_back(std::make_unique<OperatorHarness>(
          make_window_operator(spec_),
          OperatorHarness::Options{.subtask = subtask, .parallelism = parallelism}));
      if (snapshots.empty()) {
        subtasks_.back()->open();
      } else {
        subtasks_.back()->open_from(snapshots);
      }
    }
  }
  void feed(const std::vector<Emitted<Event>>& records) {
    std::vector<std::vector<Emitted<Event>>> dealt(subtasks_.size());
    for (const Emitted<Event>& event : records) {
      const int group = key_group_of(key_hash(event.record.key), 128);
      dealt[static_cast<std::size_t>(
                subtask_of_key_group(group, 128, static_cast<int>(subtasks_.size())))]
          .push_back(event);
    }
    for (std::size_t i = 0; i < subtasks_.size(); ++i) {
      subtasks_[i]->process(dealt[i], spec_.keys.get());
    }
  }
  OperatorHarness& subtask(std::size_t i) { return *subtasks_[i]; }
  std::size_t size() const { return subtasks_.size(); }
  void take() {
    for (const auto& harness : subtasks_) {
      collected.take(*harness);
    }
  }
  void finish() {
    for (const auto& harness : subtasks_) {
      collected.dropped += harness->counter("numLateRecordsDropped");
    }
  }

  Collected collected;

 private:
  const WindowOperatorSpec& spec_;
  SnapshotDirectory& directory_;
  std::vector<std::unique_ptr<OperatorHarness>> subtasks_;
};

/// Restores of RocksDB are dear.
std::uint64_t seeds(std::uint64_t on_the_heap) {
  return default_backend() == BackendKind::kRocksDb ? on_the_heap / 10 : on_the_heap;
}

TEST_F(WindowOperatorTest, ARestoreAtAnotherParallelismChangesNothing) {
  for (std::uint64_t seed = 0; seed < seeds(60); ++seed) {
    std::mt19937_64 random(seed);
    const Windows windows = random_windows(random);
    spec_ = spec_of<Event, std::int64_t>(windows);
    Rescaled job(spec_, directory_);
    job.start(1 + static_cast<int>(random() % 3));
    Model model(windows);
    for (const Step& step : random_steps(random, 30)) {
      for (const Emitted<Event>& event : step.records) {
        model.record(event.record, event.time);
      }
      job.feed(step.records);
      model.watermark(step.watermark);
      for (std::size_t i = 0; i < job.size(); ++i) {
        job.subtask(i).watermark(step.watermark);
      }
      job.take();
      if (random() % 8 == 0) {
        job.start(1 + static_cast<int>(random() % 4));
      }
    }
    job.finish();
    expect_same(windows, model, job.collected.results, job.collected.late, job.collected.dropped);
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
}

// After a rescale the key groups of one subtask may have come differently far. Each keeps its own
// watermark: no window fires twice for it, and nothing that was late is let in again.
TEST_F(WindowOperatorTest, KeyGroupsKeepTheirOwnWatermarksOverARescale) {
  for (std::uint64_t seed = 0; seed < seeds(80); ++seed) {
    std::mt19937_64 random(seed);
    const Windows windows = random_windows(random);
    spec_ = spec_of<Event, std::int64_t>(windows);
    Rescaled job(spec_, directory_);
    int parallelism = 2 + static_cast<int>(random() % 3);
    job.start(parallelism);
    // One model per key: each has seen exactly the watermarks of its key group.
    std::map<std::int64_t, Model> models;
    for (std::int64_t key = 0; key < 5; ++key) {
      models.emplace(key, Model(windows));
    }
    const auto subtask_of = [&](std::int64_t key) {
      return static_cast<std::size_t>(
          subtask_of_key_group(key_group_of(key_hash(key), 128), 128, parallelism));
    };
    for (const Step& step : random_steps(random, 40)) {
      for (const Emitted<Event>& event : step.records) {
        models.at(event.record.key).record(event.record, event.time);
      }
      job.feed(step.records);
      for (std::size_t i = 0; i < job.size(); ++i) {
        // Subtasks drift apart by up to 40 ms; a watermark may also be below the restored one.
        const TimestampMs watermark = step.watermark - static_cast<TimestampMs>(random() % 40);
        for (auto& [key, model] : models) {
          if (subtask_of(key) == i) {
            model.watermark(watermark);
          }
        }
        job.subtask(i).watermark(watermark);
      }
      job.take();
      if (random() % 8 == 0) {
        parallelism = 1 + static_cast<int>(random() % 4);
        job.start(parallelism);
      }
    }
    job.finish();
    Model all(windows);
    for (auto& [key, model] : models) {
      all.results.insert(all.results.end(), model.results.begin(), model.results.end());
      all.late.insert(all.late.end(), model.late.begin(), model.late.end());
    }
    expect_same(windows, all, job.collected.results, job.collected.late, job.collected.dropped);
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace weir::operators::test
