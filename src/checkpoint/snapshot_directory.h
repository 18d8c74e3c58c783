#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/manifest.h"
#include "io/file_system.h"
#include "weir/result.h"
#include "weir/time.h"

namespace weir::checkpoint {

/// Snapshots as someone finds them who does not run their job: checkpoints in job directories,
/// savepoints anywhere. Reads only, takes no lock, and may be called while the job runs.

/// A snapshot that was named by its directory or its _metadata file.
struct SnapshotLocation {
  std::string manifest_path;
  std::string directory;  ///< where the manifest lies
  /// What the names of the manifest's files are relative to: the job's directory of a checkpoint.
  std::string root;
};

/// kNotFound saying what the path is instead, and which snapshots lie below it.
Result<SnapshotLocation> locate_snapshot(FileSystem& files, const std::string& path);

struct LoadedSnapshot {
  SnapshotLocation location;
  Manifest manifest;
};
/// Locates and reads it.
Result<LoadedSnapshot> load_snapshot(FileSystem& files, const std::string& path);

/// One snapshot of a listing. An unreadable manifest is part of the picture, not an error.
struct ListedSnapshot {
  SnapshotLocation location;
  std::uint64_t manifest_bytes = 0;
  Result<Manifest> manifest;
};

/// The directory of one job.
struct JobDirectory {
  std::string path;
  std::string job_id;                     ///< as _job says; empty when it cannot be read
  std::string pipeline_id;                ///< the same
  std::vector<ListedSnapshot> snapshots;  ///< highest first
  std::vector<CheckpointId> unpublished;  ///< begun, or left over: without a manifest
};

struct SnapshotListing {
  std::vector<JobDirectory> jobs;          ///< by path
  std::vector<ListedSnapshot> savepoints;  ///< outside of job directories, by path
};

/// `directory`: a job's directory, or one that holds job directories and savepoints, or a
/// savepoint. kNotFound when there is no such directory.
Result<SnapshotListing> list_snapshots(FileSystem& files, const std::string& directory);

/// True for keyed state in the form of docs/formats/state-file.md: "heap" or "canonical".
bool is_state_file(const StateHandle& handle);

/// True when `directory` has what CheckpointStore leaves in a job's directory.
Result<bool> is_job_directory(FileSystem& files, const std::string& directory);

}  // namespace weir::checkpoint
