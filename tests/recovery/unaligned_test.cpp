#include <set>
#include <thread>

#include "checkpoint/store.h"
#include "io/local_file_system.h"
#include "recovery/scenario.h"

namespace weir::recovery {
namespace {

/// Counts as CountPerKey does, but takes its time, so that its input is always full.
class SlowCount : public CountPerKey {
 public:
  explicit SlowCount(std::chrono::microseconds per_event) : per_event_(per_event) {}
  void process_element(const Event& event, Context& context, Collector<Counted>& out) override {
    const auto end = std::chrono::steady_clock::now() + per_event_;
    while (std::chrono::steady_clock::now() < end) {
    }
    CountPerKey::process_element(event, context, out);
  }

 private:
  std::chrono::microseconds per_event_;
};

class UnalignedTest : public RecoveryTest {
 protected:
  UnalignedTest() {
    source_.count = 6'000;
    source_.events_per_checkpoint = 0;  // as fast as it can, so that the channels are full
  }

  Configuration unaligned(int parallelism, DurationMs aligned_timeout = DurationMs(0)) const {
    Configuration settings = configuration(parallelism, 5);
    settings.set(options::kCheckpointInterval, DurationMs(20));
    settings.set(options::kUnalignedCheckpoints, true);
    settings.set(options::kRetainedCheckpoints, 1000);
    if (aligned_timeout.count() > 0) {
      settings.set(options::kAlignedCheckpointTimeout, aligned_timeout);
    }
    return settings;
  }
  /// Two shuffles in a row ahead of a slow operator.
  Result<JobResult> run_slow(const Configuration& settings, const Bomb& bomb,
                             std::chrono::microseconds per_event) const {
    Environment environment(settings);
    events(environment)
        .rebalance()
        .map(bomb)
        .uid("bomb")
        .key_by(&Event::key)
        .process(SlowCount(per_event))
        .uid("count")
        .sink_to(std::make_shared<MemorySink<Counted>>(counts_))
        .uid("counts");
    return environment.execute("recovery");
  }
  std::vector<checkpoint::Manifest> manifests() const {
    LocalFileSystem files;
    std::vector<checkpoint::Manifest> all;
    for (const std::string& path : checkpoint_files("_metadata")) {
      auto manifest = checkpoint::CheckpointStore::load_from(files, path);
      EXPECT_TRUE(manifest.ok()) << manifest.error().message;
      all.push_back(std::move(manifest).value());
    }
    std::sort(all.begin(), all.end(),
              [](const auto& a, const auto& b) { return a.checkpoint < b.checkpoint; });
    return all;
  }
  static std::uint64_t records_under_way(const checkpoint::Manifest& manifest) {
    std::uint64_t records = 0;
    for (const checkpoint::InFlightSnapshot& item : manifest.in_flight) {
      for (const checkpoint::ChannelSnapshot& channel : item.channels) {
        records += channel.record_count;
      }
    }
    return records;
  }
  std::uint64_t most_under_way() const {
    std::uint64_t most = 0;
    for (const checkpoint::Manifest& manifest : manifests()) {
      most = std::max(most, records_under_way(manifest));
    }
    return most;
  }
};

TEST_F(UnalignedTest, WhatABarrierOvertookIsReplayedOnce) {
  const auto result =
      run_slow(unaligned(2), Bomb::throwing(3'000, 3), std::chrono::microseconds(50));
  expect_state(result, JobState::kFinished);
  EXPECT_EQ(result.value().restarts, 3);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
  EXPECT_GT(most_under_way(), 100U) << "nothing was overtaken, so this test shows nothing";
}

TEST_F(UnalignedTest, AlignedCheckpointsHoldNothingUnderWay) {
  Configuration settings = unaligned(2);
  settings.set(options::kUnalignedCheckpoints, false);
  expect_state(run_slow(settings, Bomb::throwing(3'000), std::chrono::microseconds(20)),
               JobState::kFinished);
  EXPECT_EQ(most_under_way(), 0U);
}

TEST_F(UnalignedTest, ATimeoutTurnsAlignedIntoUnaligned) {
  const auto result = run_slow(unaligned(2, DurationMs(5)), Bomb::throwing(3'000, 2),
                               std::chrono::microseconds(50));
  expect_state(result, JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
  EXPECT_GT(most_under_way(), 100U);
}

TEST_F(UnalignedTest, BelowTheTimeoutCheckpointsStayAligned) {
  expect_state(run_slow(unaligned(2, DurationMs(600'000)), Bomb::throwing(3'000),
                        std::chrono::microseconds(20)),
               JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
  EXPECT_EQ(most_under_way(), 0U);
}

TEST_F(UnalignedTest, WindowsAndTheirWatermarksAreTheSameAsAligned) {
  source_.count = 20'000;
  Configuration settings = unaligned(3);
  settings.set(options::kCheckpointInterval, DurationMs(10));
  Environment environment(settings);
  events(environment)
      .rebalance()
      .map(Bomb::throwing(9'000, 3))
      .uid("bomb")
      .map([](const Event& event) {
        if (event.number % 64 == 0) {
          std::this_thread::sleep_for(std::chrono::microseconds(200));
        }
        return event;
      })
      .uid("slow")
      .key_by(&Event::key)
      .window(SlidingEventTimeWindows::of(DurationMs(100), DurationMs(50)))
      .aggregate(SumOfNumbers(), [](std::int64_t key, const TimeWindow& window,
                                    std::int64_t sum) { return WindowSum{key, window.start, sum}; })
      .uid("sums")
      .sink_to(std::make_shared<MemorySink<WindowSum>>(sums_))
      .uid("sums-out");
  const auto result = environment.execute("recovery");
  expect_state(result, JobState::kFinished);
  EXPECT_EQ(result.value().restarts, 3);
  EXPECT_EQ(sums_->rows(), expected_sums(source_, 100, 50));
}

/// A sink in a task of its own: records that a barrier overtook were queued ahead of it, and are
/// written into the epoch behind it, in the run and in every restore.
TEST_F(UnalignedTest, ATwoPhaseSinkSeesItsEpochsInOrder) {
  const Configuration settings = unaligned(2);
  const Bomb bomb = Bomb::throwing(2'500, 3);
  Environment environment(settings);
  DataStream<Counted> slow = events(environment)
                                 .key_by(&Event::key)
                                 .process(CountPerKey())
                                 .uid("count")
                                 .rebalance()
                                 .map([bomb](const Counted& counted) {
                                   std::this_thread::sleep_for(std::chrono::microseconds(20));
                                   (void)bomb(Event{counted.count * 10 + counted.key, 0, 0});
                                   return counted;
                                 });
  slow.uid("slow").set_parallelism(1);
  slow.sink_to(std::make_shared<MemorySink<Counted>>(counts_)).uid("counts").set_parallelism(1);
  const auto result = environment.execute("recovery");
  expect_state(result, JobState::kFinished);
  EXPECT_EQ(result.value().restarts, 3);
  EXPECT_GT(most_under_way(), 50U);
  EXPECT_GT(counts_->commits(), 5U);
  std::map<std::int64_t, std::int64_t> count_of_key;
  for (const Counted& row : counts_->rows_in_commit_order()) {
    ASSERT_EQ(row.count, ++count_of_key[row.key]) << "key " << row.key;
  }
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

/// The documented fallback: pointwise and broadcast edges align, and so does every other input of
/// the operator behind them.
TEST_F(UnalignedTest, PointwiseAndBroadcastEdgesAlign) {
  source_.count = 2'000;
  Environment environment(unaligned(2));
  DataStream<Event> all = events(environment);
  const auto slowly = [](const Event& event) {
    std::this_thread::sleep_for(std::chrono::microseconds(20));
    return event;
  };
  DataStream<Event> everywhere = all.broadcast().map(slowly);
  everywhere.uid("everywhere");
  DataStream<Event> pointwise = all.rescale().map(slowly);
  pointwise.uid("pointwise");
  DataStream<Event> both = all.rebalance().union_with(all.broadcast()).map(slowly);
  both.uid("both");
  const auto count = [&](DataStream<Event> stream, const std::string& name,
                         const std::shared_ptr<Target<Counted>>& target) {
    DataStream<Counted> counts = stream.key_by(&Event::key).process(CountPerKey());
    counts.uid(name);
    counts.sink_to(std::make_shared<MemorySink<Counted>>(target)).uid(name + "-out");
  };
  const auto of_broadcast = std::make_shared<Target<Counted>>();
  const auto of_both = std::make_shared<Target<Counted>>();
  count(everywhere, "count-everywhere", of_broadcast);
  count(pointwise, "count-pointwise", counts_);
  count(both, "count-both", of_both);
  expect_state(environment.execute("recovery"), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
  EXPECT_EQ(of_broadcast->rows().size(), 2U * 2'000U);
  EXPECT_EQ(of_both->rows().size(), 3U * 2'000U);
  std::set<std::string> edges;
  for (const checkpoint::Manifest& manifest : manifests()) {
    for (const checkpoint::InFlightSnapshot& item : manifest.in_flight) {
      edges.insert(item.edge);
    }
  }
  EXPECT_EQ(edges, (std::set<std::string>{"everywhere -> count-everywhere",
                                          "pointwise -> count-pointwise", "both -> count-both"}));
}

TEST_F(UnalignedTest, AnExchangeThatIsGoneIsRefusedWithTheMend) {
  source_.count = 10'000;
  expect_state(run_slow(unaligned(2), dud(), std::chrono::microseconds(60)), JobState::kFinished);
  std::vector<checkpoint::Manifest> all = manifests();
  const auto chosen = std::max_element(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return records_under_way(a) < records_under_way(b);
  });
  ASSERT_GT(records_under_way(*chosen), 50U);
  Configuration settings = unaligned(2);
  settings.set(options::kJobId, "changed");
  settings.set(options::kRecoveryPath,
               directory_ + "/" + chosen->job_id + "/chk-" + std::to_string(chosen->checkpoint));
  Environment environment(settings);
  events(environment)  // without the rebalance: the exchange is gone
      .map(dud())
      .uid("bomb")
      .key_by(&Event::key)
      .process(CountPerKey())
      .uid("count")
      .sink_to(std::make_shared<MemorySink<Counted>>(counts_))
      .uid("counts");
  const auto result = environment.execute("recovery");
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.error().message, ::testing::AllOf(::testing::HasSubstr("events -> bomb"),
                                                       ::testing::HasSubstr("take a savepoint")));
}

/// Every checkpoint of a run with records under way, restored at every parallelism: G2, G4, N9.
TEST_F(UnalignedTest, G2_G4_RecordsUnderWayFindTheirSubtaskAtAnotherParallelism) {
  source_.count = 3'000;
  expect_state(run_slow(unaligned(3), dud(), std::chrono::microseconds(60)), JobState::kFinished);
  std::vector<checkpoint::Manifest> all = manifests();
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return records_under_way(a) > records_under_way(b);
  });
  ASSERT_FALSE(all.empty());
  ASSERT_GT(records_under_way(all[0]), 100U);
  const std::size_t choices = std::min<std::size_t>(all.size(), 3);
  const std::string first_directory = directory_;
  for (const int parallelism : {1, 2, 3, 4, 7}) {
    const checkpoint::Manifest& chosen = all[static_cast<std::size_t>(parallelism) % choices];
    counts_ = std::make_shared<Target<Counted>>();
    Configuration settings = unaligned(parallelism);
    settings.set(options::kJobId, "rescaled-" + std::to_string(parallelism));
    settings.set(options::kRecoveryPath, first_directory + "/" + chosen.job_id + "/chk-" +
                                             std::to_string(chosen.checkpoint));
    expect_state(run_slow(settings, dud(), std::chrono::microseconds(5)), JobState::kFinished);
    // The rows committed before the snapshot went to the first run's target.
    const std::vector<Counted> rows = counts_->rows();
    std::map<std::int64_t, std::int64_t> next_of_key;
    for (const Counted& row : rows) {
      const auto [next, is_new] = next_of_key.try_emplace(row.key, row.count);
      ASSERT_EQ(next->second, row.count) << "key " << row.key << ", parallelism " << parallelism;
      ++next->second;
    }
    std::map<std::int64_t, std::int64_t> last_of_key;
    for (const Counted& row : expected_counts(source_)) {
      last_of_key[row.key] = row.count;
    }
    for (const auto& [key, next] : next_of_key) {
      EXPECT_EQ(next - 1, last_of_key.at(key)) << "key " << key << ", parallelism " << parallelism;
    }
  }
}

}  // namespace
}  // namespace weir::recovery
