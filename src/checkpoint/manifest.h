#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "weir/key_group.h"
#include "weir/operator_state_backend.h"
#include "weir/result.h"
#include "weir/sink.h"
#include "weir/source.h"
#include "weir/time.h"

namespace weir::checkpoint {

/// The one file that makes a checkpoint exist. Plain data; docs/formats/manifest.md describes the
/// encoded form.

/// The version that encode_manifest writes; decode_manifest reads 1..kManifestVersion.
inline constexpr std::uint32_t kManifestVersion = 1;

enum class SnapshotKind { kCheckpoint, kSavepoint };

/// A file in checkpoint storage.
struct FileReference {
  std::string path;  ///< relative to the job's checkpoint directory: "chk-7/a3-...", "shared/..."
  std::uint64_t length_bytes = 0;
  std::uint32_t crc32c = 0;

  friend bool operator==(const FileReference&, const FileReference&) = default;
};

/// The kinds of files with keyed state: docs/formats/state-file.md, and docs/formats/rocksdb.md.
inline constexpr std::string_view kStateFileKind = "heap";
inline constexpr std::string_view kRocksDbKind = "rocksdb";

/// A state file of one subtask, as the state backend describes it.
struct StateHandle {
  FileReference file;
  std::string kind;
  KeyGroupRange key_groups;  ///< empty for state that is not keyed
  std::string meta;          ///< the backend's own bytes

  friend bool operator==(const StateHandle&, const StateHandle&) = default;
};

/// Operator list state of one subtask under one name.
struct ListState {
  std::string name;
  OperatorStateBackend::Redistribution redistribution =
      OperatorStateBackend::Redistribution::kSplit;
  std::vector<std::string> items;
  /// Once dealt out: so many items at the front are other subtasks' of a union list. Not stored.
  std::size_t others = 0;

  friend bool operator==(const ListState&, const ListState&) = default;
};

/// The highest watermark that some key groups had seen: what is older is late for good.
struct KeyGroupWatermark {
  KeyGroupRange key_groups;
  TimestampMs watermark = kMinTimestamp;

  friend bool operator==(const KeyGroupWatermark&, const KeyGroupWatermark&) = default;
};

struct SubtaskSnapshot {
  int subtask = 0;
  bool is_finished = false;  ///< its input had ended and nothing more will come
  /// Combined watermark of the subtask at the barrier, and the highest of any of its inputs.
  TimestampMs watermark_min = kMinTimestamp;
  TimestampMs watermark_max = kMinTimestamp;
  std::vector<KeyGroupWatermark> key_group_watermarks;  ///< ascending, not overlapping
  std::vector<StateHandle> files;
  std::vector<ListState> lists;

  friend bool operator==(const SubtaskSnapshot&, const SubtaskSnapshot&) = default;
};

/// Of a state that is not keyed: files of keyed state hold their own.
struct StateSchema {
  std::string name;
  std::string kind;        ///< "list", "union list", "broadcast"
  std::string key_schema;  ///< empty when items are values alone
  std::string value_schema;

  friend bool operator==(const StateSchema&, const StateSchema&) = default;
};

struct OperatorSnapshot {
  std::string uid;
  std::string name;  ///< for people
  int parallelism = 1;
  int max_parallelism = kDefaultMaxParallelism;
  std::vector<StateSchema> schemas;
  std::vector<SubtaskSnapshot> subtasks;

  friend bool operator==(const OperatorSnapshot&, const OperatorSnapshot&) = default;
};

struct ReaderSnapshot {
  int subtask = 0;
  bool is_finished = false;
  std::vector<SourceSplit> splits;
};

/// Invariant: every split id of a source occurs once.
struct SourceSnapshot {
  std::string uid;
  std::string name;
  int parallelism = 1;
  std::string enumerator_state;
  std::vector<ReaderSnapshot> readers;
};

struct WriterSnapshot {
  int subtask = 0;
  std::vector<std::string> states;

  friend bool operator==(const WriterSnapshot&, const WriterSnapshot&) = default;
};

struct SinkSnapshot {
  std::string uid;
  std::string name;
  int parallelism = 1;
  std::vector<WriterSnapshot> writers;
  /// Everything prepared and not proved committed: of this checkpoint and of earlier ones. Several
  /// may share an id (two or more committables of one epoch); their order is kept.
  std::vector<Committable> committables;
  /// The files that `committables` name, each once.
  std::vector<FileReference> files;
};

/// Sums of one edge at the barrier, as both ends saw them.
struct EdgeSnapshot {
  std::string name;
  std::uint64_t sender_count = 0;
  std::uint64_t sender_hash = 0;
  std::uint64_t receiver_count = 0;
  std::uint64_t receiver_hash = 0;

