#pragma once

#include <functional>
#include <string>

#include "checkpoint/manifest.h"
#include "checkpoint/store.h"
#include "weir/result.h"

namespace weir::checkpoint {

/// Where the files are that a manifest names.
struct SavepointSource {
  FileSystem& files;
  std::function<std::string(const std::string& name)> path_of;
  /// Asked right before the savepoint becomes one; may be empty.
  std::function<Status()> check_leading;
};

/// Writes a savepoint: `<directory>/savepoint-<first 6 of the job id>-<random>/` with the manifest
/// and every file it names, by relative path, so that the directory can be moved as a whole. State
/// files are written in canonical form, files of committables are copied and verified.
///
/// Returns the new directory. Blocks; thread-safe. After a
/// failure what was written is removed as far as possible; without its manifest it means nothing.
/// Kill points: savepoint.before_manifest, savepoint.after_manifest.
Result<std::string> write_savepoint(const SavepointSource& source, Manifest manifest,
                                    const std::string& directory,
                                    const std::function<bool()>& is_cancelled);
/// Of a running job: `manifest` names files of `store`.
Result<std::string> write_savepoint(CheckpointStore& store, Manifest manifest,
                                    const std::string& directory,
                                    const std::function<bool()>& is_cancelled);

/// What the paths in a manifest found at `path` (a directory or its _metadata) are relative to: the
/// savepoint's own directory, or the job's directory around a chk-<n>.
std::string base_directory_of(const Manifest& manifest, const std::string& path);
/// The directory that holds _metadata, from base_directory_of().
std::string snapshot_directory_of(const Manifest& manifest, const std::string& base);

/// Before a job starts from a snapshot that is not its own: kInvalidArgument when another job has
/// claimed it. With `is_claimed` it belongs to `job_id` afterwards, durably (a file `_claimed`).
Status claim_snapshot(FileSystem& files, const std::string& directory, const std::string& job_id,
                      bool is_claimed);

/// Deletes a snapshot: the manifest first, then the files that are its alone, then the directory.
/// What the manifest does not name is left alone. Fine if it is gone already.
Status dispose_snapshot(FileSystem& files, const std::string& directory);

}  // namespace weir::checkpoint
