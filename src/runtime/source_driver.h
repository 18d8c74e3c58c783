#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/task_environment.h"
#include "weir/source.h"

namespace weir::runtime {

/// The source reader at the head of a chain, with event times and watermarks per split.
class SourceDriver final : public SourceOutput {
 public:
  /// `output` takes the records.
  SourceDriver(const PlanOperator& plan, const TaskEnvironment& environment, SubtaskInfo info,
               Output& output, std::function<void()> wake, std::function<void()> request_split);
  ~SourceDriver() override;

  Status open(std::vector<SourceSplit> restored_splits);
  Status add_splits(std::vector<SourceSplit> splits);
  void no_more_splits() { reader_->no_more_splits(); }
  Result<PollResult> poll() { return reader_->poll(*this); }
  std::vector<SourceSplit> snapshot(CheckpointId checkpoint) {
    return reader_->snapshot(checkpoint);
  }
  void notify_checkpoint_complete(CheckpointId checkpoint) {
    reader_->notify_checkpoint_complete(checkpoint);
  }

  /// Time spent held back does not count as idle (N17).
  void note_blocked(std::int64_t now_ns) { blocked_until_ns_ = now_ns; }

  struct WatermarkUpdate {
    TimestampMs watermark = kMinTimestamp;  ///< kMinTimestamp = unchanged
    bool has_idle_changed = false;
    bool is_idle = false;
  };
  /// Asked every auto-watermark interval.
  WatermarkUpdate update_watermark(std::int64_t now_ns);

  // SourceOutput
  void emit(const std::string& split_id, BatchPtr batch) override;
  void split_finished(const std::string& split_id) override;

 private:
  struct Split {
    std::unique_ptr<WatermarkGenerator> generator;  // null = no watermarks
    std::int64_t last_record_ns = 0;
    bool has_new_records = true;
    bool is_idle = false;
  };

  Split& split(const std::string& id);

  const PlanOperator& plan_;
  const TaskEnvironment& environment_;
  const SubtaskInfo info_;
  Output& output_;
  const std::function<void()> wake_;
  const std::function<void()> request_split_;
  Counter& records_out_;
  std::unique_ptr<SourceReader> reader_;
  std::map<std::string, Split, std::less<>> splits_;
  std::string last_split_id_;
  Split* last_split_ = nullptr;
  TimestampMs watermark_ = kMinTimestamp;
  bool is_idle_ = false;
  std::int64_t blocked_until_ns_ = 0;
};

}  // namespace weir::runtime
