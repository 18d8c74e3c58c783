#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "checkpoint/abort_reason.h"
#include "checkpoint/manifest.h"
#include "checkpoint/trigger_queue.h"
#include "weir/time.h"

namespace weir::checkpoint {

/// One to acknowledge a checkpoint: a task, or a source enumerator, numbered by the runtime.
using TaskId = std::int32_t;

/// CheckpointStore::begin_checkpoint, snapshot the enumerators, then tell the tasks.
struct Trigger {
  CheckpointId checkpoint = 0;
  SnapshotKind kind = SnapshotKind::kCheckpoint;
  bool is_terminal = false;
  bool is_drain = false;
  RequestId request = 0;  ///< who asked; 0 = the engine itself
  /// The last complete checkpoint: deltas may build upon it, and upon no later one. 0 = there is
  /// none, or this one stands alone (a savepoint).
  CheckpointId builds_on = 0;
};

/// Every acknowledgement is there: check the edge balance, assemble the manifest and publish it.
/// May come again for the same checkpoint after on_publish_unknown: then publish the *same* bytes,
/// for the first try may have succeeded.
struct Publish {
  CheckpointId checkpoint = 0;
};

/// Tell the tasks and the commit ledger. Not sent for a plain savepoint, which commits nothing.
struct NotifyComplete {
  CheckpointId checkpoint = 0;
  bool is_terminal = false;  ///< when its commits are proved, the tasks may end
};

/// Tell the tasks. It never means that prepared data may be thrown away.
struct NotifyAborted {
  CheckpointId checkpoint = 0;
  AbortReason reason = AbortReason::kCheckpointDeclined;
  bool is_terminal = false;  ///< the stop did not happen: let the tasks go on
};

/// Drop what was collected for it. Its files are left to the garbage collection.
struct DiscardCheckpoint {
  CheckpointId checkpoint = 0;
};

/// A checkpoint was completed: retention may have something to do.
struct CollectGarbage {};

/// Answer whoever asked.
struct RequestDone {
  RequestId request = 0;
  CheckpointId checkpoint = 0;         ///< 0 when it never got a number
  std::optional<AbortReason> failure;  ///< nothing = success
};

struct FailJob {
  std::string reason;
};

/// The terminal checkpoint was published; nothing is triggered any more. The job may end when the
/// commit ledger says is_committed_up_to(checkpoint).
struct JobFinished {
  CheckpointId checkpoint = 0;
};

/// Call on_time not later than this. Replaces earlier ones.
struct ScheduleAt {
  TimestampMs at_ms = 0;
};

using CoordinatorAction =
    std::variant<Trigger, Publish, NotifyComplete, NotifyAborted, DiscardCheckpoint, CollectGarbage,
                 RequestDone, FailJob, JobFinished, ScheduleAt>;
using CoordinatorActions = std::vector<CoordinatorAction>;

}  // namespace weir::checkpoint
