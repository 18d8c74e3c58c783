#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "checkpoint/checkpoint_files.h"
#include "checkpoint/coordinator.h"
#include "checkpoint/savepoint.h"
#include "checkpoint/state_chain.h"
#include "checkpoint/store.h"
#include "runtime/commit_driver.h"
#include "runtime/io_executor.h"
#include "runtime/job_control.h"
#include "runtime/job_inbox.h"
#include "runtime/job_options.h"
#include "runtime/manifest_builder.h"
#include "runtime/source_coordinator.h"
#include "runtime/task.h"

namespace weir::runtime {

/// Performs what the checkpoint coordinator decides: triggers sources, collects
/// acknowledgements, publishes manifests, tells the tasks. Called on the job's thread.
class CheckpointDriver {
 public:
  struct Options {
    const JobOptions* job = nullptr;
    const ExecutionPlan* plan = nullptr;
    Clock* clock = nullptr;
    IoExecutor* io = nullptr;
    JobInbox* inbox = nullptr;
    checkpoint::CheckpointStore* store = nullptr;
    checkpoint::StoreCheckpointFiles* files = nullptr;
    CommitDriver* commits = nullptr;
    checkpoint::CoordinatorOptions coordinator;
    const checkpoint::Manifest* restored = nullptr;  ///< null on a first start
    AttemptId attempt = 0;
    std::function<void(const Error&)> on_failed;
    /// The terminal checkpoint was published; its commits may still be open. With the directory of
    /// the savepoint, if it was stopped with one.
    std::function<void(CheckpointId, const std::string& savepoint)> on_terminal;
    /// The suspension that was asked for did not happen.
    std::function<void()> on_suspend_failed;
    JobControl* control = nullptr;
  };

  explicit CheckpointDriver(Options options);
  ~CheckpointDriver() { is_closed_->store(true); }

  void start(std::vector<Task*> tasks, std::vector<SourceCoordinator*> sources);
  void on_all_running();
  void on_time();
  /// How long on_time can wait.
  std::int64_t next_wake_ms() const { return coordinator_.next_wake_ms(); }
  /// A final checkpoint, after which the job may be started again.
  void request_suspend();
  void request(std::shared_ptr<SnapshotRequest> request);

  void on_ack(int task, CheckpointId checkpoint, TaskSnapshot snapshot);
  void on_decline(int task, CheckpointId checkpoint, const Error& reason, TaskSnapshot rest);
  void on_end_of_data(int task);
  void set_backlog(bool is_backlog);

  CheckpointId last_completed() const { return coordinator_.last_completed(); }
  std::int64_t age_ms() const { return coordinator_.age_ms(now_ms()); }
  const checkpoint::CheckpointStatistics& statistics() const { return coordinator_.statistics(); }
  /// Of the last completed checkpoint: each the longest of any task.
  const CheckpointTimings& last_timings() const { return last_longest_; }

 private:
  struct Collecting {
    CollectedSnapshots snapshots;
    checkpoint::Trigger trigger;
    TimestampMs triggered_ms = 0;
    CheckpointTimings longest;  ///< of any task so far
    /// Once assembled it stays as it is: publishing again must send the same bytes.
    std::optional<checkpoint::Manifest> manifest;
    std::string savepoint;  ///< where it was written; a terminal one still needs its record
  };

  void act_on(const checkpoint::CoordinatorActions& actions);
  void act(const checkpoint::Trigger& trigger);
  void trigger_sources(const Barrier& barrier);
  void act(const checkpoint::Publish& publish);
  void publish_record(CheckpointId checkpoint, checkpoint::Manifest manifest);
  void write_savepoint(CheckpointId checkpoint, const Collecting& from);
  void on_savepoint_written(CheckpointId checkpoint, const Result<std::string>& written);
  void answer(const checkpoint::RequestDone& done);
  Status dispose_claimed();
  void on_published(CheckpointId checkpoint, const Status& status,
                    const checkpoint::PublishedSizes& sizes);
  void act(const checkpoint::NotifyComplete& complete);
  void act(const checkpoint::NotifyAborted& aborted);
  void act(const checkpoint::DiscardCheckpoint& discard);
  void act(const checkpoint::CollectGarbage& collect);
  void act(const checkpoint::RequestDone& done);
  void act(const checkpoint::FailJob& fail);
  void act(const checkpoint::JobFinished& finished);
  void act(const checkpoint::ScheduleAt& schedule);

  Result<checkpoint::Manifest> build_manifest(CheckpointId checkpoint, const Collecting& from);
  void keep_committables(TaskSnapshot& snapshot);
  void tell_tasks(const TaskMessage& message);
  checkpoint::TaskId enumerator_task(std::size_t source) const {
    return static_cast<checkpoint::TaskId>(tasks_.size() + source);
  }
  std::int64_t now_ms() const { return options_.clock->monotonic_ns() / 1'000'000; }

  const Options options_;
  checkpoint::CheckpointCoordinator coordinator_;
  std::shared_ptr<Strand> store_strand_;
  std::vector<Task*> tasks_;
  std::vector<SourceCoordinator*> sources_;
  std::map<CheckpointId, Collecting> collecting_;
  std::vector<std::string> released_files_;
  bool is_claimed_disposed_ = false;  ///< used on the store's strand
  checkpoint::RequestId next_request_ = 1;
  checkpoint::RequestId suspend_request_ = 0;
  std::map<checkpoint::RequestId, std::shared_ptr<SnapshotRequest>> requests_;
  std::string terminal_savepoint_;
  std::string last_problem_;  ///< why something failed last, for answers
  /// Savepoints that are being written, and the files they are made of.
  std::map<CheckpointId, std::vector<std::string>> savepoint_files_;
  checkpoint::FilesBuiltUpon built_upon_;
  std::shared_ptr<std::atomic<bool>> is_closed_ = std::make_shared<std::atomic<bool>>(false);
  CheckpointId last_published_ = 0;
  CheckpointTimings last_longest_;
  int waiting_for_deletion_ = 0;
  bool is_age_warned_ = false;
};

}  // namespace weir::runtime
