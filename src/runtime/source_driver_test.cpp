#include "runtime/source_driver.h"

#include <map>
#include <string>
#include <vector>

#include "runtime/runtime_harness.h"

namespace weir::runtime::test {
namespace {

/// A reader whose splits say nothing by themselves: the test emits for them.
class SilentReader final : public SourceReader {
 public:
  Status add_splits(std::vector<SourceSplit> splits) override {
    for (SourceSplit& split : splits) {
      splits_.push_back(std::move(split));
    }
    return {};
  }
  void no_more_splits() override {}
  Result<PollResult> poll(SourceOutput&) override { return PollResult::kIdle; }
  std::vector<SourceSplit> snapshot(CheckpointId) override { return splits_; }

 private:
  std::vector<SourceSplit> splits_;
};

class SilentSource final : public Source {
 public:
  Boundedness boundedness() const override { return Boundedness::kUnbounded; }
  const TypeOps& record_type() const override { return type_ops<Row>(); }
  Status preflight(const SourceContext&) override { return {}; }
  Result<std::unique_ptr<SplitEnumerator>> create_enumerator(const SourceContext&) override {
    return Error{};
  }
  Result<std::unique_ptr<SplitEnumerator>> restore_enumerator(const SourceContext&,
                                                              const std::string&) override {
    return Error{};
  }
  Result<std::unique_ptr<SourceReader>> create_reader(SourceReaderContext) override {
    return std::unique_ptr<SourceReader>(std::make_unique<SilentReader>());
  }
};

class CountingOutput final : public Output {
 public:
  void emit(BatchPtr batch) override { last_ = std::move(batch); }
  bool is_full() const override { return false; }
  const Batch& last() const { return *last_; }

 private:
  BatchPtr last_;
};

class SourceDriverTest : public ::testing::Test {
 protected:
  void start(WatermarkStrategy<Row> strategy, std::vector<std::string> splits) {
    plan_.uid = "source";
    plan_.source = std::make_shared<SilentSource>();
    plan_.watermarks = strategy.spec();
    SubtaskInfo info;
    info.uid = "source";
    driver_ = std::make_unique<SourceDriver>(plan_, host_.environment, info, output_, [] {}, [] {});
    ASSERT_TRUE(driver_->open({}).ok());
    std::vector<SourceSplit> added;
    for (const std::string& id : splits) {
      added.push_back({id, ""});
    }
    ASSERT_TRUE(driver_->add_splits(std::move(added)).ok());
  }
  SourceDriver::WatermarkUpdate update() {
    return driver_->update_watermark(host_.clock.monotonic_ns());
  }
  SourceDriver::WatermarkUpdate update_after_ms(std::int64_t ms) {
    host_.clock.advance_ms(ms);
    return update();
  }
  /// One record with this event time.
  void emit(const std::string& split, TimestampMs time) { driver_->emit(split, rows(time, 1)); }

