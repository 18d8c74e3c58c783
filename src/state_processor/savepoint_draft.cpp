#include "state_processor/savepoint_draft.h"

#include <algorithm>
#include <random>
#include <utility>

#include "base/clock.h"
#include "checkpoint/redistribution.h"
#include "checkpoint/savepoint.h"
#include "state_processor/entry_file.h"
#include "state_processor/scratch_directory.h"

namespace weir::state_processor {
namespace {

template <class Snapshot>
bool erase_uid(std::vector<Snapshot>& snapshots, const std::string& uid) {
  return std::erase_if(snapshots, [&](const Snapshot& snapshot) { return snapshot.uid == uid; }) !=
         0;
}

std::string random_job_id() {
  std::random_device chance;
  std::string id;
  for (int i = 0; i < 32; ++i) {
    id += "0123456789abcdef"[chance() % 16];
  }
  return id;
}

Error no_such(const std::string& uid, const std::vector<std::string>& uids) {
  std::string known;
  for (const std::string& one : uids) {
    known += (known.empty() ? "" : ", ") + one;
  }
  return Error{ErrorCode::kNotFound,
               "nothing has the uid '" + uid + "'; there is " + (known.empty() ? "none" : known)};
}

/// All of an operator's state but the keyed files, as one subtask would have it.
Status become_one_subtask(checkpoint::OperatorSnapshot& op) {
  checkpoint::SubtaskSnapshot one;
  if (!op.subtasks.empty()) {
    one.is_finished = true;
    one.watermark_min = kMaxTimestamp;
  }
  for (const checkpoint::SubtaskSnapshot& subtask : op.subtasks) {
    one.is_finished = one.is_finished && subtask.is_finished;
    one.watermark_min = std::min(one.watermark_min, subtask.watermark_min);
    one.watermark_max = std::max(one.watermark_max, subtask.watermark_max);
  }
  WEIR_ASSIGN(auto lists, checkpoint::redistribute_lists(op, 1));
  one.lists = std::move(lists.front());
  one.key_group_watermarks = checkpoint::watermarks_for(op, 0, 1);
  op.parallelism = 1;
  op.subtasks = {std::move(one)};
  return {};
}

}  // namespace

SavepointDraft SavepointDraft::create(FileSystem& files, int max_parallelism) {
  checkpoint::Manifest manifest;
  manifest.job_id = random_job_id();
  manifest.job_name = "made without a job";
  manifest.pipeline_id = manifest.job_id;
  manifest.checkpoint = 1;
  manifest.attempt = 1;
  manifest.kind = checkpoint::SnapshotKind::kSavepoint;
  manifest.max_parallelism = max_parallelism;
  manifest.triggered_ms = system_clock().wall_ms();
  manifest.completed_ms = manifest.triggered_ms;
  return {files, "", std::move(manifest)};
}

Result<SavepointDraft> SavepointDraft::from(FileSystem& files,
                                            checkpoint::LoadedSnapshot snapshot) {
  const bool is_anything_under_way =
      std::any_of(snapshot.manifest.in_flight.begin(), snapshot.manifest.in_flight.end(),
                  [](const checkpoint::InFlightSnapshot& item) { return !item.file.path.empty(); });
  if (is_anything_under_way) {
    return Error{ErrorCode::kInvalidArgument,
                 snapshot.location.directory +
                     " is an unaligned checkpoint, with records under way; take a savepoint"};
  }
  snapshot.manifest.in_flight.clear();
  snapshot.manifest.kind = checkpoint::SnapshotKind::kSavepoint;
  return SavepointDraft(files, std::move(snapshot.location.root), std::move(snapshot.manifest));
}

std::vector<std::string> SavepointDraft::uids() const {
  std::vector<std::string> uids;
  const auto add = [&uids](const auto& snapshots) {
    for (const auto& snapshot : snapshots) {
      uids.push_back(snapshot.uid);
    }
  };
  add(manifest_.operators);
  add(manifest_.sources);
  add(manifest_.sinks);
  std::sort(uids.begin(), uids.end());
  return uids;
}

Result<const checkpoint::OperatorSnapshot*> SavepointDraft::find_operator(
    const std::string& uid) const {
  if (checkpoint::find_uid(manifest_.sources, uid) != nullptr ||
      checkpoint::find_uid(manifest_.sinks, uid) != nullptr) {
    return Error{ErrorCode::kInvalidArgument,
                 "'" + uid + "' is a source or sink, which has no keyed state"};
  }
  return checkpoint::find_uid(manifest_.operators, uid);
}

Result<StoredState> SavepointDraft::keyed_state_of(const checkpoint::OperatorSnapshot& op) const {
  return StoredState::open(*files_, op, [this](const std::string& name) { return path_of(name); });
}

Status SavepointDraft::remove(const std::string& uid) {
  const checkpoint::SinkSnapshot* const sink = checkpoint::find_uid(manifest_.sinks, uid);
  if (sink != nullptr && !sink->committables.empty()) {
    return Error{ErrorCode::kInvalidArgument,
                 "sink '" + uid +
                     "' has results that are not committed; start the job once so "
                     "that they are"};
  }
  const bool is_removed = erase_uid(manifest_.operators, uid) ||
                          erase_uid(manifest_.sources, uid) || erase_uid(manifest_.sinks, uid);
  return is_removed ? Status() : Status(no_such(uid, uids()));
}

Status SavepointDraft::rename(const std::string& from, const std::string& to) {
  const std::vector<std::string> known = uids();
  if (std::binary_search(known.begin(), known.end(), to)) {
    return Error{ErrorCode::kAlreadyExists, "the uid '" + to + "' is taken"};
  }
  if (!std::binary_search(known.begin(), known.end(), from)) {
    return no_such(from, known);
  }
  const checkpoint::SinkSnapshot* const sink = checkpoint::find_uid(manifest_.sinks, from);
  if (sink != nullptr && !sink->committables.empty()) {
    return Error{ErrorCode::kInvalidArgument,
                 "sink '" + from +
                     "' has results that are not committed, which bear its uid; rename it with "
                     "weir.state-recovery.uid-mapping"};
  }
  const auto rename_in = [&](auto& snapshots) {
    if (auto* const found = checkpoint::find_uid(snapshots, from)) {
      found->uid = to;
    }
  };
  rename_in(manifest_.operators);
  rename_in(manifest_.sources);
  rename_in(manifest_.sinks);
  return {};
}

Status SavepointDraft::replace_keyed_state(const std::string& uid, const std::string& path,
                                           const state::SnapshotFileInfo& info) {
  WEIR_TRY(find_operator(uid).status());
  checkpoint::OperatorSnapshot* op = checkpoint::find_uid(manifest_.operators, uid);
  if (op == nullptr) {
    op = &manifest_.operators.emplace_back();
    op->uid = uid;
    op->name = uid;
    op->max_parallelism = manifest_.max_parallelism;
  }
  WEIR_TRY(become_one_subtask(*op));
  // Names in a manifest are relative.
  const std::string name = "new/" + std::to_string(new_files_.size());
  new_files_[name] = path;
  op->subtasks.front().files = {{{name, info.file.length_bytes, info.file.crc32c},
                                 std::string(checkpoint::kStateFileKind),
                                 {0, op->max_parallelism - 1},
                                 ""}};
  return {};
}

std::string SavepointDraft::path_of(const std::string& name) const {
  const auto found = new_files_.find(name);
  return found == new_files_.end() ? join_path(root_, name) : found->second;
}

Status SavepointDraft::join_chains(const std::string& directory) {
  std::vector<std::string> chained;
  for (const checkpoint::OperatorSnapshot& op : manifest_.operators) {
    if (std::any_of(op.subtasks.begin(), op.subtasks.end(), [](const auto& subtask) {
          return subtask.files.size() > 1 ||
                 (!subtask.files.empty() && !checkpoint::is_state_file(subtask.files.front()));
        })) {
      chained.push_back(op.uid);
    }
  }
  for (const std::string& uid : chained) {
    checkpoint::LoadedSnapshot snapshot;
    snapshot.location.root = root_;
    snapshot.manifest = manifest_;
    WEIR_ASSIGN(const KeyedStateReader reader, KeyedStateReader::open(*files_, snapshot, uid));
    const std::string path = join_path(directory, "chain-" + std::to_string(new_files_.size()));
    WEIR_ASSIGN(const state::SnapshotFileInfo info,
                write_entry_file(
                    *files_, path, uid, reader.max_parallelism(), reader.states(),
                    [&](const state::StateSchema& state, const KeyedStateReader::Visitor& visitor) {
                      return reader.read(state, {0, reader.max_parallelism() - 1}, visitor);
                    }));
    WEIR_TRY(replace_keyed_state(uid, path, info));
  }
  return {};
}

Result<std::string> SavepointDraft::write(const std::string& directory) const {
  WEIR_TRY(files_->create_directories(directory));
  WEIR_ASSIGN(const auto scratch, ScratchDirectory::create(directory));
  SavepointDraft joined = *this;
  WEIR_TRY(joined.join_chains(scratch->path()));
  const checkpoint::SavepointSource source{
      *files_, [&joined](const std::string& name) { return joined.path_of(name); }, nullptr};
  return checkpoint::write_savepoint(source, joined.manifest_, directory, nullptr);
}

}  // namespace weir::state_processor
