#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "runtime/task_environment.h"
#include "weir/sink.h"

namespace weir::runtime {

/// The sink writer at the end of a chain: holds back what it cannot take yet, and waits for what
/// was prepared at a barrier.
class SinkDriver {
 public:
  SinkDriver(const PlanOperator& plan, const TaskEnvironment& environment, SubtaskInfo info,
             std::function<void()> wake);
  ~SinkDriver();

  Status open(const std::vector<std::string>& restored_states);
  Status write(BatchPtr batch);
  /// Serves the writer and hands over what was held back.
  Status poll();
  /// True while the task must not take more input.
  bool is_blocked() const { return !staged_.empty() || !writer_->can_write(); }

  /// REQUIRES: nothing is held back.
  Status begin_prepare(CheckpointId checkpoint);
  /// Nothing while the flush of the oldest unanswered prepare is under way.
  Result<std::optional<std::vector<Committable>>> poll_prepared(CheckpointId checkpoint);
  std::vector<std::string> snapshot_state(CheckpointId checkpoint);
  const std::string& uid() const { return info_.uid; }

 private:
  const PlanOperator& plan_;
  const TaskEnvironment& environment_;
  const SubtaskInfo info_;
  const std::function<void()> wake_;
  Counter& records_in_;
  std::unique_ptr<SinkWriter> writer_;
  std::deque<BatchPtr> staged_;
};

}  // namespace weir::runtime
