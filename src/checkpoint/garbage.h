#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/manifest.h"
#include "weir/time.h"

namespace weir::checkpoint {

/// What may be deleted. Pure: facts in, plan out.
///
/// Law 3: only what no retained manifest names, that is older than the grace time, while this
/// attempt leads. What is not understood is kept. The grace time protects files that a manifest
/// may yet name. State files of checkpoints that are over, shared ones included, can become named
/// only by a checkpoint that builds on one which names them, so they go at once unless in_use has
/// them; so do files whose owner released them.

/// One file or directory below the job's directory.
struct StoredFile {
  std::string path;  ///< relative to the job's directory
  bool is_directory = false;
  std::int64_t age_ms = 0;  ///< since its last change; negative = the clock is wrong, keep
};

/// Attempt and checkpoint in which a file was created, as its name says.
struct FileOrigin {
  AttemptId attempt = 0;
  CheckpointId checkpoint = 0;
};
/// Nothing when the name was not made by CheckpointStore::new_file_name.
std::optional<FileOrigin> origin_of(std::string_view path);
/// Sum of the lengths of the files that this checkpoint has written: what is shared with earlier
/// ones does not count.
std::uint64_t new_bytes_of(const Manifest& manifest);
/// n of "chk-<n>" or "chk-<n>/...".
std::optional<CheckpointId> checkpoint_of_path(std::string_view path);

/// Below shared/: more than one checkpoint may name it.
bool is_shared_path(std::string_view path);

/// A published checkpoint as retention sees it.
struct PublishedCheckpoint {
  CheckpointId checkpoint = 0;
  SnapshotKind kind = SnapshotKind::kCheckpoint;
};

/// The checkpoints to keep: the `num_retained` highest and every savepoint (the user's own).
/// REQUIRES: num_retained >= 1.
std::vector<CheckpointId> retained_checkpoints(const std::vector<PublishedCheckpoint>& published,
                                               int num_retained);

struct GarbageOptions {
  int num_retained = 1;
  /// Must exceed the checkpoint timeout: a file may be that old before its manifest names it.
  std::int64_t grace_ms = 30 * 60 * 1000;
};

struct GarbageFacts {
  std::vector<Manifest> retained;  ///< every one of them readable
  std::vector<StoredFile> files;
  AttemptId own_attempt = 0;
  AttemptId leading_attempt = 0;  ///< the highest there is
  std::int64_t grace_ms = 0;
  /// Files of savepoints that are being written, and of checkpoints upon which those under way
  /// build (FilesBuiltUpon).
  std::vector<std::string> in_use;
  /// Files whose owner needs them no more; deleted as soon as no retained manifest names them.
  std::vector<std::string> released;
};

/// Carried out in this order; cut short at any point it leaves nothing dangling.
struct GarbagePlan {
  std::vector<std::string> manifests;  ///< first: a checkpoint stops to exist before its files do
  std::vector<std::string> files;
  std::vector<std::string> directories;  ///< empty by then; a failure to remove one is harmless
};

GarbagePlan plan_garbage(const GarbageFacts& facts);

}  // namespace weir::checkpoint