  friend bool operator==(const EdgeSnapshot&, const EdgeSnapshot&) = default;
};

/// The block file of docs/formats/channel-log.md.
inline constexpr std::string_view kChannelLogMagic = "weirchan";
inline constexpr std::uint32_t kChannelLogVersion = 1;

/// What was under way in one channel when a barrier overtook it.
struct ChannelSnapshot {
  int sender = 0;                         ///< subtask
  TimestampMs watermark = kMinTimestamp;  ///< of the channel, ahead of its records
  bool is_idle = false;
  std::uint64_t offset = 0;         ///< in the file; 0 when nothing was under way
  std::uint64_t element_count = 0;  ///< batches, watermarks, changes of idleness
  std::uint64_t record_count = 0;

  friend bool operator==(const ChannelSnapshot&, const ChannelSnapshot&) = default;
};

/// What was under way to one subtask along one edge: only in unaligned checkpoints.
struct InFlightSnapshot {
  std::string edge;  ///< its name
  int subtask = 0;   ///< that would have received it
  int sender_parallelism = 1;
  int receiver_parallelism = 1;
  std::string record_schema;
  FileReference file;  ///< of the subtask, shared by its edges; path empty: nothing was under way
  std::vector<ChannelSnapshot> channels;  ///< to be replayed in this order

  friend bool operator==(const InFlightSnapshot&, const InFlightSnapshot&) = default;
};

struct Manifest {
  std::string job_id;  ///< 32 lower-case hexadecimal digits
  std::string job_name;
  std::string pipeline_id;  ///< stable over restarts and resubmissions
  CheckpointId checkpoint = 0;
  AttemptId attempt = 0;
  std::int64_t incarnation = 0;        ///< the line of the job: CommittableId::incarnation
  Lineage lineage;                     ///< where it branched off
  CheckpointId parent_checkpoint = 0;  ///< the one restored from or completed before; 0 = none
  SnapshotKind kind = SnapshotKind::kCheckpoint;
  bool is_terminal = false;  ///< the job ended or was stopped with this checkpoint
  TimestampMs triggered_ms = 0;
  TimestampMs completed_ms = 0;
  int max_parallelism = kDefaultMaxParallelism;
  std::vector<OperatorSnapshot> operators;
  std::vector<SourceSnapshot> sources;
  std::vector<SinkSnapshot> sinks;
  std::vector<EdgeSnapshot> edges;
  std::vector<InFlightSnapshot> in_flight;
};

/// The encoded form. Equal manifests have equal bytes. kInvalidArgument when the manifest breaks a
/// rule of validate_manifest, so that what was published can always be read.
Result<std::string> encode_manifest(const Manifest& manifest);

/// Treats `bytes` as hostile: checks checksums, types, ranges, paths and counts. kCorruption, or
/// kInvalidArgument when it was written by a newer weir.
Result<Manifest> decode_manifest(std::string_view bytes);

/// The rules on content: ids in range, safe paths, subtasks within the parallelism, each uid,
/// subtask and split once, key groups within max_parallelism, edges in balance.
Status validate_manifest(const Manifest& manifest);

/// Of operators, sources or sinks the one with this uid, or null.
template <class Snapshot>
Snapshot* find_uid(std::vector<Snapshot>& snapshots, std::string_view uid) {
  const auto found = std::find_if(snapshots.begin(), snapshots.end(),
                                  [&](const Snapshot& snapshot) { return snapshot.uid == uid; });
  return found == snapshots.end() ? nullptr : &*found;
}
template <class Snapshot>
const Snapshot* find_uid(const std::vector<Snapshot>& snapshots, std::string_view uid) {
  return find_uid(const_cast<std::vector<Snapshot>&>(snapshots), uid);
}

/// Every file the manifest names, each path once, sorted by path.
std::vector<FileReference> files_of(const Manifest& manifest);
/// Sum of the lengths of files_of().
std::uint64_t state_size_bytes(const Manifest& manifest);

/// True for a relative path of 1..1024 bytes without empty, "." or ".." parts, control characters
/// or backslashes.
bool is_safe_relative_path(std::string_view path);
/// True for 32 lower-case hexadecimal digits.
bool is_job_id(std::string_view text);

std::string_view snapshot_kind_name(SnapshotKind kind);

}  // namespace weir::checkpoint
