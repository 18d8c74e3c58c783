#pragma once

#include <map>
#include <memory>
#include <vector>

#include "runtime/keyed_state.h"
#include "state/rocksdb/rocksdb_backend.h"

namespace weir::runtime {

/// Keyed state in RocksDB: every checkpoint names RocksDB's files, those that earlier ones have
/// stored among them, and one that describes them.
class RocksDbKeyedState final : public KeyedState {
 public:
  RocksDbKeyedState(const SubtaskInfo& info, const TaskEnvironment& environment);
  Status open() { return backend_.open(); }

  KeyedStateBackend& backend() override { return backend_; }
  Status restore(CheckpointId checkpoint,
                 const std::vector<checkpoint::StateHandle>& files) override;
  Status finish_restore() override { return backend_.finish_restore().status(); }
  void forget_before(CheckpointId checkpoint) override;
  std::unique_ptr<Snapshot> start_snapshot(const Barrier& barrier,
                                           std::function<void()> wake) override;
  Progress copy_slice() override;

 private:
  class Files;
  void report() const;

  const SubtaskInfo& info_;
  const TaskEnvironment& environment_;
  state::RocksDbBackend backend_;
  /// What checkpoints that a later one may build upon have stored.
  std::map<CheckpointId, std::vector<state::RocksDbFile>> stored_;
};

}  // namespace weir::runtime
