#pragma once

#include <functional>
#include <optional>
#include <string>

#include "checkpoint/barrier_aligner.h"
#include "checkpoint/coordinator.h"
#include "checkpoint/garbage.h"
#include "checkpoint/store.h"
#include "checkpoint/uid_mapping.h"
#include "io/file_system.h"
#include "runtime/execution_plan.h"
#include "runtime/memory_budget.h"
#include "state/rocksdb/rocksdb_settings.h"
#include "weir/config_options.h"
#include "weir/configuration.h"
#include "weir/job_status.h"

namespace weir::runtime {

/// The settings of a job in the form the runtime uses.
struct JobOptions {
  std::string job_name;
  std::string pipeline_id;
  std::string job_id;            ///< 32 hexadecimal digits
  std::int64_t incarnation = 0;  ///< of a run; found out by the job runner, as the next
  Lineage lineage;
  std::string control_socket;  ///< path, "off", or empty for the default place
  int workers = 1;
  int io_threads = 4;
  DurationMs auto_watermark_interval{200};
  DurationMs buffer_timeout{100};
  int max_parallelism = kDefaultMaxParallelism;
  bool is_max_parallelism_explicit = false;

  bool is_checkpointing_enabled = false;
  checkpoint::AlignmentMode alignment = checkpoint::AlignmentMode::kExactlyOnce;
  bool is_unaligned = false;
  bool is_incremental = false;
  bool are_snapshots_compressed = false;
  std::optional<state::RocksDbSettings> rocksdb;  ///< of keyed state; not set: on the heap
  MemorySettings memory;
  DurationMs aligned_timeout{0};  ///< with is_unaligned: from then on barriers overtake
  checkpoint::CoordinatorOptions coordinator;
  checkpoint::StoreOptions store;
  checkpoint::GarbageOptions garbage;
  std::string savepoint_directory;  ///< of savepoints that name none; may be empty
  int commit_retries = 10;
  CheckpointRetention retention = CheckpointRetention::kRetainOnCancellation;
  bool is_retention_set = false;  ///< by the user: then FINISHED deletes, too
  bool are_checkpoints_taken_after_finish = true;
  bool are_sources_paused_at_start = false;  ///< pause-until-first-checkpoint
  checkpoint::UidMapping uid_mapping;
  std::string recovery_path;  ///< empty = the latest checkpoint of this job, if any
  bool is_unclaimed_state_ignored = false;
  /// Directory of a claimed snapshot, to be deleted when it is subsumed; empty = none. Found out by
  /// the job runner.
  std::string claimed_snapshot;
  bool is_snapshot_claimed = false;     ///< claim-mode CLAIM
  bool are_later_results_kept = false;  ///< weir.state-recovery.later-results

  JobListener listener;  ///< may be empty
  /// Where checkpoints are written; null = the machine's own file system. Outlives the job.
  FileSystem* files = nullptr;
};

/// The job id, and so the checkpoint directory's name, of a pipeline: its own id where that is 32
/// hexadecimal digits already.
std::string job_id_of(const std::string& pipeline_id);

/// Reads the settings. REQUIRES: validate(configuration).ok().
Result<JobOptions> job_options_of(const Configuration& configuration, const std::string& job_name);

/// What sinks are told; without sink uid and parallelism. `files` may be null.
SinkContext sink_context_of(const JobOptions& options, AttemptId attempt, CheckpointFiles* files);

}  // namespace weir::runtime
