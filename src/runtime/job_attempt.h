#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/checkpoint_driver.h"
#include "runtime/commit_driver.h"
#include "runtime/job_control.h"
#include "runtime/job_inbox.h"
#include "runtime/job_options.h"
#include "runtime/source_coordinator.h"
#include "runtime/task_environment.h"
#include "runtime/worker_pool.h"
#include "weir/job_status.h"

namespace weir::runtime {

/// What outlives a single attempt.
struct JobServices {
  Clock* clock = nullptr;
  IoExecutor* io = nullptr;
  MetricRegistry* metrics = nullptr;
  MemoryBudget* memory = nullptr;
  checkpoint::CheckpointStore* store = nullptr;  ///< null when checkpointing is off
  JobControl* control = nullptr;
};

/// What an attempt starts from.
struct RestorePoint {
  checkpoint::Manifest manifest;
  /// What its paths are relative to; empty = the job's own directory.
  std::string base;
  std::map<std::string, std::string> former_uids;  ///< of renamed operators: present -> former
  bool is_chosen() const { return !base.empty(); }
};

/// One run of a job from a checkpoint (or from nothing) to its end or its first failure. The
/// thread that calls run() is the job's thread; everything the tasks and I/O threads report is
/// handled on it.
class JobAttempt final : public TaskListener {
 public:
  struct Outcome {
    Status status;             ///< why the attempt failed, if it did
    bool is_finished = false;  ///< the input ended and everything is committed
    CheckpointId last_checkpoint = 0;
    std::string savepoint;     ///< the one it was stopped with
    bool was_running = false;  ///< all tasks ran
    /// Nothing that a checkpoint holds waits for its commit.
    bool are_commits_proved = false;
  };

  /// `restored` may be null.
  JobAttempt(const ExecutionPlan& plan, const JobOptions& options, JobServices services,
             AttemptId attempt, const RestorePoint* restored,
             std::function<void(JobPhase)> on_phase);
  ~JobAttempt() override;

  Outcome run();

  /// For the job's listener: fills in what this attempt knows.
  void describe(JobStatus& status) const;
  /// Under Flink's names.
  std::vector<std::pair<std::string_view, std::int64_t>> checkpoint_metrics() const;

  // TaskListener; any thread.
  void on_running(int task) override;
  void on_end_of_data(int task) override;
  void on_ack(int task, CheckpointId checkpoint, TaskSnapshot snapshot) override;
  void on_decline(int task, CheckpointId checkpoint, const Error& reason,
                  TaskSnapshot rest) override;
  void on_failed(int task, const Error& error) override;
  void on_split_request(int task) override;

 private:
  Status prepare();
  Status restore_and_start();
  void create_commit_driver();
  Status create_sources();
  Status create_tasks();
  void wire_channels(std::vector<std::vector<Task::Wiring>>& wirings,
                     const std::vector<std::vector<int>>& workers);
  void create_checkpoint_driver();
  void start_tasks();
  void serve();
  void serve_requests(bool are_all_running);
  bool is_over() const { return failure_.has_value() || is_done_; }
  void fail(const Error& error);
  void check_terminal();
  int first_task_of(int vertex) const { return first_task_[static_cast<std::size_t>(vertex)]; }
  bool is_finished_before() const;

  const ExecutionPlan& plan_;
  const JobOptions& options_;
  const JobServices services_;
  const AttemptId attempt_;
  const checkpoint::Manifest* restored_;  ///< may be null
  const bool is_chosen_;                  ///< by the user, not this job's own latest
  const std::map<std::string, std::string> former_uids_;
  const std::function<void(JobPhase)> on_phase_;

  JobInbox inbox_;
  TaskEnvironment environment_;
  std::unique_ptr<checkpoint::StoreCheckpointFiles> files_;
  std::unique_ptr<CommitDriver> commits_;
  std::vector<std::unique_ptr<SourceCoordinator>> sources_;  ///< one per source vertex
  std::vector<int> source_vertices_;                         ///< parallel to sources_
  std::vector<std::unique_ptr<Channel>> channels_;
  std::vector<std::unique_ptr<Task>> tasks_;
  std::vector<int> first_task_;  ///< by vertex
  std::unique_ptr<CheckpointDriver> checkpoints_;
  std::unique_ptr<WorkerPool> workers_;

  std::optional<Error> failure_;
  std::size_t running_ = 0;
  bool is_stop_under_way_ = false;
  std::optional<CheckpointId> terminal_;
  std::string savepoint_;
  bool is_done_ = false;
  std::size_t at_end_ = 0;
  std::set<std::string> sources_with_backlog_;
  std::int64_t next_status_ns_ = 0;
  std::int64_t told_ = 0;  ///< completed checkpoints in the last status
};

}  // namespace weir::runtime
