#pragma once

#include <string_view>

namespace weir::checkpoint {

/// Why a checkpoint did not complete: Flink's CheckpointFailureReason, and weir's own at the end.
enum class AbortReason {
  // Before any task was told.
  kPeriodicSchedulerShutdown,
  kTooManyCheckpointRequests,
  kMinimumTimeBetweenCheckpoints,
  kNotAllRequiredTasksRunning,
  kBlockingOutputExist,
  kIoException,
  kTriggerCheckpointFailure,
  // Afterwards.
  kCheckpointAsyncException,
  kCheckpointDeclined,
  kCheckpointDeclinedTaskNotReady,
  kCheckpointDeclinedTaskClosing,
  kCheckpointDeclinedSubsumed,
  kCheckpointDeclinedOnCancellationBarrier,
  kCheckpointDeclinedInputEndOfStream,
  kCheckpointExpired,
  kFinalizeCheckpointFailure,
  kCheckpointSubsumed,
  kCheckpointCoordinatorShutdown,
  kCheckpointCoordinatorSuspend,
  kJobFailoverRegion,
  kTaskFailure,
  kTaskCheckpointFailure,
  kUnknownTaskCheckpointNotificationFailure,
  kChannelStateSharedStreamException,
  // weir's own.
  kEdgeImbalance,  ///< sender and receiver of an edge disagree about what crossed it
  kSplitMisplaced,  ///< a source split was in no place or in two
};

/// Flink's spelling: "CHECKPOINT_EXPIRED".
std::string_view abort_reason_name(AbortReason reason);

/// Whether it counts against tolerable-failed-checkpoints when it hits a periodic checkpoint.
bool counts_as_failure(AbortReason reason);

/// True when no task had been told of the checkpoint.
bool is_pre_flight(AbortReason reason);

}  // namespace weir::checkpoint
