#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "weir/time.h"

namespace weir {

/// Flink's job states, as far as an embedded job has them.
enum class JobPhase {
  kCreated,
  kRestoring,
  kRunning,
  kRestarting,
  kFinished,
  kSuspended,
  kCanceled,
  kFailed
};

/// A running job at a glance. Counters go on over restarts within the process.
struct JobStatus {
  JobPhase phase = JobPhase::kCreated;
  AttemptId attempt = 0;
  int restarts = 0;
  std::int64_t records_in = 0;   ///< emitted by sources
  std::int64_t records_out = 0;  ///< taken by sinks
  std::int64_t checkpoints_completed = 0;
  std::int64_t checkpoints_failed = 0;
  CheckpointId last_checkpoint = 0;
  std::int64_t last_checkpoint_duration_ms = 0;
  std::uint64_t last_checkpoint_size_bytes = 0;       ///< of the files that it wrote
  std::uint64_t last_checkpoint_full_size_bytes = 0;  ///< and of those it shares with earlier ones
  /// Each the longest of any subtask: from the trigger to the first sign of the barrier; from there
  /// until the inputs were aligned; then the subtask did nothing else until it went on.
  std::int64_t last_checkpoint_start_delay_us = 0;
  std::int64_t last_checkpoint_alignment_us = 0;
  std::int64_t last_checkpoint_sync_us = 0;
  /// Since the last checkpoint was completed, or the attempt began.
  std::int64_t last_checkpoint_age_ms = 0;
  /// Checkpoint this process' first attempt started from; 0 = none.
  CheckpointId restored_checkpoint = 0;
  /// Prepared epochs whose commit is not proved yet.
  std::int64_t pending_committables = 0;
  /// Tries of this attempt to commit that came to nothing, and the age of the oldest commit that
  /// was tried and is not proved yet; 0 = there is none.
  std::int64_t commit_retries = 0;
  std::int64_t oldest_commit_age_ms = 0;
};

std::string_view job_phase_name(JobPhase phase);

/// Called about five times a second, at every change of phase and after every completed checkpoint,
/// on the job's own thread.
using JobListener = std::function<void(const JobStatus&)>;

}  // namespace weir
