#pragma once

#include <memory>

#include "checkpoint/state_chain.h"
#include "runtime/keyed_state.h"
#include "state/heap_backend.h"
#include "state/snapshot.h"

namespace weir::runtime {

/// Keyed state on the heap: one state file per checkpoint, whole or a delta.
class HeapKeyedState final : public KeyedState {
 public:
  HeapKeyedState(const SubtaskInfo& info, const TaskEnvironment& environment);

  /// Whether restore() can read files of that form. The error says what to do instead.
  static Status check_readable(const std::vector<checkpoint::StateHandle>& files);

  KeyedStateBackend& backend() override { return backend_; }
  Status restore(CheckpointId checkpoint,
                 const std::vector<checkpoint::StateHandle>& files) override;
  Status finish_restore() override { return backend_.finish_restore().status(); }
  void forget_before(CheckpointId checkpoint) override;
  std::unique_ptr<Snapshot> start_snapshot(const Barrier& barrier,
                                           std::function<void()> wake) override;
  Progress copy_slice() override;
  bool must_wait() override { return backend_.must_wait(); }

 private:
  class StateFile;

  const SubtaskInfo& info_;
  const TaskEnvironment& environment_;
  state::HeapBackend backend_;
  checkpoint::StateChain chain_;
};

}  // namespace weir::runtime
