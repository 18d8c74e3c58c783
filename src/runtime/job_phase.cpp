#include "weir/job_status.h"

namespace weir {

std::string_view job_phase_name(JobPhase phase) {
  switch (phase) {
    case JobPhase::kCreated:
      return "CREATED";
    case JobPhase::kRestoring:
      return "INITIALIZING";
    case JobPhase::kRunning:
      return "RUNNING";
    case JobPhase::kRestarting:
      return "RESTARTING";
    case JobPhase::kFinished:
      return "FINISHED";
    case JobPhase::kSuspended:
      return "SUSPENDED";
    case JobPhase::kCanceled:
      return "CANCELED";
    case JobPhase::kFailed:
      return "FAILED";
  }
  return "?";
}

}  // namespace weir
