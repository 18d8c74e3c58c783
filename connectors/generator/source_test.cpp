#include "generator/source.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <numeric>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "generator/random.h"
#include "generator/rate_limiter.h"

namespace weir::generator {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// Deals splits to readers and keeps what they emit, as the runtime would.
class Host final : public EnumeratorContext, public SourceOutput {
 public:
  Host(weir::Source& source, int parallelism) : source_(source), parallelism_(parallelism) {
    for (int i = 0; i < parallelism; ++i) {
      SourceReaderContext context;
      context.subtask.subtask = i;
      context.subtask.parallelism = parallelism;
      readers.push_back(source.create_reader(std::move(context)).value());
    }
  }

  void start() {
    enumerator_ = source_.create_enumerator({}).value();
    EXPECT_TRUE(enumerator_->start(*this, {}).ok());
  }
  /// Starts from what the readers of another host had left, dealt out anew.
  void restore(const std::vector<SourceSplit>& splits, const std::string& state) {
    for (std::size_t i = 0; i < splits.size(); ++i) {
      EXPECT_TRUE(readers[i % readers.size()]->add_splits({splits[i]}).ok());
    }
    enumerator_ = source_.restore_enumerator({}, state).value();
    EXPECT_TRUE(enumerator_->start(*this, splits).ok());
  }
  /// Polls every reader `rounds` times; true when all are finished.
  bool poll(int rounds) {
    bool is_finished = true;
    for (int round = 0; round < rounds; ++round) {
      is_finished = true;
      for (auto& reader : readers) {
        const auto result = reader->poll(*this);
        EXPECT_TRUE(result.ok());
        is_finished = is_finished && result.value() == PollResult::kFinished;
      }
    }
    return is_finished;
  }
  std::vector<SourceSplit> snapshot() {
    std::vector<SourceSplit> all;
    for (auto& reader : readers) {
      for (auto& split : reader->snapshot(1)) {
        all.push_back(split);
      }
    }
    return all;
  }
  std::string enumerator_state() { return enumerator_->snapshot(1).value(); }

  int parallelism() const override { return parallelism_; }
  void assign(int subtask, std::vector<SourceSplit> splits) override {
    EXPECT_TRUE(readers[static_cast<std::size_t>(subtask)]->add_splits(std::move(splits)).ok());
  }
  void signal_no_more_splits(int subtask) override {
    readers[static_cast<std::size_t>(subtask)]->no_more_splits();
  }
  MetricGroup& metrics() override { std::abort(); }
  void emit(const std::string& split_id, BatchPtr batch) override {
    for (std::size_t i = 0; i < batch->size(); ++i) {
      const auto record = batch->records<std::uint64_t>()[i];
      records.push_back(record);
      by_split[split_id].push_back(record);
      timestamps.push_back(batch->timestamps()[i]);
    }
  }
  void split_finished(const std::string& split_id) override { finished.insert(split_id); }

  std::vector<std::unique_ptr<SourceReader>> readers;
  std::vector<std::uint64_t> records;
  std::map<std::string, std::vector<std::uint64_t>> by_split;
  std::vector<TimestampMs> timestamps;
  std::set<std::string> finished;

