#pragma once

#include <cstdint>
#include <set>

#include "checkpoint/abort_reason.h"
#include "checkpoint/manifest.h"
#include "weir/time.h"

namespace weir::checkpoint {

/// Flink's CheckpointFailureManager: counts consecutive failures. Each checkpoint counts at most
/// once, one below the last success never, a success clears. Pure.
class FailureTracker {
 public:
  /// `tolerable` = tolerable-failed-checkpoints; 2147483647 = never fail.
  explicit FailureTracker(int tolerable) : tolerable_(tolerable) {}

  /// Returns true when the job has to fail. `checkpoint` 0 = it never got a number.
  bool on_failure(CheckpointId checkpoint, SnapshotKind kind, AbortReason reason);
  /// A snapshot that recovery may use has completed.
  void on_success(CheckpointId checkpoint);
  int consecutive() const { return consecutive_; }

 private:
  int tolerable_;
  int consecutive_ = 0;
  CheckpointId last_success_ = 0;
  std::set<CheckpointId> counted_;
};

}  // namespace weir::checkpoint
