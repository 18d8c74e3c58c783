#include <gtest/gtest.h>

#include "runtime/runtime_harness.h"
#include "runtime/task.h"

namespace weir::runtime::test {
namespace {

/// Keeps the splits it is given and reads nothing.
class IdleReader final : public SourceReader {
 public:
  Status add_splits(std::vector<SourceSplit> splits) override {
    splits_.insert(splits_.end(), splits.begin(), splits.end());
    return {};
  }
  void no_more_splits() override { has_all_splits_ = true; }
  Result<PollResult> poll(SourceOutput&) override {
    return has_all_splits_ ? PollResult::kFinished : PollResult::kIdle;
  }
  std::vector<SourceSplit> snapshot(CheckpointId) override { return splits_; }

 private:
  std::vector<SourceSplit> splits_;
  bool has_all_splits_ = false;
};

class IdleSource final : public Source {
 public:
  Boundedness boundedness() const override { return Boundedness::kBounded; }
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
    return std::unique_ptr<SourceReader>(std::make_unique<IdleReader>());
  }
};

class TaskSplitsTest : public ::testing::Test {
 protected:
  TaskSplitsTest() {
    PlanOperator source;
    source.uid = "source";
    source.name = "source";
    source.source = std::make_shared<IdleSource>();
    source.outputs.resize(1);
    vertex_.operators = {source};
    vertex_.name = "source";
    task_ = std::make_unique<Task>(0, vertex_, 0, host_.environment, Task::Wiring(), TaskRestore(),
                                   signal_);
    EXPECT_EQ(task_->step(), Task::Progress::kProgress);
  }
  void run() {
    for (int quiet = 0; quiet < 3;) {
      quiet = task_->step() == Task::Progress::kProgress ? 0 : quiet + 1;
      host_.io.wait_idle();
    }
  }
  Barrier barrier(CheckpointId checkpoint) {
    EXPECT_TRUE(host_.store->begin_checkpoint(checkpoint).ok());
    return {checkpoint, false, false};
  }
  std::vector<std::string> splits_of(CheckpointId checkpoint) {
    std::vector<std::string> ids;
    for (const SourceSplit& split : host_.listener.acks.at(checkpoint).reader->splits) {
      ids.push_back(split.id);
    }
    return ids;
  }

  Host host_;
  PlanVertex vertex_;
  WakeSignal signal_;
  std::unique_ptr<Task> task_;
};

// The enumerator takes its own snapshot just before it sends the barrier: a split it deals out
// afterwards is in that snapshot. Were it in the reader's, too, a restore would read it twice.
TEST_F(TaskSplitsTest, H8_ASplitThatArrivesBehindABarrierIsNotInItsCheckpoint) {
  task_->post(AddSplits{{{"before", ""}}});
  task_->post(TriggerBarrier{barrier(1)});
  task_->post(AddSplits{{{"between", ""}}});
  task_->post(TriggerBarrier{barrier(2)});
  task_->post(AddSplits{{{"after", ""}}});
  task_->post(NoMoreSplits{});
  run();
  ASSERT_TRUE(host_.listener.acks.contains(1) && host_.listener.acks.contains(2));
  EXPECT_EQ(splits_of(1), (std::vector<std::string>{"before"}));
  EXPECT_EQ(splits_of(2), (std::vector<std::string>{"before", "between"}));
  EXPECT_EQ(host_.listener.ended, 1);
}

}  // namespace
}  // namespace weir::runtime::test
