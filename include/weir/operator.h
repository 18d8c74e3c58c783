#pragma once

#include <string>
#include <vector>

#include "weir/batch.h"
#include "weir/key_group.h"
#include "weir/metrics.h"
#include "weir/operator_state_backend.h"
#include "weir/result.h"
#include "weir/state_table.h"
#include "weir/time.h"

namespace weir {

/// Where an operator sends its results: the next operator of the chain, or channels to other
/// tasks. Emitting always succeeds: a full channel stages the batch and holds the task back
/// afterwards, a failure downstream in the chain stops the task after the current call.
class Output {
 public:
  virtual ~Output() = default;
  /// Sends a non-empty batch; an empty one is dropped.
  virtual void emit(BatchPtr batch) = 0;
  /// True when more would only be staged. Whoever has much to emit stops here and goes on in
  /// Operator::resume().
  virtual bool is_full() const = 0;
};

/// Where and as what an operator instance runs.
struct SubtaskInfo {
  std::string job_name;
  std::string operator_name;
  std::string uid;  ///< stable identity of the operator's state
  int subtask = 0;
  int parallelism = 1;
  int max_parallelism = 128;
  AttemptId attempt = 0;
  KeyGroupRange key_groups;
};

/// What the runtime offers one operator instance. Valid from open() until the operator is gone.
class OperatorContext {
 public:
  virtual ~OperatorContext() = default;
  virtual const SubtaskInfo& info() const = 0;
  virtual MetricGroup& metrics() = 0;
  virtual Output& output() = 0;
  /// Side output `index` in the order in which the graph declares them.
  virtual Output& side_output(int index) = 0;
  virtual KeyedStateBackend& keyed_state() = 0;
  virtual OperatorStateBackend& operator_state() = 0;
  /// True when this instance starts from a checkpoint or savepoint.
  virtual bool is_restored() const = 0;
  /// Processing time now. Never goes back. Read once per batch, not once per record.
  virtual TimestampMs processing_time() const = 0;
};

/// One operator instance of one subtask: the erased interface of everything that runs between a
/// source and a sink. All calls come from one thread, never two at a time. User code inside may
/// throw: the runtime catches in one place and fails the attempt.
class Operator {
 public:
  virtual ~Operator() = default;

  virtual Status open(OperatorContext& context) = 0;
  /// Records of input `input` (0 for operators with one input).
  virtual Status process_batch(BatchPtr batch, int input) = 0;
  /// The combined watermark of all inputs rose to `watermark`. Whatever this makes the operator
  /// emit leaves before the watermark itself, which the runtime forwards.
  virtual Status process_watermark(TimestampMs /*watermark*/) { return {}; }
  /// True when the last call left work undone because the output was full. The runtime calls
  /// resume(), and nothing else, until it is false again; only then does it forward a watermark.
  virtual bool is_busy() const { return false; }
  virtual Status resume() { return {}; }
  /// Watermark of the restored checkpoint, before the first call of process_watermark: per key
  /// group of this subtask, because after a rescale they may differ.
  virtual void restore_watermarks(const std::vector<TimestampMs>& /*per_key_group*/) {}
  /// Processing time reached next_processing_time_timer().
  virtual Status process_time(TimestampMs /*now*/) { return {}; }
  virtual TimestampMs next_processing_time_timer() { return kMaxTimestamp; }
  /// No input follows; comes after the watermark kMaxTimestamp.
  virtual Status end_input() { return {}; }
  /// The barrier of `checkpoint` is about to be forwarded: emit what must precede it.
  virtual Status prepare_snapshot(CheckpointId /*checkpoint*/) { return {}; }
  /// Puts operator state (not keyed state) into OperatorContext::operator_state(). Comes after
  /// prepare_snapshot(), with no record in between.
  virtual Status snapshot_state(CheckpointId /*checkpoint*/) { return {}; }
  virtual Status notify_checkpoint_complete(CheckpointId /*checkpoint*/) { return {}; }
  virtual Status notify_checkpoint_aborted(CheckpointId /*checkpoint*/) { return {}; }
};

}  // namespace weir
