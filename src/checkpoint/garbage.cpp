#include "checkpoint/garbage.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <set>

#include "base/planted_bug.h"
#include "io/file_system.h"
#include "weir/check.h"

namespace weir::checkpoint {
namespace {

constexpr std::string_view kCheckpointPrefix = "chk-";
constexpr std::string_view kManifestSuffix = "/_metadata";
constexpr std::string_view kAttemptsPrefix = "attempts/";
constexpr std::string_view kSharedPrefix = "shared/";

/// Reads a number without sign or leading zero and takes it off `text`.
std::optional<std::int64_t> take_number(std::string_view& text) {
  std::int64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  const auto digits = static_cast<std::size_t>(end - text.data());
  if (failure != std::errc() || digits == 0 || text.front() < '1' || text.front() > '9') {
    return std::nullopt;
  }
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) {
    return false;
  }
  text.remove_prefix(prefix.size());
  return true;
}

bool is_manifest(std::string_view path) {
  const auto checkpoint = checkpoint_of_path(path);
  return checkpoint.has_value() && path == std::string(kCheckpointPrefix) +
                                               std::to_string(*checkpoint) +
                                               std::string(kManifestSuffix);
}

/// A left-over of FileSystem::publish: never part of anything.
bool is_aside(std::string_view path) {
  const std::size_t slash = path.find_last_of('/');
  const std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  return name.find(kAsideInfix) != std::string_view::npos;
}

/// The number of an attempt file.
std::optional<AttemptId> attempt_of_path(std::string_view path) {
  if (!take(path, kAttemptsPrefix)) {
    return std::nullopt;
  }
  const auto number = take_number(path);
  return path.empty() ? number : std::nullopt;
}

}  // namespace

std::optional<FileOrigin> origin_of(std::string_view path) {
  const std::size_t slash = path.find_last_of('/');
  std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  FileOrigin origin;
  if (!take(name, "a")) {
    return std::nullopt;
  }
  const auto attempt = take_number(name);
  if (!attempt.has_value() || !take(name, "-c")) {
    return std::nullopt;
  }
  const auto checkpoint = take_number(name);
  if (!checkpoint.has_value() || !take(name, "-")) {
    return std::nullopt;
  }
  origin.attempt = *attempt;
  origin.checkpoint = *checkpoint;
  return origin;
}

bool is_shared_path(std::string_view path) { return path.starts_with(kSharedPrefix); }

std::uint64_t new_bytes_of(const Manifest& manifest) {
  std::uint64_t total = 0;
  for (const FileReference& file : files_of(manifest)) {
    const auto origin = origin_of(file.path);
    total +=
        origin.has_value() && origin->checkpoint == manifest.checkpoint ? file.length_bytes : 0;
  }
  return total;
}

std::optional<CheckpointId> checkpoint_of_path(std::string_view path) {
  if (!take(path, kCheckpointPrefix)) {
    return std::nullopt;
  }
  const auto number = take_number(path);
  return path.empty() || path.front() == '/' ? number : std::nullopt;
}

std::vector<CheckpointId> retained_checkpoints(const std::vector<PublishedCheckpoint>& published,
                                               int num_retained) {
  WEIR_CHECK(num_retained >= 1);
  std::vector<PublishedCheckpoint> sorted = published;
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.checkpoint > b.checkpoint; });
  std::vector<CheckpointId> retained;
  int left = num_retained;
  for (const PublishedCheckpoint& item : sorted) {
    // A savepoint neither counts nor pushes a checkpoint out.
    if (item.kind == SnapshotKind::kSavepoint || left-- > 0) {
      retained.push_back(item.checkpoint);
    }
  }
  return retained;
}

GarbagePlan plan_garbage(const GarbageFacts& facts) {
  GarbagePlan plan;
  if (facts.retained.empty() || facts.own_attempt < 1 ||
      facts.own_attempt != facts.leading_attempt) {
    return plan;  // Nothing to decide from, or someone else decides.
  }
  std::set<std::string, std::less<>> kept(facts.in_use.begin(), facts.in_use.end());
  const std::set<std::string, std::less<>> released(facts.released.begin(), facts.released.end());
  std::set<CheckpointId> retained;
  CheckpointId highest_retained = 0;
  for (const Manifest& manifest : facts.retained) {
    retained.insert(manifest.checkpoint);
    // Not of a savepoint: it may run beside a checkpoint with a lower number.
    if (manifest.kind == SnapshotKind::kCheckpoint) {
      highest_retained = std::max(highest_retained, manifest.checkpoint);
    }
    for (FileReference& file : files_of(manifest)) {
      kept.insert(std::move(file.path));
    }
  }
  const auto may_delete_file = [&](const StoredFile& file) {
    if (kept.contains(file.path)) {
      return false;
    }
    const auto checkpoint = checkpoint_of_path(file.path);
    const auto made_in = origin_of(file.path);
    // A state file of a checkpoint that is over: checkpoints complete in rising order, so no
    // manifest can come to name it, and waiting would fill the disk at short intervals.
    const bool is_state = checkpoint.has_value() || is_shared_path(file.path);
    if (is_state && made_in.has_value() && made_in->attempt <= facts.own_attempt &&
        made_in->checkpoint < highest_retained && !retained.contains(made_in->checkpoint)) {
      return true;
    }
    if (planted_bug("F1") && made_in.has_value() && !retained.contains(made_in->checkpoint)) {
      return true;
    }
    if (released.contains(file.path)) {
      return true;
    }
    if (file.age_ms < facts.grace_ms || file.age_ms < 0) {
      return false;
    }
    if (is_aside(file.path)) {
      return true;
    }
    if (const auto attempt = attempt_of_path(file.path)) {
      return *attempt < facts.own_attempt;
    }
    const auto origin = origin_of(file.path);
    // A file above the highest retained checkpoint may belong to one that is still under way.
    return origin.has_value() && (origin->attempt < facts.own_attempt ||
                                  (origin->attempt == facts.own_attempt &&
                                   (origin->checkpoint <= highest_retained || planted_bug("F8"))));
  };
  std::set<std::string> stays;  // directories that do not become empty
  for (const StoredFile& file : facts.files) {
    if (file.is_directory) {
      continue;
    }
    const auto checkpoint = checkpoint_of_path(file.path);
    bool is_deleted = false;
    if (is_manifest(file.path)) {
      // Subsumed: published below the highest retained one and not retained itself.
      is_deleted = *checkpoint < highest_retained && !retained.contains(*checkpoint);
      if (is_deleted) {
        plan.manifests.push_back(file.path);
      }
    } else if (may_delete_file(file)) {
      is_deleted = true;
      plan.files.push_back(file.path);
    }
    if (!is_deleted) {
      stays.insert(file.path.substr(0, file.path.find_last_of('/')));
    }
  }
  for (const StoredFile& file : facts.files) {
    const auto checkpoint = checkpoint_of_path(file.path);
    // The highest number must stay visible, so that it is not given out again.
    if (file.is_directory && checkpoint.has_value() && *checkpoint < highest_retained &&
        !retained.contains(*checkpoint) && !stays.contains(file.path)) {
      plan.directories.push_back(file.path);
    }
  }
  return plan;
}

}  // namespace weir::checkpoint
