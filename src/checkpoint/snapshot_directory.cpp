#include "checkpoint/snapshot_directory.h"

#include <algorithm>
#include <utility>

#include "checkpoint/garbage.h"
#include "checkpoint/store.h"

namespace weir::checkpoint {
namespace {

constexpr std::string_view kManifestName = "_metadata";
constexpr std::string_view kIdentityName = "_job";

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

std::string_view name_of(std::string_view path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string without_trailing_slashes(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) {
    path.pop_back();
  }
  return path;
}

SnapshotLocation location_of(const std::string& directory) {
  SnapshotLocation location;
  location.directory = directory;
  location.manifest_path = join_path(directory, kManifestName);
  const bool is_checkpoint = checkpoint_of_path(name_of(directory)).has_value();
  location.root = is_checkpoint ? parent_of(directory) : directory;
  return location;
}

ListedSnapshot read_listed(FileSystem& files, const std::string& directory) {
  const SnapshotLocation location = location_of(directory);
  ListedSnapshot listed{location, 0, CheckpointStore::load_from(files, directory)};
  if (const auto size = files.size_bytes(location.manifest_path); size.ok()) {
    listed.manifest_bytes = size.value();
  }
  return listed;
}

/// The word after `label` in the identity file.
std::string identity_word(const std::string& identity, std::string_view label) {
  const std::size_t at = identity.find(label);
  if (at == std::string::npos) {
    return "";
  }
  const std::size_t begin = at + label.size();
  return identity.substr(begin, std::min(identity.find('\n', begin), identity.size()) - begin);
}

Result<JobDirectory> read_job(FileSystem& files, const std::string& path) {
  JobDirectory job;
  job.path = path;
  if (const auto identity = files.read(join_path(path, kIdentityName)); identity.ok()) {
    job.job_id = identity_word(identity.value(), "weir job ");
    job.pipeline_id = identity_word(identity.value(), "pipeline ");
  }
  WEIR_ASSIGN(const auto entries, files.list(path));
  std::vector<CheckpointId> published;
  for (const DirectoryEntry& entry : entries) {
    const auto checkpoint = checkpoint_of_path(entry.name);
    if (!entry.is_directory || !checkpoint.has_value()) {
      continue;
    }
    WEIR_ASSIGN(const bool is_published,
                CheckpointStore::is_published(
                    files, join_path(path, CheckpointStore::manifest_name_of(*checkpoint))));
    (is_published ? published : job.unpublished).push_back(*checkpoint);
  }
  std::sort(published.rbegin(), published.rend());
  std::sort(job.unpublished.begin(), job.unpublished.end());
  for (const CheckpointId checkpoint : published) {
    job.snapshots.push_back(
        read_listed(files, join_path(path, CheckpointStore::directory_of(checkpoint))));
  }
  return job;
}

/// Why `path` is no snapshot, and what to name instead.
Error not_a_snapshot(FileSystem& files, const std::string& path) {
  const auto listing = list_snapshots(files, path);
  if (!listing.ok()) {
    return listing.error().code == ErrorCode::kNotFound
               ? Error{ErrorCode::kNotFound,
                       path +
                           " does not exist; name the directory of a checkpoint or savepoint, "
                           "or its _metadata file"}
               : listing.error();
  }
  std::string found;
  for (const JobDirectory& job : listing.value().jobs) {
    for (const ListedSnapshot& snapshot : job.snapshots) {
      found += (found.empty() ? "" : ", ") + snapshot.location.directory;
    }
  }
  for (const ListedSnapshot& snapshot : listing.value().savepoints) {
    found += (found.empty() ? "" : ", ") + snapshot.location.directory;
  }
  constexpr std::size_t shown_bytes_max = 400;
  if (found.size() > shown_bytes_max) {
    found = found.substr(0, found.rfind(", ", shown_bytes_max)) + ", ...";
  }
  return Error{ErrorCode::kNotFound,
               path + " has no _metadata file, so it is no checkpoint or savepoint" +
                   (found.empty() ? "" : "; name one of those below it: " + found)};
}

}  // namespace

bool is_state_file(const StateHandle& handle) {
  return handle.kind == kStateFileKind || handle.kind == "canonical";
}

Result<bool> is_job_directory(FileSystem& files, const std::string& directory) {
  WEIR_ASSIGN(const auto entries, files.list(directory));
  return std::any_of(entries.begin(), entries.end(), [](const DirectoryEntry& entry) {
    return entry.is_directory ? checkpoint_of_path(entry.name).has_value()
                              : entry.name == kIdentityName;
  });
}

Result<SnapshotLocation> locate_snapshot(FileSystem& files, const std::string& path) {
  const std::string named = without_trailing_slashes(path);
  const std::string directory = name_of(named) == kManifestName ? parent_of(named) : named;
  SnapshotLocation location = location_of(directory);
  const auto exists = files.exists(location.manifest_path);
  if (!exists.ok() || !exists.value()) {
    return not_a_snapshot(files, directory);
  }
  return location;
}

Result<LoadedSnapshot> load_snapshot(FileSystem& files, const std::string& path) {
  WEIR_ASSIGN(const SnapshotLocation location, locate_snapshot(files, path));
  WEIR_ASSIGN(Manifest manifest, CheckpointStore::load_from(files, location.directory));
  return LoadedSnapshot{location, std::move(manifest)};
}

Result<SnapshotListing> list_snapshots(FileSystem& files, const std::string& directory) {
  const std::string top = without_trailing_slashes(directory);
  SnapshotListing listing;
  WEIR_ASSIGN(const bool is_job, is_job_directory(files, top));
  if (is_job) {
    WEIR_ASSIGN(JobDirectory job, read_job(files, top));
    listing.jobs.push_back(std::move(job));
    return listing;
  }
  WEIR_ASSIGN(const auto entries, files.list(top));
  for (const DirectoryEntry& entry : entries) {
    const std::string path = join_path(top, entry.name);
    if (!entry.is_directory) {
      if (entry.name == kManifestName) {
        listing.savepoints.push_back(read_listed(files, top));
      }
      continue;
    }
    const auto is_job_below = is_job_directory(files, path);
    if (!is_job_below.ok()) {
      continue;  // Gone meanwhile, or not ours to read.
    }
    if (is_job_below.value()) {
      WEIR_ASSIGN(JobDirectory job, read_job(files, path));
      listing.jobs.push_back(std::move(job));
    } else if (files.exists(join_path(path, kManifestName)).ok() &&
               files.exists(join_path(path, kManifestName)).value()) {
      listing.savepoints.push_back(read_listed(files, path));
    }
  }
  return listing;
}

}  // namespace weir::checkpoint
