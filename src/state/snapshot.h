#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "weir/key_group.h"
#include "weir/result.h"

namespace weir::state {

/// What a finished state file is; goes into the checkpoint's manifest.
struct SnapshotFileInfo {
  std::uint64_t length = 0;  ///< bytes
  std::uint32_t crc32c = 0;  ///< of the whole file
  std::uint64_t entries = 0;
};

/// Where the bytes of one snapshot go. The task thread calls; whatever blocks happens elsewhere
/// (see SnapshotFile, the implementation the engine uses).
///
/// A part is a whole block of the state file (docs/formats/state-file.md) or bytes that are not
/// inside a block. The CRC field of a block is still zero: the writer of the file calls
/// seal_part(), so that the task thread does not spend the time.
class SnapshotSink {
 public:
  virtual ~SnapshotSink() = default;
  /// True when one more part may be submitted without exceeding the memory bound.
  virtual bool has_room() = 0;
  /// Takes the next part of the file. Never blocks and never refuses: what is copied before it is
  /// overwritten cannot wait for room.
  virtual void submit(std::string part) = 0;
  /// A used part's memory to fill again, or an empty string.
  virtual std::string recycle() = 0;
  /// No part follows. The file is complete when the sink says so to whoever made it.
  virtual void finish(std::uint64_t entries) = 0;
  /// No part follows and the file is not wanted.
  virtual void abandon(Error reason) = 0;
  /// True once writing failed: the backend stops copying and abandons the snapshot.
  virtual bool has_failed() = 0;
};

/// The bytes of a state file, read at any offset. `read` fills all of `size` bytes or fails.
class SnapshotInput {
 public:
  virtual ~SnapshotInput() = default;
  virtual std::string name() const = 0;
  virtual std::uint64_t length() const = 0;
  virtual Status read(std::uint64_t offset, char* to, std::size_t size) = 0;
};

/// One state file to restore from. It may come from a subtask of any old parallelism: only entries
/// in this subtask's key groups are taken.
struct RestoreFile {
  std::shared_ptr<SnapshotInput> input;
  SnapshotFileInfo expected;  ///< from the manifest: length and CRC are compared
  KeyGroupRange key_groups;   ///< from the manifest: what the file covers
};

}  // namespace weir::state
