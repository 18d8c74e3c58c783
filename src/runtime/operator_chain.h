#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/edge_output.h"
#include "runtime/keyed_state.h"
#include "runtime/sink_driver.h"
#include "runtime/task_environment.h"
#include "state/operator_state.h"
#include "weir/operator.h"

namespace weir::runtime {

/// The operators of one task, joined by direct calls, batch by batch.
///
/// A failure of any operator is kept in status() and makes all later calls do nothing; the task
/// looks at it after every call.
class OperatorChain {
 public:
  /// `edges`: the outgoing edges of the vertex by edge id; they outlive the chain.
  struct EdgeRef {
    int edge = 0;
    EdgeOutput* output = nullptr;
  };
  OperatorChain(const PlanVertex& vertex, int subtask, const TaskEnvironment& environment,
                std::vector<EdgeRef> edges, std::function<void()> wake);
  ~OperatorChain();

  Status open(const TaskRestore& restore);

  /// Takes records into operator 0; for a source, `head_output` is where its records go.
  void process_batch(BatchPtr batch, int input);
  Output& head_output();

  /// Starts sending a watermark through the chain; see is_busy().
  void process_watermark(TimestampMs watermark);
  void process_time(TimestampMs now);
  TimestampMs next_processing_time_timer();
  void end_input();
  /// True while an operator has work left that waits for room: call resume() when there is, and
  /// nothing else. A watermark that has passed all operators is reported once by take_watermark().
  bool is_busy() const { return busy_node_ >= 0; }
  void resume();
  std::optional<TimestampMs> take_watermark();
  TimestampMs watermark() const { return watermark_; }
  /// The same, without the one that ends the input.
  TimestampMs watermark_before_end() const {
    return watermark_ == kMaxTimestamp ? watermark_before_end_ : watermark_;
  }

  /// True while some output or sink holds something back.
  bool is_blocked() const;
  bool are_sinks_blocked() const;
  /// KeyedState::must_wait() of any operator.
  bool must_state_wait() const;
  void poll_sinks();

  /// Barrier, first part: operators emit what precedes it, sinks end their epoch.
  void prepare_snapshot(CheckpointId checkpoint);
  void notify_checkpoint_complete(CheckpointId checkpoint);
  void notify_checkpoint_aborted(CheckpointId checkpoint);

  Status status() const { return status_; }
  void fail(Error error);

  /// What a snapshot is made of.
  struct Node;
  std::vector<std::unique_ptr<Node>>& nodes() { return nodes_; }
  const Node& head() const { return *nodes_.front(); }

 private:
  class NodeOutput;
  class ChainedInput;
  class Context;

  Status open_keyed_state(Node& node, CheckpointId checkpoint, const TaskRestore::OfOperator* from);
  void call(Node& node, BatchPtr batch, int input);
  void advance_watermark(std::size_t from_node);
  template <class F>
  void guarded(const Node& node, F&& work);

  const TaskEnvironment& environment_;
  std::vector<EdgeRef> edges_;
  std::vector<std::unique_ptr<Node>> nodes_;
  Status status_;
  int busy_node_ = -1;
  std::optional<TimestampMs> passing_watermark_;  ///< still on its way through the chain
  std::optional<TimestampMs> passed_watermark_;   ///< to be forwarded
  TimestampMs watermark_ = kMinTimestamp;
  TimestampMs watermark_before_end_ = kMinTimestamp;
};

/// One operator or sink with its state. A source has neither.
struct OperatorChain::Node {
  const PlanOperator* plan = nullptr;
  SubtaskInfo info;
  std::unique_ptr<KeyedState> keyed_state;  ///< null without keyed state
  state::MemoryOperatorState operator_state;
  std::vector<TimestampMs> restored_watermarks;  ///< per key group; where ahead of watermark()
  std::unique_ptr<Context> context;
  std::vector<std::unique_ptr<NodeOutput>> outputs;
  std::unique_ptr<Operator> op;
  std::unique_ptr<SinkDriver> sink;

  explicit Node(SubtaskInfo subtask);
  ~Node();
};

}  // namespace weir::runtime
