#pragma once

#include <string>

#include "weir/time.h"

namespace weir::cli {

/// Commands that talk to a running job, named by its checkpoint directory, job id or socket. Each
/// prints its answer and returns the exit status.

struct JobCommand {
  std::string job;
  std::string directory;  ///< of a savepoint; empty = the job's setting
  bool is_drain = false;
  bool is_json = false;
  DurationMs timeout{0};
};

int show_job_status(const JobCommand& command);
int cancel_job(const JobCommand& command);
/// These print the path of the snapshot and nothing else, for scripts.
int trigger_checkpoint(const JobCommand& command);
int trigger_savepoint(const JobCommand& command);
int stop_with_savepoint(const JobCommand& command);

/// Needs no job.
int dispose_savepoint_at(const std::string& path, bool is_json);

}  // namespace weir::cli
