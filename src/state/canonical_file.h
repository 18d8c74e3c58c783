#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "io/file_system.h"
#include "state/snapshot.h"
#include "weir/result.h"

namespace weir::state {

struct CanonicalOptions {
  /// Entries held in memory to be sorted; a larger state is read several times, a range of key
  /// groups each.
  std::size_t memory_bytes_max = std::size_t{256} << 20;
  /// Asked between ranges; true ends the work with kCancelled. May be empty.
  std::function<bool()> is_cancelled;
};

/// Writes the content of a state file anew as a savepoint holds it: states by kind and name,
/// entries by key group, namespace and the bytes of the key, no mixed runs. Equal state gives equal
/// bytes, whatever backend wrote it and in which order it came about. Blocks; the bytes are durable
/// afterwards, the name after sync_directory. A file that could not be completed is removed.
Result<SnapshotFileInfo> write_canonical_file(FileSystem& files, const RestoreFile& from,
                                              const std::string& to,
                                              const CanonicalOptions& options = {});

}  // namespace weir::state
