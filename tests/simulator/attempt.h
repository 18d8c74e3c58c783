#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/checkpoint_files.h"
#include "checkpoint/commit_ledger.h"
#include "checkpoint/coordinator.h"
#include "checkpoint/manifest.h"
#include "checkpoint/state_chain.h"
#include "checkpoint/store.h"
#include "simulator/task.h"

namespace weir::simulator {

using checkpoint::CommitTicket;

class World;
struct Process;

/// One attempt of the job inside a process: the real coordinator, ledger and store, driven as
/// src/runtime's CheckpointDriver and CommitDriver do, but by the world's events.
class Attempt {
 public:
  Attempt(World& world, Process& process, checkpoint::CheckpointStore& store,
          std::optional<checkpoint::Manifest> restored, CheckpointId first_checkpoint);

  /// Reads the state, commits what the manifest holds, and lets the tasks run.
  Status start();
  /// Runs `work` of this attempt later, unless it is over by then.
  void later(std::int64_t delay_ms, std::function<void()> work);
  void fail(const Error& error);
  bool is_over() const { return is_over_; }

  World& world() { return world_; }
  checkpoint::CheckpointStore& store() { return store_; }
  checkpoint::StoreCheckpointFiles& files() { return files_; }
  AttemptId number() const { return number_; }
  const Vertex& vertex(int index) const { return vertices_[static_cast<std::size_t>(index)]; }
  const Edge& edge(int index) const { return edges_[static_cast<std::size_t>(index)]; }
  Channel& channel(int index) { return channels_[static_cast<std::size_t>(index)]; }
  int vertex_count() const { return static_cast<int>(vertices_.size()); }

  void push(int channel, const Element& element);
  void wake(int task);
  void schedule_write(int task, std::int64_t delay_ms);
  void report_end(int task);
  void request_savepoint();
  void request_stop();

 private:
  struct Collecting {
    checkpoint::Trigger trigger;
    std::map<int, TaskSnapshot> snapshots;
    std::optional<checkpoint::Manifest> manifest;
    bool is_savepoint_written = false;
  };

  void build_graph();
  int add_vertex(Role role, const std::string& uid, int sink);
  void add_edge(int from, int to);
  void connect(const Edge& edge, int index);
  Status restore_tasks();
  Status restore_keyed(const checkpoint::OperatorSnapshot& snapshot, const Vertex& vertex);
  Status restore_under_way(const Edge& edge);
  Status restore_lists(const checkpoint::OperatorSnapshot& snapshot, const Vertex& vertex);
  void run_tasks();
  void step(int task);
  void tell(Task& task, std::function<void()> work);
  void on_coordinator(Task& task, std::function<void()> work);

  void act_on(const checkpoint::CoordinatorActions& actions);
  void act(const checkpoint::Trigger& trigger);
  void act(const checkpoint::Publish& publish);
  void act(const checkpoint::NotifyComplete& complete);
  void act(const checkpoint::NotifyAborted& aborted);
  void act(const checkpoint::DiscardCheckpoint& discard);
  void act(const checkpoint::CollectGarbage& collect);
  void act(const checkpoint::RequestDone& done);
  void act(const checkpoint::FailJob& fail);
  void act(const checkpoint::JobFinished& finished);
  void act(const checkpoint::ScheduleAt& schedule);
  void act_on_ledger(const checkpoint::LedgerActions& actions);
  void act(const checkpoint::StartCommit& start);
  void act(const checkpoint::WakeLedgerAt& wake);
  void act(const checkpoint::RestoredDone& done);
  void act(const checkpoint::CommittedUpTo& up_to);
  void act(const checkpoint::StopOnCommit& stop);

  void trigger_sources(const checkpoint::Trigger& trigger);
  void on_snapshot(int task, TaskSnapshot snapshot);
  checkpoint::Manifest build_manifest(CheckpointId checkpoint, const Collecting& from);
  void publish(CheckpointId checkpoint);
  void on_published(CheckpointId checkpoint, const Status& status);
  Status write_savepoint(const checkpoint::Manifest& manifest);
  void collect();
  void on_store(std::function<void()> work);
  void send(std::function<Result<CommitResult>()> effect, CommitTicket ticket,
            const Committable& committable,
            std::function<void(const Result<CommitResult>&)> on_reply);
  void commit(CommitTicket ticket, const Committable& committable);
  void replay(CommitTicket ticket, const Committable& committable);
  void on_commit_result(CommitTicket ticket, const Committable& committable,
                        const Result<CommitResult>& result);
  void abort_orphans(int sink);
  void check_end();
  std::vector<std::string> files_in_use() const;
  checkpoint::TaskId enumerator() const { return static_cast<checkpoint::TaskId>(tasks_.size()); }
  TimestampMs now_ms() const;

  World& world_;
  Process& process_;
  checkpoint::CheckpointStore& store_;
  const AttemptId number_;
  const std::uint64_t serial_;
  std::optional<checkpoint::Manifest> restored_;
  std::vector<Committable> restored_committables_;
  checkpoint::CheckpointCoordinator coordinator_;
  checkpoint::CommitLedger ledger_;
  checkpoint::StoreCheckpointFiles files_;

  std::vector<Vertex> vertices_;
  std::vector<Edge> edges_;
  std::vector<Channel> channels_;
  std::vector<std::unique_ptr<Task>> tasks_;
  std::map<CheckpointId, Collecting> collecting_;
  checkpoint::FilesBuiltUpon built_upon_;
  std::vector<std::string> released_;
  std::set<std::uint64_t> requests_;  ///< not answered yet
  bool is_stop_requested_ = false;
  std::uint64_t next_request_ = 1;
  TimestampMs strand_free_ms_ = 0;
  int waiting_for_deletion_ = 0;
  int sinks_ready_ = 0;
  CheckpointId last_published_ = 0;
  CheckpointId terminal_ = 0;
  bool is_over_ = false;
};

}  // namespace weir::simulator
