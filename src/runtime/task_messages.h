#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "checkpoint/manifest.h"
#include "runtime/channel_log.h"
#include "runtime/edge_sums.h"
#include "runtime/element.h"
#include "state/operator_state.h"
#include "weir/sink.h"
#include "weir/source.h"

namespace weir::runtime {

/// What a task is told, in order, through its mailbox.
struct TriggerBarrier {  ///< sources only
  Barrier barrier;
};
struct CheckpointCompleted {
  CheckpointId checkpoint = 0;
};
struct CheckpointAborted {
  CheckpointId checkpoint = 0;
  bool is_terminal = false;
};
struct AddSplits {
  std::vector<SourceSplit> splits;
};
struct NoMoreSplits {};
using TaskMessage =
    std::variant<TriggerBarrier, CheckpointCompleted, CheckpointAborted, AddSplits, NoMoreSplits>;

/// Where one task's share of a checkpoint's time went; what Flink shows per subtask.
struct CheckpointTimings {
  std::int64_t start_delay_ns = 0;  ///< from the trigger to the first sign of the barrier
  std::int64_t alignment_ns = 0;    ///< from then to the last barrier, or to overtaking
  std::int64_t sync_ns = 0;         ///< the task does nothing else
};

/// One task's part of a checkpoint.
struct TaskSnapshot {
  struct OfOperator {
    std::string uid;
    checkpoint::SubtaskSnapshot snapshot;
    std::vector<checkpoint::StateSchema> list_schemas;  ///< of snapshot.lists
  };
  struct OfSink {
    std::string uid;
    checkpoint::WriterSnapshot writer;
    std::vector<Committable> committables;
  };
  std::vector<OfOperator> operators;
  std::vector<OfSink> sinks;
  std::optional<checkpoint::ReaderSnapshot> reader;
  CheckpointTimings timings;
  std::vector<EdgeReport> sent;
  std::vector<EdgeReport> received;
  /// What the barrier overtook; nothing when the inputs were aligned.
  std::optional<ChannelLog::Stored> in_flight;
};

/// What a task starts from: its share of the restored checkpoint.
struct TaskRestore {
  struct OfOperator {
    std::vector<checkpoint::StateHandle> files;
    state::MemoryOperatorState::Lists lists;
    std::vector<TimestampMs> watermarks;  ///< per key group of the subtask
  };
  /// Something that was under way to a subtask of the vertex.
  struct InFlight {
    int edge = 0;
    int operator_input = 0;
    const TypeOps* record = nullptr;
    checkpoint::FileReference file;
    checkpoint::ChannelSnapshot channel;
    bool is_same_channel = true;
    bool is_filtered = false;  ///< take only the records of the subtask's own key groups
  };
  bool is_restored = false;
  CheckpointId checkpoint = 0;                          ///< that it is restored from
  std::vector<InFlight> in_flight;                      ///< in the order of replay
  std::vector<OfOperator> operators;                    ///< parallel to the vertex' operators
  std::vector<std::vector<std::string>> writer_states;  ///< parallel to the vertex' operators
  std::vector<SourceSplit> splits;
};

/// What tasks report. Called on worker and I/O threads.
class TaskListener {
 public:
  virtual ~TaskListener() = default;
  virtual void on_running(int task) = 0;
  /// All input is processed; the task waits for the final checkpoint.
  virtual void on_end_of_data(int task) = 0;
  virtual void on_ack(int task, CheckpointId checkpoint, TaskSnapshot snapshot) = 0;
  /// The state could not be stored. `rest` still holds what the sinks prepared.
  virtual void on_decline(int task, CheckpointId checkpoint, const Error& reason,
                          TaskSnapshot rest) = 0;
  virtual void on_failed(int task, const Error& error) = 0;
  virtual void on_split_request(int task) = 0;
};

}  // namespace weir::runtime
