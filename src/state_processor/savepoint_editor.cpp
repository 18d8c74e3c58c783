#include "weir/savepoint_editor.h"

#include <filesystem>
#include <map>

#include "base/local_path.h"
#include "checkpoint/snapshot_directory.h"
#include "io/local_file_system.h"
#include "state_processor/edited_operator.h"
#include "state_processor/savepoint_draft.h"
#include "state_processor/scratch_directory.h"

namespace weir {

class SavepointEditor::Core {
 public:
  explicit Core(state_processor::SavepointDraft draft) : draft_(std::move(draft)) {}

  state_processor::SavepointDraft& draft() { return draft_; }

  Result<detail::EditedOperator*> edit(const std::string& uid) {
    if (const auto found = edited_.find(uid); found != edited_.end()) {
      return found->second.get();
    }
    WEIR_ASSIGN(const checkpoint::OperatorSnapshot* const op, draft_.find_operator(uid));
    auto edited = std::make_unique<state_processor::HeapEditedOperator>(
        uid, op == nullptr ? draft_.manifest().max_parallelism : op->max_parallelism);
    if (op != nullptr) {
      WEIR_ASSIGN(state_processor::StoredState stored, draft_.keyed_state_of(*op));
      WEIR_TRY(edited->restore(draft_.files(), std::move(stored)));
    }
    return edited_.emplace(uid, std::move(edited)).first->second.get();
  }

  /// What was edited bears its uid.
  bool is_edited(const std::string& uid) const { return edited_.contains(uid); }
  void forget(const std::string& uid) { edited_.erase(uid); }

  Result<std::string> write(const std::string& directory) {
    FileSystem& files = draft_.files();
    WEIR_TRY(files.create_directories(directory));
    WEIR_ASSIGN(const auto scratch, state_processor::ScratchDirectory::create(directory));
    state_processor::SavepointDraft written = draft_;
    int number = 0;
    for (const auto& [uid, edited] : edited_) {
      const std::string path = join_path(scratch->path(), std::to_string(number++));
      WEIR_ASSIGN(const state::SnapshotFileInfo info, edited->write(files, path));
      WEIR_TRY(written.replace_keyed_state(uid, path, info));
    }
    return written.write(directory);
  }

 private:
  state_processor::SavepointDraft draft_;
  std::map<std::string, std::unique_ptr<state_processor::HeapEditedOperator>> edited_;
};

SavepointEditor::SavepointEditor(std::unique_ptr<Core> core) : core_(std::move(core)) {}
SavepointEditor::~SavepointEditor() = default;
SavepointEditor::SavepointEditor(SavepointEditor&& other) noexcept = default;
SavepointEditor& SavepointEditor::operator=(SavepointEditor&& other) noexcept = default;

SavepointEditor SavepointEditor::create(int max_parallelism) {
  return SavepointEditor(std::make_unique<Core>(
      state_processor::SavepointDraft::create(local_file_system(), max_parallelism)));
}

Result<SavepointEditor> SavepointEditor::open(const std::string& snapshot) {
  FileSystem& files = local_file_system();
  WEIR_ASSIGN(const std::string path, local_path(snapshot));
  WEIR_ASSIGN(checkpoint::LoadedSnapshot loaded, checkpoint::load_snapshot(files, path));
  WEIR_ASSIGN(state_processor::SavepointDraft draft,
              state_processor::SavepointDraft::from(files, std::move(loaded)));
  return SavepointEditor(std::make_unique<Core>(std::move(draft)));
}

std::vector<std::string> SavepointEditor::uids() const { return core_->draft().uids(); }

Status SavepointEditor::remove(const std::string& uid) {
  const bool was_edited = core_->is_edited(uid);
  const Status removed = core_->draft().remove(uid);
  core_->forget(uid);
  // An operator that was added is in the draft only once it is written.
  return was_edited && !removed.ok() && removed.error().code == ErrorCode::kNotFound ? Status()
                                                                                     : removed;
}

Status SavepointEditor::rename(const std::string& from, const std::string& to) {
  if (core_->is_edited(from) || core_->is_edited(to)) {
    return Error{ErrorCode::kInvalidArgument,
                 "rename '" + from + "' before its keyed state is edited"};
  }
  return core_->draft().rename(from, to);
}

Result<detail::EditedOperator*> SavepointEditor::edit(const std::string& uid) {
  return core_->edit(uid);
}

Result<std::string> SavepointEditor::write(const std::string& directory) {
  WEIR_ASSIGN(const std::string path, local_path(directory));
  return core_->write(path);
}

}  // namespace weir
