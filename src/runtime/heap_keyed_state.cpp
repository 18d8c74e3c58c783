#include "runtime/heap_keyed_state.h"

#include <utility>

#include "runtime/outcome.h"
#include "runtime/task_scope.h"
#include "state/snapshot_file.h"

namespace weir::runtime {

/// The file of one snapshot.
class HeapKeyedState::StateFile final : public Snapshot {
 public:
  StateFile(HeapKeyedState& owner, const Barrier& barrier) : owner_(owner), barrier_(barrier) {}

  std::optional<Result<std::vector<checkpoint::StateHandle>>> poll() override {
    const auto written = outcome->take();
    if (!written.has_value()) {
      return std::nullopt;
    }
    if (!written->ok()) {
      return written->error();
    }
    const state::SnapshotFileInfo& info = written->value();
    checkpoint::StateHandle handle;
    handle.file = {name, info.file.length_bytes, info.file.crc32c};
    handle.kind = checkpoint::kStateFileKind;
    handle.key_groups = owner_.info_.key_groups;
    std::vector<checkpoint::StateHandle> files;
    if (owner_.environment_.is_incremental && !barrier_.is_savepoint) {
      checkpoint::ChainLink link;
      link.whole = base.checkpoint == 0 ? handle.key_groups : base.whole;
      link.whole_bytes = info.whole_bytes;
      link.raw_bytes = owner_.environment_.are_snapshots_compressed ? info.raw_bytes : 0;
      handle.meta = link.encode();
      files = checkpoint::StateChain::extended(std::move(base.files), std::move(handle));
      owner_.chain_.add(barrier_.checkpoint, files);
    } else {
      files.push_back(std::move(handle));
    }
    return files;
  }

  void abandon(const Error& reason, bool is_copied) override {
    if (!is_copied) {
      owner_.backend_.abandon_snapshot(reason);
    }
  }

  std::string name;
  checkpoint::StateChain::Base base;  ///< what the file builds upon
  /// Shared with the I/O thread that finishes the file.
  const std::shared_ptr<Outcome<state::SnapshotFileInfo>> outcome =
      std::make_shared<Outcome<state::SnapshotFileInfo>>();

 private:
  HeapKeyedState& owner_;
  const Barrier barrier_;
};

namespace {

state::HeapBackend::Options options_of(const SubtaskInfo& info,
                                       const TaskEnvironment& environment) {
  state::HeapBackend::Options options{subtask_label(info), info.max_parallelism, info.key_groups};
  options.is_incremental = environment.is_incremental;
  options.clock = environment.clock;
  return options;
}

}  // namespace

HeapKeyedState::HeapKeyedState(const SubtaskInfo& info, const TaskEnvironment& environment)
    : info_(info), environment_(environment), backend_(options_of(info, environment)) {}

Status HeapKeyedState::check_readable(const std::vector<checkpoint::StateHandle>& files) {
  for (const checkpoint::StateHandle& handle : files) {
    if (handle.kind == checkpoint::kRocksDbKind) {
      return Error{ErrorCode::kInvalidArgument,
                   "the checkpoint was written with state.backend.type rocksdb and cannot be "
                   "read by hashmap: start with rocksdb, take a savepoint, and start from that"};
    }
  }
  return {};
}

Status HeapKeyedState::restore(CheckpointId checkpoint,
                               const std::vector<checkpoint::StateHandle>& handles) {
  if (const Status readable = check_readable(handles); !readable.ok()) {
    return readable.error().with_context(subtask_label(info_));
  }
  std::vector<state::RestoreFile> files;
  for (const checkpoint::StateHandle& handle : handles) {
    files.push_back({environment_.store->path_of_restored(handle.file.path),
                     {handle.file.length_bytes, handle.file.crc32c}});
  }
  WEIR_TRY(backend_.restore(environment_.store->files(), std::move(files)));
  if (environment_.is_incremental && chain_.begin(checkpoint, handles, info_.key_groups)) {
    backend_.build_on_restored(checkpoint);
  }
  return {};
}

void HeapKeyedState::forget_before(CheckpointId checkpoint) {
  backend_.forget_before(checkpoint);
  chain_.forget_before(checkpoint);
}

std::unique_ptr<KeyedState::Snapshot> HeapKeyedState::start_snapshot(const Barrier& barrier,
                                                                     std::function<void()> wake) {
  auto snapshot = std::make_unique<StateFile>(*this, barrier);
  // Nothing builds on a savepoint, which is the user's.
  const bool is_in_chain = environment_.is_incremental && !barrier.is_savepoint;
  snapshot->name = environment_.store->new_file_name(
      is_in_chain ? checkpoint::FileScope::kShared : checkpoint::FileScope::kExclusive,
      barrier.checkpoint, subtask_name(info_));
  if (is_in_chain && barrier.builds_on != 0) {
    forget_before(barrier.builds_on);
    if (backend_.can_build_on(barrier.builds_on)) {
      snapshot->base = chain_.base_for(barrier.builds_on);
    }
  }
  state::SnapshotFile::Options options;
  // What a savepoint is made of is read again at once and written anew.
  options.is_compressed = environment_.are_snapshots_compressed && !barrier.is_savepoint;
  options.run = [io = environment_.io](std::function<void()> job) { io->run(std::move(job)); };
  options.on_done = set_and_wake(snapshot->outcome, std::move(wake));
  backend_.start_snapshot(
      state::SnapshotFile::create(environment_.store->files(),
                                  environment_.store->path_of(snapshot->name), options),
      is_in_chain ? barrier.checkpoint : 0, snapshot->base.checkpoint, snapshot->base.whole);
  return snapshot;
}

KeyedState::Progress HeapKeyedState::copy_slice() {
  switch (backend_.copy_slice()) {
    case state::HeapBackend::CopyProgress::kMore:
      return Progress::kMore;
    case state::HeapBackend::CopyProgress::kWaiting:
      return Progress::kWaiting;
    case state::HeapBackend::CopyProgress::kDone:
    case state::HeapBackend::CopyProgress::kFailed:  // poll() says why
      break;
  }
  return Progress::kDone;
}

}  // namespace weir::runtime
