#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "io/file_system.h"
#include "state/rocksdb/rocksdb_settings.h"
#include "state/snapshot.h"
#include "weir/key_group.h"
#include "weir/result.h"
#include "weir/state_table.h"

namespace weir::state {

/// A file of a checkpoint of this backend, as the manifest describes it.
struct RocksDbFile {
  std::string name;  ///< in the manifest
  FileSummary file;
  std::string
      meta;  ///< which of RocksDB's files it is; first comes the one that describes them all
};

/// Keyed state of one operator in one subtask, in RocksDB: for state beyond memory.
///
/// A cache of values lies above RocksDB. What is written stays there until the epoch it was written
/// in is closed, by a barrier or when enough has come together; then it is encoded in slices by
/// this thread, and an I/O thread sorts it, writes it as one sorted file per state and hands that
/// file to RocksDB. So there is neither a log nor a write buffer, a snapshot is the files that are
/// there when its epoch has gone down, and no checkpoint of RocksDB is ever waited for.
///
/// Life, threads and snapshots as HeapBackend's. When reading fails, the call that needed the value
/// throws and status() says why.
class RocksDbBackend final : public KeyedStateBackend {
 public:
  struct Options {
    std::string owner;  ///< names the operator in errors
    int max_parallelism = kDefaultMaxParallelism;
    KeyGroupRange key_groups{0, kDefaultMaxParallelism - 1};
    RocksDbSettings settings;
    /// Executes a job on some I/O thread, soon; must not drop it.
    std::function<void(std::function<void()> job)> run;
    /// By which values expire; used on any thread, outlives the process' compactions. Null: the
    /// machine's.
    Clock* clock = nullptr;
  };
  enum class CopyProgress {
    kDone,  ///< nothing is left to be copied on this thread
    kMore,  ///< call again after the next batch
  };

  explicit RocksDbBackend(Options options);
  ~RocksDbBackend() override;

  /// Makes the local directory. First of all.
  Status open();

  struct RestoreFrom {
    std::string path;
    RocksDbFile file;
  };
  /// From the files of subtasks of any old parallelism, each subtask's together and in the order of
  /// its snapshot. Verifies every byte first.
  Status restore(FileSystem& files, const std::vector<RestoreFrom>& from);
  /// From state files (docs/formats/state-file.md): of a savepoint, or of the heap backend.
  Status restore_state_files(FileSystem& files, std::vector<RestoreFile> from);
  Result<std::vector<std::string>> finish_restore();

  Result<StateTable*> open_table(StateTableDescriptor descriptor) override;
  Result<TimerQueue*> open_timers(std::string name, const TypeOps& key) override;
  Result<MapTable*> open_map(StateTableDescriptor descriptor, MapParts parts) override;
  Status status() const override;

  struct NewFile {
    std::string name;
    std::string path;
  };
  struct SnapshotOptions {
    CheckpointId checkpoint = 0;
    FileSystem* files = nullptr;  ///< outlives the snapshot
    /// Makes the name of a new file of the checkpoint; called on I/O threads.
    std::function<NewFile(std::string_view hint)> new_file;
    /// Files of a completed checkpoint: those that are still the same are named again.
    std::vector<RocksDbFile> reusable;
    /// Write one state file instead, as savepoints are made of.
    bool is_state_file = false;
    /// Called exactly once, on an I/O thread: all files are durable (their names are after
    /// sync_directory), or why there are none.
    std::function<void(Result<std::vector<RocksDbFile>>)> on_done;
  };
  /// Starts a snapshot of the state as it is now. It is copied after those that were started
  /// before.
  void start_snapshot(SnapshotOptions options);
  CopyProgress copy_slice(std::size_t entries_max = 2048);
  /// That snapshot is not wanted any more: what of it is under way ends soon, on I/O threads, too.
  void abandon_snapshot(CheckpointId checkpoint, const Error& reason);
  bool is_copying() const;

  std::size_t memory_bytes() const;
  std::uint64_t entry_count() const;
  /// How it is doing.
  struct Figures {
    std::uint64_t table_bytes = 0;               ///< RocksDB's files on the local disk
    std::uint64_t pending_compaction_bytes = 0;  ///< that it thinks it should rewrite
    std::uint64_t memory_waits = 0;              ///< of the operator until memory could be freed
    std::uint64_t compaction_waits = 0;  ///< of the operator for compactions that are far behind
  };
  Figures figures() const;
  /// Keys that were looked for in RocksDB: by themselves, each of which waits, and together.
  struct Reads {
    std::uint64_t single = 0;
    std::uint64_t together = 0;
  };
  Reads reads() const;
  /// For tests: where RocksDB's files are.
  const std::string& local_path() const;
  /// For tests and benches: everything written so far goes down now.
  void write_all_down();
  /// For tests: as if memory had run out.
  void evict_all();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weir::state
