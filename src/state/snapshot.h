#pragma once

#include <cstdint>
#include <string>

#include "io/block_file.h"
#include "weir/key_group.h"
#include "weir/result.h"

namespace weir::state {

/// What a finished state file is; goes into the checkpoint's manifest.
struct SnapshotFileInfo {
  FileSummary file;  ///< length and CRC32C of the whole file
  std::uint64_t entries = 0;
  std::uint64_t whole_bytes =
      0;                        ///< of the entries in StateFileIndex::whole, about; not compressed
  std::uint64_t raw_bytes = 0;  ///< of all entries, about; not compressed
};

/// Where the blocks of one snapshot go (docs/formats/state-file.md). The task thread calls;
/// whatever blocks or takes long, writing and checksums, happens elsewhere: see SnapshotFile, the
/// implementation the engine uses.
class SnapshotSink {
 public:
  virtual ~SnapshotSink() = default;
  /// True when one more block may be submitted without exceeding the memory bound.
  virtual bool has_room() = 0;
  /// Takes the payload of the next block. Never blocks and never refuses: what is copied before it
  /// is overwritten cannot wait for room.
  virtual void submit(std::string payload) = 0;
  /// So much waits to be written that the state must not be changed until it is less.
  virtual bool is_overfull() { return false; }
  /// The memory of a written block, of any content and size, or an empty string.
  virtual std::string recycle() = 0;
  /// No block follows. Whoever made the sink hears from it when the file is complete; `info` comes
  /// back with what is known of the file then.
  virtual void finish(SnapshotFileInfo info) = 0;
  /// No block follows and the file is not wanted.
  virtual void abandon(Error reason) = 0;
  /// True once writing failed: the backend stops copying and abandons the snapshot.
  virtual bool has_failed() = 0;
};

/// One state file to restore from. It may come from a subtask of any old parallelism: only entries
/// in this subtask's key groups are taken.
struct RestoreFile {
  std::string path;
  FileSummary expected;  ///< from the manifest; the file must match
};

}  // namespace weir::state
