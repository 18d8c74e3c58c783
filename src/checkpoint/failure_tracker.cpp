#include "checkpoint/failure_tracker.h"

namespace weir::checkpoint {

bool FailureTracker::on_failure(CheckpointId checkpoint, SnapshotKind kind, AbortReason reason) {
  // A savepoint that fails at the coordinator is its requester's affair; one whose state could not
  // be written by a task tells about the job.
  const bool counts =
      counts_as_failure(reason) &&
      (kind == SnapshotKind::kCheckpoint || reason == AbortReason::kCheckpointAsyncException);
  if (!counts) {
    return false;
  }
  if (checkpoint != 0 && (checkpoint < last_success_ || !counted_.insert(checkpoint).second)) {
    return false;
  }
  ++consecutive_;
  return consecutive_ > tolerable_;
}

void FailureTracker::on_success(CheckpointId checkpoint) {
  if (checkpoint < last_success_) {
    return;
  }
  last_success_ = checkpoint;
  consecutive_ = 0;
  counted_.clear();
}

}  // namespace weir::checkpoint
