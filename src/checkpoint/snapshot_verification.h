#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/snapshot_directory.h"
#include "io/file_system.h"
#include "weir/result.h"

namespace weir::checkpoint {

/// One thing that is wrong with a snapshot.
struct SnapshotFault {
  std::string file;                     ///< path
  std::optional<std::uint64_t> offset;  ///< the first byte known to be wrong, where one is
  std::string what;
};

struct SnapshotVerification {
  std::optional<Manifest> manifest;  ///< nothing when it cannot be read
  std::uint64_t files = 0;           ///< read, the manifest included
  std::uint64_t bytes = 0;
  std::uint64_t entries = 0;  ///< of keyed state
  std::vector<SnapshotFault> faults;

  bool is_whole() const { return faults.empty(); }
};

/// Reads every byte back that a restore could need: the manifest, the length and CRC32C of every
/// file, and of state files every block and entry through the readers of a restore, against what
/// the manifest says about them. Goes on after a fault, so that all of them are named.
SnapshotVerification verify_snapshot(FileSystem& files, const SnapshotLocation& location);

}  // namespace weir::checkpoint
