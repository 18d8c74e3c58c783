#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "io/file_system.h"
#include "state/namespace_shards.h"
#include "state/snapshot.h"
#include "weir/key_group.h"
#include "weir/result.h"
#include "weir/state_table.h"

namespace weir::state {

class HeapTable;
class StateRestore;
enum class StateKind : std::uint8_t;

/// Keyed state of one operator in one subtask, in hash tables on the heap.
///
/// Life: construct, [restore], the operator opens its states, [finish_restore], run. One thread
/// owns it. A snapshot is cooperative: start_snapshot() at the barrier costs O(tables), then the
/// owner calls copy_slice() between batches until it says kDone or kFailed; whatever is written in
/// between first has its barrier-time value copied. A snapshot holds every entry exactly once, as
/// of the barrier; a delta only what was written, erased and dropped since the snapshot of an
/// earlier checkpoint, upon which it builds.
class HeapBackend final : public KeyedStateBackend {
 public:
  struct Options {
    std::string owner;  ///< names the operator in errors
    int max_parallelism = kDefaultMaxParallelism;
    KeyGroupRange key_groups{0, kDefaultMaxParallelism - 1};
    ShardLimits limits;
    bool is_incremental = false;  ///< snapshots may be deltas; erased keys are remembered for them
    Clock* clock = nullptr;       ///< by which values expire; null: the machine's
  };
  enum class CopyProgress {
    kDone,     ///< no snapshot is being copied (any more): all parts were submitted
    kMore,     ///< call again after the next batch
    kWaiting,  ///< the sink has no room: call again later
    kFailed,   ///< the sink failed; the snapshot is abandoned, the state is intact
  };

  explicit HeapBackend(Options options);
  ~HeapBackend() override;

  /// Takes this subtask's entries from state files of any old parallelism. Checks every byte of
  /// every file before anything is used; states are decoded when they are opened. `files` outlives
  /// finish_restore().
  /// REQUIRES: nothing was opened yet.
  Status restore(FileSystem& files, std::vector<RestoreFile> state_files);
  /// Reads what no open_* asked for into memory, so that later snapshots carry it on and a later
  /// open_* finds it, and lets go of the files. Returns the names of those states.
  Result<std::vector<std::string>> finish_restore();

  Result<StateTable*> open_table(StateTableDescriptor descriptor) override;
  Result<TimerQueue*> open_timers(std::string name, const TypeOps& key) override;
  Status status() const override;

  /// Starts a snapshot of the state as it is now. One that is still being copied is completed
  /// first, without regard to room (see forced_completions()). With `since`, a delta: the files of
  /// that checkpoint and this one make the state; of the key groups `whole` this file alone does.
  /// A `checkpoint` of 0 is never built upon.
  /// REQUIRES: since == 0 or can_build_on(since); `whole` is within the key groups.
  void start_snapshot(std::shared_ptr<SnapshotSink> sink, CheckpointId checkpoint = 0,
                      CheckpointId since = 0, KeyGroupRange whole = {});
  /// Whether a delta may be taken of what changed since that checkpoint's snapshot.
  bool can_build_on(CheckpointId checkpoint) const { return closed_.contains(checkpoint); }
  /// No delta will build on an earlier checkpoint any more.
  void forget_before(CheckpointId checkpoint);
  /// After restore(), before anything is opened: deltas may build on the restored checkpoint.
  void build_on_restored(CheckpointId checkpoint);
  /// Copies about `slots_max` table slots (about 1-4 ns each).
  CopyProgress copy_slice(std::size_t slots_max = 8192);
  /// Ends the running snapshot, if any, without a result; its sink is told.
  void abandon_snapshot(Error reason);
  bool is_copying() const { return copy_ != nullptr; }
  /// The state must not be changed for a while: copies of what is overwritten are written more
  /// slowly than they are made.
  bool must_wait() const;

  /// Snapshots that a following barrier had to complete.
  std::uint64_t forced_completions() const { return forced_completions_; }
  /// Memory of all tables, pooled memory included; heap memory inside keys and values is not.
  std::size_t memory_bytes() const;
  std::uint64_t entry_count() const;

 private:
  struct OpenState {
    std::unique_ptr<HeapTable> table;
    std::unique_ptr<TimerQueue> timers;  ///< of a timer state
  };
  struct Copy;

  Result<OpenState*> open(StateKind kind, StateTableDescriptor descriptor);
  CopyProgress copy(std::size_t slots_max, bool is_forced);
  /// Hands over restored states that nobody opened. False if there is no room.
  bool copy_carried(std::size_t& spent, std::size_t slots_max, bool is_forced);
  void end_copy();
  /// Tells the tables which erased keys are still to be remembered.
  void update_needed();
  std::uint32_t needed_above() const;

  const Options options_;
  std::uint32_t epoch_;
  std::map<CheckpointId, std::uint32_t> closed_;  ///< the epoch that a checkpoint's barrier closed
  std::map<std::pair<StateKind, std::string>, OpenState> states_;
  std::unique_ptr<StateRestore> restore_;
  std::unique_ptr<Copy> copy_;
  std::uint64_t forced_completions_ = 0;
};

}  // namespace weir::state
