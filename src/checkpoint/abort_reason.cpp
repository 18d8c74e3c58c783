#include "checkpoint/abort_reason.h"

namespace weir::checkpoint {

std::string_view abort_reason_name(AbortReason reason) {
  switch (reason) {
    case AbortReason::kPeriodicSchedulerShutdown:
      return "PERIODIC_SCHEDULER_SHUTDOWN";
    case AbortReason::kTooManyCheckpointRequests:
      return "TOO_MANY_CHECKPOINT_REQUESTS";
    case AbortReason::kMinimumTimeBetweenCheckpoints:
      return "MINIMUM_TIME_BETWEEN_CHECKPOINTS";
    case AbortReason::kNotAllRequiredTasksRunning:
      return "NOT_ALL_REQUIRED_TASKS_RUNNING";
    case AbortReason::kBlockingOutputExist:
      return "BLOCKING_OUTPUT_EXIST";
    case AbortReason::kIoException:
      return "IO_EXCEPTION";
    case AbortReason::kTriggerCheckpointFailure:
      return "TRIGGER_CHECKPOINT_FAILURE";
    case AbortReason::kCheckpointAsyncException:
      return "CHECKPOINT_ASYNC_EXCEPTION";
    case AbortReason::kCheckpointDeclined:
      return "CHECKPOINT_DECLINED";
    case AbortReason::kCheckpointDeclinedTaskNotReady:
      return "CHECKPOINT_DECLINED_TASK_NOT_READY";
    case AbortReason::kCheckpointDeclinedTaskClosing:
      return "CHECKPOINT_DECLINED_TASK_CLOSING";
    case AbortReason::kCheckpointDeclinedSubsumed:
      return "CHECKPOINT_DECLINED_SUBSUMED";
    case AbortReason::kCheckpointDeclinedOnCancellationBarrier:
      return "CHECKPOINT_DECLINED_ON_CANCELLATION_BARRIER";
    case AbortReason::kCheckpointDeclinedInputEndOfStream:
      return "CHECKPOINT_DECLINED_INPUT_END_OF_STREAM";
    case AbortReason::kCheckpointExpired:
      return "CHECKPOINT_EXPIRED";
    case AbortReason::kFinalizeCheckpointFailure:
      return "FINALIZE_CHECKPOINT_FAILURE";
    case AbortReason::kCheckpointSubsumed:
      return "CHECKPOINT_SUBSUMED";
    case AbortReason::kCheckpointCoordinatorShutdown:
      return "CHECKPOINT_COORDINATOR_SHUTDOWN";
    case AbortReason::kCheckpointCoordinatorSuspend:
      return "CHECKPOINT_COORDINATOR_SUSPEND";
    case AbortReason::kJobFailoverRegion:
      return "JOB_FAILOVER_REGION";
    case AbortReason::kTaskFailure:
      return "TASK_FAILURE";
    case AbortReason::kTaskCheckpointFailure:
      return "TASK_CHECKPOINT_FAILURE";
    case AbortReason::kUnknownTaskCheckpointNotificationFailure:
      return "UNKNOWN_TASK_CHECKPOINT_NOTIFICATION_FAILURE";
    case AbortReason::kChannelStateSharedStreamException:
      return "CHANNEL_STATE_SHARED_STREAM_EXCEPTION";
    case AbortReason::kEdgeImbalance:
      return "EDGE_IMBALANCE";
    case AbortReason::kSplitMisplaced:
      return "SPLIT_MISPLACED";
  }
  return "UNKNOWN";
}

bool counts_as_failure(AbortReason reason) {
  switch (reason) {
    case AbortReason::kIoException:
    case AbortReason::kCheckpointAsyncException:
    case AbortReason::kCheckpointDeclined:
    case AbortReason::kCheckpointExpired:
    case AbortReason::kFinalizeCheckpointFailure:
    case AbortReason::kEdgeImbalance:
    case AbortReason::kSplitMisplaced:
      return true;
    default:
      return false;
  }
}

bool is_pre_flight(AbortReason reason) {
  switch (reason) {
    case AbortReason::kPeriodicSchedulerShutdown:
    case AbortReason::kTooManyCheckpointRequests:
    case AbortReason::kMinimumTimeBetweenCheckpoints:
    case AbortReason::kNotAllRequiredTasksRunning:
    case AbortReason::kBlockingOutputExist:
      return true;
    default:
      return false;
  }
}

}  // namespace weir::checkpoint
