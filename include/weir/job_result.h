#pragma once

#include "weir/time.h"

namespace weir {

/// How a job ended.
enum class JobState {
  kFinished,   ///< the input ended and every result is committed
  kSuspended,  ///< stopped on request (SIGTERM) after a final checkpoint; starts again from there
};

struct JobResult {
  JobState state = JobState::kFinished;
  CheckpointId last_checkpoint = 0;  ///< 0 = none
  int restarts = 0;
};

}  // namespace weir
