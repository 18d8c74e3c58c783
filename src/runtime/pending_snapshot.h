#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "runtime/operator_chain.h"
#include "runtime/outcome.h"
#include "runtime/task_messages.h"

namespace weir::runtime {

/// One task's part of one checkpoint, from its barrier to the acknowledgement: copies state in
/// slices, waits for the files, for what the sinks prepare and for what the barrier overtook. Used
/// on the task's thread.
class PendingSnapshot {
 public:
  /// At the barrier, after the sinks ended their epoch: starts the copies. `awaits_log`: the
  /// barrier overtook something, store_log() will follow.
  PendingSnapshot(const Barrier& barrier, OperatorChain& chain, const TaskEnvironment& environment,
                  std::function<void()> wake, bool awaits_log);

  /// What the barrier overtook is complete: writes it.
  void store_log(ChannelLog log);

  /// Does a bounded amount of work: copies one slice of state, and others until `copy_until_ns`
  /// (monotonic clock). Error: a sink failed, which ends the attempt.
  Status advance(std::int64_t copy_until_ns);
  /// True while state is still being copied: the next snapshot has to wait.
  bool is_copying() const;
  bool is_complete() const;

  /// The checkpoint is over: state is not needed any more, what the sinks prepared is.
  void abort();

  const Barrier& barrier() const { return barrier_; }
  /// REQUIRES: is_complete().
  TaskSnapshot& result() { return result_; }
  /// Why the state could not be stored, if it could not.
  const std::optional<Error>& failure() const { return failure_; }

 private:
  struct KeyedPart {
    OperatorChain::Node* node;
    std::size_t operator_index;  // into result_.operators
    std::unique_ptr<KeyedState::Snapshot> snapshot;
    bool is_copied = false;
    bool is_stored = false;
  };
  struct SinkPart {
    OperatorChain::Node* node;
    std::size_t sink_index;  // into result_.sinks
    bool is_prepared = false;
  };

  void copy_slices(std::int64_t until_ns);
  void collect_files();
  void collect_log();
  Status collect_sinks();

  const Barrier barrier_;
  const TaskEnvironment& environment_;
  const std::function<void()> wake_;
  const std::string log_name_;
  bool awaits_log_ = false;
  /// While the log is written; shared with the I/O thread that does.
  std::shared_ptr<Outcome<ChannelLog::Stored>> log_;
  TaskSnapshot result_;
  std::vector<KeyedPart> keyed_;
  std::vector<SinkPart> sinks_;
  std::optional<Error> failure_;
};

}  // namespace weir::runtime
