#include "state_processor/stored_state.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "checkpoint/snapshot_directory.h"
#include "state/rocksdb/rocksdb_backend.h"

namespace weir::state_processor {
namespace {

constexpr std::size_t kRocksDbMemoryBytes = std::size_t{64} << 20;

bool is_of_rocksdb(const checkpoint::StateHandle& handle) {
  return handle.kind == checkpoint::kRocksDbKind;
}

FileSummary summary_of(const checkpoint::StateHandle& handle) {
  return {handle.file.length_bytes, handle.file.crc32c};
}

/// What one subtask has in RocksDB, as one state file in `directory`.
Result<state::RestoreFile> write_state_file(FileSystem& files,
                                            const checkpoint::OperatorSnapshot& op,
                                            const checkpoint::SubtaskSnapshot& subtask,
                                            const StoredState::PathOf& path_of,
                                            const std::string& directory) {
  using state::RocksDbBackend;
  std::vector<RocksDbBackend::RestoreFrom> from;
  for (const checkpoint::StateHandle& handle : subtask.files) {
    from.push_back(
        {path_of(handle.file.path), {handle.file.path, summary_of(handle), handle.meta}});
  }
  state::RocksDbSettings settings;
  settings.local_directory = directory;
  settings.memory_bytes = kRocksDbMemoryBytes;
  RocksDbBackend backend({op.uid, op.max_parallelism, subtask.files.front().key_groups, settings,
                          [](std::function<void()> job) { job(); }});
  WEIR_TRY(backend.open());
  WEIR_TRY(backend.restore(files, from));
  WEIR_TRY(backend.finish_restore().status());
  std::optional<Result<std::vector<state::RocksDbFile>>> written;
  RocksDbBackend::SnapshotOptions options;
  options.files = &files;
  options.is_state_file = true;
  options.new_file = [&](std::string_view) {
    const std::string path = join_path(
        directory, "of-key-groups-" + std::to_string(subtask.files.front().key_groups.first));
    return RocksDbBackend::NewFile{path, path};
  };
  options.on_done = [&](Result<std::vector<state::RocksDbFile>> outcome) {
    written.emplace(std::move(outcome));
  };
  backend.start_snapshot(std::move(options));
  while (backend.copy_slice() == RocksDbBackend::CopyProgress::kMore) {
  }
  WEIR_CHECK(written.has_value());
  WEIR_TRY(written->status());
  const state::RocksDbFile& file = written->value().front();
  return state::RestoreFile{file.name, file.file};
}

}  // namespace

Result<StoredState> StoredState::open(FileSystem& files, const checkpoint::OperatorSnapshot& op,
                                      const PathOf& path_of) {
  StoredState stored;
  for (const checkpoint::SubtaskSnapshot& subtask : op.subtasks) {
    std::vector<state::RestoreFile> chain;
    if (!subtask.files.empty() &&
        std::all_of(subtask.files.begin(), subtask.files.end(), is_of_rocksdb)) {
      if (stored.scratch_ == nullptr) {
        WEIR_ASSIGN(stored.scratch_,
                    ScratchDirectory::create(std::filesystem::temp_directory_path().string()));
      }
      WEIR_ASSIGN(state::RestoreFile file,
                  write_state_file(files, op, subtask, path_of, stored.scratch_->path()));
      chain.push_back(std::move(file));
    } else {
      for (const checkpoint::StateHandle& handle : subtask.files) {
        if (!checkpoint::is_state_file(handle)) {
          return Error{ErrorCode::kInvalidArgument,
                       "operator " + op.uid + " keeps its state in a form (" + handle.kind +
                           ") that this program does not know; take a savepoint, whose form is "
                           "canonical"};
        }
        chain.push_back({path_of(handle.file.path), summary_of(handle)});
      }
    }
    if (!chain.empty()) {
      stored.chains_.push_back(std::move(chain));
    }
  }
  return stored;
}

std::vector<state::RestoreFile> StoredState::files() const {
  std::vector<state::RestoreFile> all;
  for (const std::vector<state::RestoreFile>& chain : chains_) {
    all.insert(all.end(), chain.begin(), chain.end());
  }
  return all;
}

}  // namespace weir::state_processor
