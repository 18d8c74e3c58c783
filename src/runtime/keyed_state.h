#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "checkpoint/manifest.h"
#include "runtime/element.h"
#include "runtime/task_environment.h"
#include "weir/operator.h"
#include "weir/result.h"
#include "weir/state_table.h"

namespace weir::runtime {

/// The keyed state of one operator in one subtask as its task sees it: a state backend, and how
/// what the backend stores becomes files that a manifest names. Used on the task's thread.
class KeyedState {
 public:
  virtual ~KeyedState() = default;

  virtual KeyedStateBackend& backend() = 0;
  /// From the files of a checkpoint or savepoint; before the operator opens its states.
  virtual Status restore(CheckpointId checkpoint,
                         const std::vector<checkpoint::StateHandle>& files) = 0;
  /// After the operator has opened its states.
  virtual Status finish_restore() = 0;
  /// That checkpoint is complete: none before it will be built upon.
  virtual void forget_before(CheckpointId checkpoint) = 0;

  /// One that was started.
  class Snapshot {
   public:
    virtual ~Snapshot() = default;
    /// The files, or why there are none; nothing while they are being written. Once.
    virtual std::optional<Result<std::vector<checkpoint::StateHandle>>> poll() = 0;
    /// Not wanted any more: what of it is under way ends soon. `is_copied`: copy_slice() has said
    /// kDone.
    virtual void abandon(const Error& reason, bool is_copied) = 0;
  };
  /// Starts a snapshot of the state as it is now, at `barrier`. `wake` is called, on any thread,
  /// when poll() has something to say.
  virtual std::unique_ptr<Snapshot> start_snapshot(const Barrier& barrier,
                                                   std::function<void()> wake) = 0;
  enum class Progress {
    kDone,     ///< this thread has nothing left to copy
    kMore,     ///< call again after the next batch
    kWaiting,  ///< the files do not keep up: call again later
  };
  virtual Progress copy_slice() = 0;
  /// While a snapshot is copied: records have to wait, because what they overwrite is kept in
  /// memory until it is written.
  virtual bool must_wait() { return false; }
};

/// With the backend that the settings name.
Result<std::unique_ptr<KeyedState>> make_keyed_state(const SubtaskInfo& info,
                                                     const TaskEnvironment& environment);

/// Part of the name of a subtask's files, for people.
std::string subtask_name(const SubtaskInfo& info);

}  // namespace weir::runtime
