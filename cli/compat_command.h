#pragma once

#include <string>
#include <vector>

#include "weir/time.h"

namespace weir::cli {

struct CompatCommand {
  std::string snapshot;
  std::string program;                 ///< the job
  std::vector<std::string> arguments;  ///< of the job
  DurationMs timeout{0};               ///< for the job to build its pipeline
  std::vector<std::string> fail_on;    ///< names of fits that are a failure, too
  bool is_json = false;
};

/// `weir compat`: whether the job would start from the snapshot, and what would become of each
/// state. Runs the program as far as its execute(). kExitFailed when it would not start, or when
/// what it would start with is of `fail_on`.
int compare_job_with_snapshot(const CompatCommand& command);

}  // namespace weir::cli