 private:
  weir::Source& source_;
  int parallelism_;
  std::unique_ptr<SplitEnumerator> enumerator_;
};

Builder<std::uint64_t, std::uint64_t (*)(std::uint64_t)> numbers() {
  return Source<std::uint64_t>::from(+[](std::uint64_t index) { return index; });
}

std::vector<std::uint64_t> sorted(std::vector<std::uint64_t> values) {
  std::sort(values.begin(), values.end());
  return values;
}
std::vector<std::uint64_t> up_to(std::uint64_t count) {
  std::vector<std::uint64_t> values(count);
  std::iota(values.begin(), values.end(), 0);
  return values;
}

TEST(Generator, MakesEachIndexOnceAtEveryParallelismAndSplitCount) {
  for (const int parallelism : {1, 2, 5}) {
    for (const int splits : {0, 1, 3, 8}) {
      for (const bool is_contiguous : {false, true}) {
        auto builder = numbers();
        builder.with_count(1003).with_splits(splits).with_batch_records(10);
        if (is_contiguous) {
          builder.with_contiguous_blocks();
        }
        const auto source = builder.build();
        EXPECT_TRUE(source->preflight({}).ok());
        EXPECT_EQ(source->boundedness(), Boundedness::kBounded);
        Host host(*source, parallelism);
        host.start();
        EXPECT_TRUE(host.poll(60));
        EXPECT_EQ(sorted(host.records), up_to(1003)) << parallelism << " " << splits;
        EXPECT_EQ(host.finished.size(),
                  static_cast<std::size_t>(splits == 0 ? parallelism : splits));
        EXPECT_THAT(host.snapshot(), IsEmpty());
      }
    }
  }
}

TEST(Generator, GoesOnWhereItStoppedAlsoAtAnotherParallelism) {
  const auto source = numbers().with_count(500).with_splits(4).with_batch_records(7).build();
  Host first(*source, 2);
  first.start();
  first.poll(3);
  EXPECT_LT(first.records.size(), 500U);
  Host second(*source, 3);
  second.restore(first.snapshot(), first.enumerator_state());
  EXPECT_TRUE(second.poll(60));
  auto all = first.records;
  all.insert(all.end(), second.records.begin(), second.records.end());
  EXPECT_EQ(sorted(all), up_to(500));
}

TEST(Generator, SplitsTakeTurnsSoThatTheirTimesStayTogether) {
  const auto source = numbers().with_splits(2).with_batch_records(2).build();
  EXPECT_EQ(source->boundedness(), Boundedness::kUnbounded);
  Host host(*source, 1);
  host.start();
  EXPECT_FALSE(host.poll(1));
  EXPECT_THAT(host.records, ElementsAre(0, 2, 1, 3, 4, 6, 5, 7));
}

TEST(Generator, EventTimesComeFromTheRecord) {
  const auto source = numbers()
                          .with_count(3)
                          .with_event_time([](const std::uint64_t& record) {
                            return static_cast<TimestampMs>(record * 10);
                          })
                          .build();
  Host host(*source, 1);
  host.start();
  EXPECT_TRUE(host.poll(2));
  EXPECT_THAT(host.timestamps, ElementsAre(0, 10, 20));

  const auto without = numbers().with_count(1).build();
  Host other(*without, 1);
  other.start();
  other.poll(2);
  EXPECT_THAT(other.timestamps, ElementsAre(kMinTimestamp));
}

TEST(Generator, TheLastIndicesOfAllDoNotWrapAround) {
  const auto source = numbers()
                          .with_count(std::numeric_limits<std::uint64_t>::max())
                          .with_splits(2)
                          .with_contiguous_blocks()
                          .with_batch_records(4)
                          .build();
  Host host(*source, 1);
  host.start();
  host.poll(1);
  EXPECT_EQ(host.by_split["block-0"].front(), 0U);
  EXPECT_EQ(host.by_split["block-1"].front(), (std::numeric_limits<std::uint64_t>::max() >> 1) + 1);
}

TEST(Generator, RecordsThatOwnMemoryWork) {
  const auto source = Source<std::string>::from([](std::uint64_t index) {
                        return std::string(100, static_cast<char>('a' + index % 26));
                      })
                          .with_count(5)
                          .build();
  struct Output final : SourceOutput {
    void emit(const std::string&, BatchPtr batch) override {
      for (const std::string& record : batch->records<std::string>()) {
        text += record[0];
      }
    }
    void split_finished(const std::string&) override {}
    std::string text;
  } output;
  Host host(*source, 1);
  host.start();
  EXPECT_EQ(host.readers[0]->poll(output).value(), PollResult::kFinished);
  EXPECT_EQ(output.text, "abcde");
}

TEST(Generator, SettingsThatMakeNoSenseAreRefused) {
  EXPECT_FALSE(numbers().with_contiguous_blocks().build()->preflight({}).ok());
  EXPECT_FALSE(numbers().with_splits(-1).build()->preflight({}).ok());
  EXPECT_FALSE(numbers().with_rate_limit(-1).build()->preflight({}).ok());
  const auto source = numbers().build();
  Host host(*source, 1);
  EXPECT_FALSE(host.readers[0]->add_splits({{"block-0", "garbage"}}).ok());
}

TEST(Generator, ALimitedReaderIsWokenWhenItMayGoOn) {
  std::mutex mutex;
  std::condition_variable woken;
  int wakes = 0;
  const auto source = numbers().with_count(3).with_rate_limit(100).build();
  SourceReaderContext context;
  context.wake = [&] {
    const std::lock_guard lock(mutex);
    ++wakes;
    woken.notify_all();
  };
  Host host(*source, 1);
  host.readers[0] = source->create_reader(std::move(context)).value();
  host.start();
  while (!host.poll(1)) {
    std::unique_lock lock(mutex);
    if (host.records.size() < 3) {
      ASSERT_TRUE(woken.wait_for(lock, std::chrono::seconds(20),
                                 [&] { return std::exchange(wakes, 0) > 0; }));
    }
  }
  host.readers[0]->close();
  EXPECT_EQ(host.records.size(), 3U);
}

TEST(TokenBucket, LetsThroughTheRateAndNoLongPausesWorth) {
  constexpr std::int64_t kMs = 1'000'000;
  TokenBucket bucket;
  bucket.set_rate(1000, 1 * kMs);
  EXPECT_EQ(bucket.take(100, 1 * kMs), 0U);
  EXPECT_EQ(bucket.wait_ns(1 * kMs), kMs);
  EXPECT_EQ(bucket.take(100, 11 * kMs), 10U);
  EXPECT_EQ(bucket.take(100, 11 * kMs), 0U);
  EXPECT_EQ(bucket.take(1000, 60'000 * kMs), 100U);
  bucket.set_rate(0.5, 60'001 * kMs);
  EXPECT_EQ(bucket.take(1000, 61'000 * kMs), 1U);  // what the old rate had left in its last ms
  EXPECT_EQ(bucket.take(10, 62'000 * kMs), 0U);
  EXPECT_EQ(bucket.take(10, 64'000 * kMs), 1U);
}

TEST(Random, IsAPureFunctionOfSeedAndIndex) {
  EXPECT_EQ(Random(1, 2).next(), Random(1, 2).next());
  std::set<std::uint64_t> seen;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    for (std::uint64_t index = 0; index < 100; ++index) {
      Random random(seed, index);
      seen.insert(random.next());
      seen.insert(random.next());
    }
  }
  EXPECT_EQ(seen.size(), 2000U);
}

TEST(Random, IsSpreadEvenly) {
  double sum = 0;
  std::vector<int> buckets(8);
  for (std::uint64_t index = 0; index < 80'000; ++index) {
    Random random(7, index);
    ++buckets[random.below(8)];
    const double unit = random.unit();
    ASSERT_GE(unit, 0.0);
    ASSERT_LT(unit, 1.0);
    sum += unit;
  }
  EXPECT_NEAR(sum / 80'000, 0.5, 0.01);
  for (const int count : buckets) {
    EXPECT_NEAR(count, 10'000, 500);
  }
  EXPECT_EQ(Random(1, 1).below(0), 0U);
}

}  // namespace
}  // namespace weir::generator
