#include "checkpoint/storage_usage.h"

#include <map>
#include <utility>

#include "checkpoint/garbage.h"
#include "checkpoint/store.h"

namespace weir::checkpoint {
namespace {

using Sizes = std::map<std::string, std::uint64_t>;  ///< by path relative to the job's directory

Status list_into(FileSystem& files, const std::string& root, const std::string& directory,
                 Sizes& sizes) {
  const auto entries = files.list(join_path(root, directory));
  if (!entries.ok()) {
    return entries.error().code == ErrorCode::kNotFound ? Status() : entries.status();
  }
  for (const DirectoryEntry& entry : entries.value()) {
    const std::string path = directory.empty() ? entry.name : directory + "/" + entry.name;
    if (entry.is_directory) {
      WEIR_TRY(list_into(files, root, path, sizes));
    } else {
      sizes[path] = entry.size_bytes;
    }
  }
  return {};
}

bool is_manifest_path(const std::string& path) {
  const auto checkpoint = checkpoint_of_path(path);
  return checkpoint.has_value() && path == CheckpointStore::manifest_name_of(*checkpoint);
}

/// Files below these directories belong to checkpoints; all others are the store's own.
bool is_data_path(const std::string& path) {
  return checkpoint_of_path(path).has_value() || path.starts_with("shared/") ||
         path.starts_with("taskowned/");
}

/// How many of the snapshots name each file.
std::map<std::string, int> count_names(const JobDirectory& job) {
  std::map<std::string, int> names;
  for (const ListedSnapshot& snapshot : job.snapshots) {
    for (const FileReference& file : files_of(snapshot.manifest.value())) {
      ++names[file.path];
    }
  }
  return names;
}

SnapshotUsage usage_of(const ListedSnapshot& snapshot, const std::map<std::string, int>& names,
                       const Sizes& sizes) {
  const Manifest& manifest = snapshot.manifest.value();
  SnapshotUsage usage;
  usage.checkpoint = manifest.checkpoint;
  usage.kind = manifest.kind;
  usage.manifest_bytes = snapshot.manifest_bytes;
  for (const FileReference& file : files_of(manifest)) {
    const auto found = sizes.find(file.path);
    if (found == sizes.end()) {
      usage.missing.push_back(file.path);
    } else {
      (names.at(file.path) > 1 ? usage.shared_bytes : usage.own_bytes) += found->second;
    }
  }
  return usage;
}

}  // namespace

Result<StorageUsage> storage_usage_of(FileSystem& files, const JobDirectory& job) {
  for (const ListedSnapshot& snapshot : job.snapshots) {
    WEIR_TRY(snapshot.manifest.status());
  }
  Sizes sizes;
  WEIR_TRY(list_into(files, job.path, "", sizes));
  const std::map<std::string, int> names = count_names(job);
  StorageUsage usage;
  for (const ListedSnapshot& snapshot : job.snapshots) {
    usage.snapshots.push_back(usage_of(snapshot, names, sizes));
  }
  for (const auto& [path, bytes] : sizes) {
    const auto named = names.find(path);
    if (named != names.end() || is_manifest_path(path)) {
      if (named != names.end() && named->second > 1) {
        usage.shared_bytes += bytes;
        ++usage.shared_files;
      }
    } else if (is_data_path(path)) {
      usage.orphaned.push_back({path, bytes});
      usage.orphaned_bytes += bytes;
    } else {
      usage.bookkeeping_bytes += bytes;
    }
    usage.total_bytes += bytes;
  }
  return usage;
}

}  // namespace weir::checkpoint
