#include "runtime/rocksdb_keyed_state.h"

#include <algorithm>
#include <string>
#include <utility>

#include "checkpoint/garbage.h"
#include "runtime/outcome.h"
#include "runtime/task_scope.h"

namespace weir::runtime {

/// The files of one snapshot.
class RocksDbKeyedState::Files final : public Snapshot {
 public:
  Files(RocksDbKeyedState& owner, const Barrier& barrier) : owner_(owner), barrier_(barrier) {}

  std::optional<Result<std::vector<checkpoint::StateHandle>>> poll() override {
    auto stored = outcome->take();
    if (!stored.has_value()) {
      return std::nullopt;
    }
    if (!stored->ok()) {
      return stored->error();
    }
    std::vector<checkpoint::StateHandle> handles;
    for (const state::RocksDbFile& file : stored->value()) {
      checkpoint::StateHandle handle;
      handle.file = {file.name, file.file.length_bytes, file.file.crc32c};
      handle.kind = barrier_.is_savepoint ? checkpoint::kStateFileKind : checkpoint::kRocksDbKind;
      handle.key_groups = owner_.info_.key_groups;
      handle.meta = file.meta;
      handles.push_back(std::move(handle));
    }
    if (owner_.environment_.is_incremental && !barrier_.is_savepoint) {
      owner_.stored_[barrier_.checkpoint] = std::move(*stored).value();
    }
    return handles;
  }

  void abandon(const Error& reason, bool /*is_copied*/) override {
    owner_.backend_.abandon_snapshot(barrier_.checkpoint, reason);
  }

  /// Shared with the I/O thread that stores them.
  const std::shared_ptr<Outcome<std::vector<state::RocksDbFile>>> outcome =
      std::make_shared<Outcome<std::vector<state::RocksDbFile>>>();

 private:
  RocksDbKeyedState& owner_;
  const Barrier barrier_;
};

RocksDbKeyedState::RocksDbKeyedState(const SubtaskInfo& info, const TaskEnvironment& environment)
    : info_(info),
      environment_(environment),
      backend_({subtask_label(info), info.max_parallelism, info.key_groups, *environment.rocksdb,
                [io = environment.io](std::function<void()> job) { io->run(std::move(job)); },
                environment.clock}) {}

Status RocksDbKeyedState::restore(CheckpointId checkpoint,
                                  const std::vector<checkpoint::StateHandle>& handles) {
  const auto is_of_rocksdb = [](const checkpoint::StateHandle& handle) {
    return handle.kind == checkpoint::kRocksDbKind;
  };
  checkpoint::CheckpointStore& store = *environment_.store;
  if (std::none_of(handles.begin(), handles.end(), is_of_rocksdb)) {
    std::vector<state::RestoreFile> files;
    for (const checkpoint::StateHandle& handle : handles) {
      files.push_back({store.path_of_restored(handle.file.path),
                       {handle.file.length_bytes, handle.file.crc32c}});
    }
    return backend_.restore_state_files(store.files(), std::move(files));
  }
  std::vector<state::RocksDbBackend::RestoreFrom> from;
  std::vector<state::RocksDbFile> files;
  bool may_go_on = environment_.is_incremental;
  for (const checkpoint::StateHandle& handle : handles) {
    if (!is_of_rocksdb(handle)) {
      return Error{ErrorCode::kCorruption, subtask_label(info_) + ": file " + handle.file.path +
                                               " is of another state backend than those with it"};
    }
    files.push_back(
        {handle.file.path, {handle.file.length_bytes, handle.file.crc32c}, handle.meta});
    from.push_back({store.path_of_restored(handle.file.path), files.back()});
    may_go_on = may_go_on && checkpoint::is_shared_path(handle.file.path) &&
                handle.key_groups == info_.key_groups;
  }
  WEIR_TRY(backend_.restore(store.files(), from));
  if (may_go_on) {
    stored_[checkpoint] = std::move(files);
  }
  return {};
}

void RocksDbKeyedState::forget_before(CheckpointId checkpoint) {
  stored_.erase(stored_.begin(), stored_.lower_bound(checkpoint));
}

/// At every barrier: often enough for somebody who looks, too seldom to be felt.
void RocksDbKeyedState::report() const {
  const state::RocksDbBackend::Figures figures = backend_.figures();
  MetricGroup& metrics = environment_.metrics->group(metric_scope(info_));
  const auto set = [&metrics](const char* name, std::uint64_t value) {
    metrics.gauge(name).set(static_cast<std::int64_t>(value));
  };
  set("rocksdb.total-sst-files-size", figures.table_bytes);
  set("rocksdb.estimate-pending-compaction-bytes", figures.pending_compaction_bytes);
  set("rocksdb.memory-waits", figures.memory_waits);
  set("rocksdb.compaction-waits", figures.compaction_waits);
  set("rocksdb.cached-bytes", backend_.memory_bytes());
}

std::unique_ptr<KeyedState::Snapshot> RocksDbKeyedState::start_snapshot(
    const Barrier& barrier, std::function<void()> wake) {
  report();
  auto snapshot = std::make_unique<Files>(*this, barrier);
  state::RocksDbBackend::SnapshotOptions options;
  options.checkpoint = barrier.checkpoint;
  options.files = &environment_.store->files();
  options.is_state_file = barrier.is_savepoint;
  const bool is_in_chain = environment_.is_incremental && !barrier.is_savepoint;
  if (is_in_chain && barrier.builds_on != 0) {
    forget_before(barrier.builds_on);
    if (const auto found = stored_.find(barrier.builds_on); found != stored_.end()) {
      options.reusable = found->second;
    }
  }
  options.new_file = [store = environment_.store, checkpoint = barrier.checkpoint,
                      scope = is_in_chain ? checkpoint::FileScope::kShared
                                          : checkpoint::FileScope::kExclusive,
                      name = subtask_name(info_)](std::string_view hint) {
    std::string file = store->new_file_name(scope, checkpoint, name + "-" + std::string(hint));
    std::string path = store->path_of(file);
    return state::RocksDbBackend::NewFile{std::move(file), std::move(path)};
  };
  options.on_done = set_and_wake(snapshot->outcome, std::move(wake));
  backend_.start_snapshot(std::move(options));
  return snapshot;
}

KeyedState::Progress RocksDbKeyedState::copy_slice() {
  return backend_.copy_slice() == state::RocksDbBackend::CopyProgress::kMore ? Progress::kMore
                                                                             : Progress::kDone;
}

}  // namespace weir::runtime
