#pragma once

#include <memory>
#include <optional>

#include "runtime/control_server.h"
#include "runtime/execution_plan.h"
#include "runtime/job_attempt.h"
#include "runtime/job_control.h"
#include "runtime/job_options.h"
#include "runtime/memory_budget.h"
#include "runtime/restart_strategy.h"
#include "weir/job_result.h"

namespace weir::runtime {

/// Runs a plan to its end: attempts, and restarts between them.
class JobRunner {
 public:
  JobRunner(ExecutionPlan plan, JobOptions options, std::unique_ptr<RestartStrategy> restarts);

  /// On the calling thread, once. control() is told the result.
  Result<JobResult> run();
  /// For requests, from any thread.
  const std::shared_ptr<JobControl>& control() const { return control_; }
  const MemoryBudget& memory() const { return memory_; }

 private:
  Result<JobResult> run_to_end();
  Status preflight();
  Status open_store();
  Status open_control_socket();
  Status load_chosen();
  Result<std::optional<RestorePoint>> find_restore_point();
  Status claim_chosen();
  Status check_restore(RestorePoint& point);
  Result<std::optional<JobResult>> find_finished();
  void apply_retention(const Result<JobResult>& result);
  Result<JobAttempt::Outcome> run_attempt();
  /// True when the job is to start again; waits for the time to come.
  bool is_hopeless(const Error& error);
  bool wait_for_restart(const JobAttempt::Outcome& outcome);
  void report(JobPhase phase, const JobAttempt* attempt);

  ExecutionPlan plan_;
  JobOptions options_;
  std::unique_ptr<RestartStrategy> restarts_;
  const std::shared_ptr<JobControl> control_;
  MetricRegistry metrics_;
  MemoryBudget memory_;
  IoExecutor io_;
  std::unique_ptr<FileSystem> own_files_;
  FileSystem* files_ = nullptr;
  std::unique_ptr<checkpoint::CheckpointStore> store_;
  std::unique_ptr<ControlServer> control_server_;
  /// The snapshot that the user chose; nothing when none was, or when it is gone.
  std::optional<RestorePoint> chosen_;
  /// The job's line, when it does not go on from a checkpoint of its own.
  const std::int64_t new_incarnation_;
  /// Of the last attempt: its line, and whether everything its checkpoints hold is committed.
  std::int64_t incarnation_ = 0;
  Lineage lineage_;
  bool are_commits_proved_ = false;
  bool has_run_ = false;
  JobStatus status_;
  /// Checkpoints of the attempts before the present one.
  std::int64_t completed_before_ = 0;
  std::int64_t failed_before_ = 0;
  int restart_count_ = 0;
};

}  // namespace weir::runtime