  using Strategy = WatermarkStrategy<Row>;
  Host host_;
  PlanOperator plan_;
  CountingOutput output_;
  std::unique_ptr<SourceDriver> driver_;
};

TEST_F(SourceDriverTest, TheSlowestSplitHoldsTheWatermark) {
  start(Strategy::for_bounded_out_of_orderness(DurationMs(10)), {"a", "b"});
  emit("a", 100);
  EXPECT_EQ(update().watermark, kMinTimestamp);  // nothing of b yet
  emit("b", 50);
  EXPECT_EQ(update().watermark, 39);
  emit("b", 200);
  EXPECT_EQ(update().watermark, 89);
  EXPECT_EQ(update().watermark, kMinTimestamp);  // unchanged
}

TEST_F(SourceDriverTest, TheWatermarkNeverGoesBack) {
  start(Strategy::for_monotonous_timestamps(), {"a"});
  emit("a", 100);
  EXPECT_EQ(update().watermark, 99);
  ASSERT_TRUE(driver_->add_splits({{"b", ""}}).ok());
  emit("b", 10);
  EXPECT_EQ(update().watermark, kMinTimestamp);
}

TEST_F(SourceDriverTest, AFinishedSplitHoldsNothingBack) {
  start(Strategy::for_monotonous_timestamps(), {"a", "b"});
  emit("a", 100);
  emit("b", 10);
  EXPECT_EQ(update().watermark, 9);
  driver_->split_finished("b");
  EXPECT_EQ(update().watermark, 99);
}

TEST_F(SourceDriverTest, TimestampsComeFromTheAssigner) {
  start(Strategy::for_monotonous_timestamps().with_timestamp_assigner(
            [](const Row& row) { return row.number * 1000; }),
        {"a"});
  emit("a", 5);
  EXPECT_EQ(output_.last().timestamps()[0], 5000);
  EXPECT_EQ(update().watermark, 4999);
}

TEST_F(SourceDriverTest, WithoutAStrategyThereIsNoWatermark) {
  start(Strategy::no_watermarks(), {"a"});
  emit("a", 100);
  EXPECT_EQ(update().watermark, kMinTimestamp);
  EXPECT_EQ(output_.last().timestamps()[0], 100);  // the source's own time stays
}

TEST_F(SourceDriverTest, AnIdleSplitIsLeftOut) {
  start(Strategy::for_monotonous_timestamps().with_idleness(DurationMs(1000)), {"a", "b"});
  emit("a", 100);
  emit("b", 10);
  EXPECT_EQ(update().watermark, 9);
  host_.clock.advance_ms(900);
  emit("a", 200);
  EXPECT_EQ(update_after_ms(50).watermark, kMinTimestamp);
  EXPECT_EQ(update_after_ms(50).watermark, 199);  // b has been quiet for 1000 ms
}

TEST_F(SourceDriverTest, J6_WhenAllSplitsAreIdleTheHighestIsEmittedAndSoIsTheStatus) {
  start(Strategy::for_monotonous_timestamps().with_idleness(DurationMs(1000)), {"a", "b"});
  emit("a", 100);
  emit("b", 10);
  (void)update();
  const auto idle = update_after_ms(1000);
  EXPECT_EQ(idle.watermark, 99);
  EXPECT_TRUE(idle.has_idle_changed && idle.is_idle);
  EXPECT_FALSE(update_after_ms(1000).has_idle_changed);
  emit("b", 150);
  const auto active = update();
  EXPECT_TRUE(active.has_idle_changed && !active.is_idle);
  EXPECT_EQ(active.watermark, 149);
}

// N17
TEST_F(SourceDriverTest, N17_TimeHeldBackDoesNotCountAsIdle) {
  start(Strategy::for_monotonous_timestamps().with_idleness(DurationMs(1000)), {"a"});
  emit("a", 100);
  (void)update();
  host_.clock.advance_ms(60'000);
  driver_->note_blocked(host_.clock.monotonic_ns());
  EXPECT_FALSE(update().is_idle);
  EXPECT_FALSE(update_after_ms(999).is_idle);
  EXPECT_TRUE(update_after_ms(1).is_idle);
}

TEST_F(SourceDriverTest, J5_AReaderWithoutSplitsIsIdleOnlyWhereIdlenessIsAskedFor) {
  start(Strategy::for_monotonous_timestamps(), {});
  EXPECT_FALSE(update_after_ms(100'000).is_idle);
  start(Strategy::for_monotonous_timestamps().with_idleness(DurationMs(1000)), {});
  EXPECT_TRUE(update_after_ms(100'000).is_idle);
}

TEST_F(SourceDriverTest, CountsWhatItEmits) {
  start(Strategy::no_watermarks(), {"a"});
  driver_->emit("a", rows(0, 7));
  driver_->emit("a", nullptr);
  EXPECT_EQ(host_.metrics.group("source.0").counter("numRecordsOut").value(), 7);
}

}  // namespace
}  // namespace weir::runtime::test
