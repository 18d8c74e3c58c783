#include "operators/window_operator.h"

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "operators/window_test_support.h"

namespace weir::operators::test {
namespace {

using namespace window_test;

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
