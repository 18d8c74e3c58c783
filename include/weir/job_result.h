#pragma once

#include <string>

#include "weir/time.h"

namespace weir {

/// How a job ended.
enum class JobState {
  kFinished,   ///< the input ended (or was drained) and every result is committed
  kSuspended,  ///< stopped on request after a final snapshot; starts again from there
  kCanceled,   ///< ended on request, without a further checkpoint
};

struct JobResult {
  JobState state = JobState::kFinished;
  CheckpointId last_checkpoint = 0;  ///< 0 = none
  int restarts = 0;
  std::string savepoint;  ///< directory of the savepoint it was stopped with; empty = none
};

}  // namespace weir
