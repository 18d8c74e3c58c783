#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "runtime/input_gate.h"
#include "runtime/input_rate.h"
#include "runtime/operator_chain.h"
#include "runtime/pending_snapshot.h"
#include "runtime/row_budget.h"
#include "runtime/source_driver.h"
#include "runtime/task_environment.h"
#include "runtime/task_messages.h"

namespace weir::runtime {

/// One subtask of one vertex: a cooperative unit that never blocks. step() does a bounded amount
/// of work; whoever hosts the task calls it again, from one thread at a time.
class Task {
 public:
  enum class Progress {
    kProgress,  ///< did something: call again
    kIdle,      ///< nothing to do now: call again after a wake-up or some milliseconds
    kDone,      ///< failed; never does anything again
  };
  struct Wiring {
    std::vector<InputGate::Input> inputs;  ///< empty for a source
    bool can_overtake = false;             ///< barriers may, in all inputs
    std::vector<std::unique_ptr<EdgeOutput>> outputs;
    std::vector<int> output_edges;  ///< parallel to `outputs`
  };

  Task(int id, const PlanVertex& vertex, int subtask, const TaskEnvironment& environment,
       Wiring wiring, TaskRestore restore, WakeSignal& signal);
  ~Task();

  Progress step();

  /// Any thread.
  void post(TaskMessage message);
  int id() const { return id_; }
  int subtask() const { return subtask_; }
  const PlanVertex& vertex() const { return vertex_; }
  bool is_source() const {
    return source_ != nullptr || vertex_.operators.front().source != nullptr;
  }

 private:
  enum class Phase { kCreated, kRunning, kEnding, kEnded, kFailed };

  Progress step_unguarded();
  Status open();
  /// True when something was done. What fails sets the chain's status.
  bool run_once();
  bool handle_mail();
  void handle(TaskMessage& message);
  void handle_behind_barrier();
  bool advance_snapshots(std::int64_t copy_ns);
  bool must_wait_for_snapshot() const;
  bool handle_barrier();
  /// True when the first barrier may be handled although outputs are full.
  bool may_pass_outputs() const;
  void overtake();
  void start_snapshot();
  CheckpointTimings timings_of(const Barrier& barrier, std::int64_t began_ns) const;
  bool serve_time();
  bool read_input();
  bool read_source();
  bool read_gate();
  void on_event(InputGate::Event event);
  void begin_end_of_data();
  bool finish_end_of_data();
  void forward_watermark();
  void broadcast(const Element& element);
  void flush_outputs();
  void drain_overflows();
  bool has_barrier() const { return !barriers_.empty(); }
  void fail(const Error& error);

  const int id_;
  const PlanVertex& vertex_;
  const int subtask_;
  const TaskEnvironment& environment_;
  WakeSignal& signal_;
  TaskRestore restore_;
  Phase phase_ = Phase::kCreated;

  std::vector<std::unique_ptr<EdgeOutput>> outputs_;
  std::unique_ptr<OperatorChain> chain_;
  std::unique_ptr<SourceDriver> source_;
  std::optional<InputGate> gate_;
  bool is_stopped_ = false;  ///< a terminal barrier has passed
  bool is_paused_ = false;   ///< a source that waits for its first barrier

  std::optional<Barrier> drain_;  ///< of a source: to end its input before it
  /// To be handled before any further input.
  struct NextBarrier {
    Barrier barrier;
    bool has_overtaken = false;  ///< it overtook input, whose log will follow
  };
  std::deque<NextBarrier> barriers_;
  /// What the enumerator sent behind a barrier that is not handled yet: in its snapshot of that
  /// checkpoint these splits are its own still, so they must not be in the reader's.
  std::deque<TaskMessage> behind_barrier_;
  bool are_operators_prepared_ = false;
  std::deque<std::unique_ptr<PendingSnapshot>> snapshots_;

  RowBudget row_budget_;
  InputRate input_rate_;
  std::size_t rows_taken_ = 0;  ///< in this step
  bool is_step_used_up_ = false;
  bool was_starved_ = false;  ///< the last step found no input
  std::int64_t now_ns_ = 0;
  std::int64_t next_watermark_ns_ = 0;
  std::int64_t last_flush_ns_ = 0;

  std::atomic<bool> has_mail_{false};
  std::mutex mail_mutex_;
  std::vector<TaskMessage> mail_;  ///< guarded by mail_mutex_
};

}  // namespace weir::runtime
