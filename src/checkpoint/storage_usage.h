#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"
#include "checkpoint/snapshot_directory.h"
#include "io/file_system.h"
#include "weir/result.h"

namespace weir::checkpoint {

/// What a job's directory takes on disk, and for what.

struct StoredBytes {
  std::string path;  ///< relative to the job's directory
  std::uint64_t bytes = 0;
};

struct SnapshotUsage {
  CheckpointId checkpoint = 0;
  SnapshotKind kind = SnapshotKind::kCheckpoint;
  std::uint64_t own_bytes = 0;     ///< of files that no other snapshot names
  std::uint64_t shared_bytes = 0;  ///< of files that others name too
  std::uint64_t manifest_bytes = 0;
  std::vector<std::string> missing;  ///< files it names that are not there
};

/// Invariant: total_bytes = sum of own_bytes and manifest_bytes + shared_bytes + orphaned_bytes +
/// bookkeeping_bytes.
struct StorageUsage {
  std::vector<SnapshotUsage> snapshots;  ///< highest first
  std::uint64_t shared_bytes = 0;        ///< named by several snapshots, each file once
  std::uint64_t shared_files = 0;
  /// Named by no snapshot: left-overs that the next collection removes, or files of a checkpoint
  /// that is under way.
  std::vector<StoredBytes> orphaned;
  std::uint64_t orphaned_bytes = 0;
  std::uint64_t bookkeeping_bytes = 0;  ///< identity, lock, attempts
  std::uint64_t total_bytes = 0;
};

/// kCorruption when a manifest cannot be read: without it nobody knows whose the files are.
Result<StorageUsage> storage_usage_of(FileSystem& files, const JobDirectory& job);

}  // namespace weir::checkpoint
