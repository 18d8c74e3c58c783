#include "checkpoint/savepoint_disposal.h"

#include "checkpoint/snapshot_directory.h"

namespace weir::checkpoint {
namespace {

Error refused(const std::string& path, const std::string& why) {
  return Error{ErrorCode::kInvalidArgument, path + " is not disposed of: " + why};
}

Status check_is_disposable(FileSystem& files, const LoadedSnapshot& snapshot) {
  const std::string& directory = snapshot.location.directory;
  if (snapshot.manifest.kind != SnapshotKind::kSavepoint) {
    return refused(directory, "it is a checkpoint, which belongs to its job");
  }
  // The savepoint of a job that keeps its checkpoints in the same directory must not take them
  // along.
  WEIR_ASSIGN(const bool is_job, is_job_directory(files, directory));
  if (is_job) {
    return refused(directory, "the directory is also that of a job");
  }
  for (const FileReference& file : files_of(snapshot.manifest)) {
    if (file.path.find('/') != std::string::npos) {
      return refused(directory, "it names files in other directories: " + file.path);
    }
  }
  return {};
}

}  // namespace

Result<DisposedSavepoint> dispose_savepoint(FileSystem& files, const std::string& path) {
  WEIR_ASSIGN(const LoadedSnapshot snapshot, load_snapshot(files, path));
  WEIR_TRY(check_is_disposable(files, snapshot));
  DisposedSavepoint disposed;
  disposed.directory = snapshot.location.directory;
  const auto remove = [&](const std::string& file) -> Status {
    const auto size = files.size_bytes(file);
    const Status removed = files.remove(file);
    if (removed.ok()) {
      ++disposed.files;
      disposed.bytes += size.ok() ? size.value() : 0;
    }
    return removed.ok() || removed.error().code == ErrorCode::kNotFound ? Status() : removed;
  };
  WEIR_TRY(remove(snapshot.location.manifest_path));
  // It must not come back after a power cut when its files are gone already.
  WEIR_TRY(files.sync_directory(disposed.directory));
  for (const FileReference& file : files_of(snapshot.manifest)) {
    WEIR_TRY(remove(join_path(disposed.directory, file.path)));
  }
  WEIR_ASSIGN(const auto rest, files.list(disposed.directory));
  for (const DirectoryEntry& entry : rest) {
    disposed.left.push_back(entry.name);
  }
  if (disposed.left.empty()) {
    WEIR_TRY(files.remove_directory(disposed.directory));
  }
  return disposed;
}

}  // namespace weir::checkpoint
