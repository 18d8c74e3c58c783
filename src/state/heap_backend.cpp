#include "state/heap_backend.h"

#include <algorithm>
#include <utility>

#include "base/planted_bug.h"
#include "state/heap_table.h"
#include "state/heap_timer_queue.h"
#include "state/snapshot_writer.h"
#include "state/state_restore.h"
#include "weir/check.h"

namespace weir::state {
namespace {

/// Between two looks at whether the sink has room.
constexpr std::size_t kSlotsPerLook = 4096;
/// Copying so many bytes costs as much as one slot.
constexpr std::size_t kCarriedBytesPerSlot = 64;

}  // namespace

/// The snapshot being copied.
struct HeapBackend::Copy {
  std::shared_ptr<SnapshotSink> sink;
  SnapshotWriter writer;
  std::vector<WalkPosition> walk;
  std::size_t next = 0;
  /// Restored states nobody opened, with their numbers in the file. They do not change meanwhile:
  /// opening one completes them first.
  struct Carried {
    std::uint32_t number;
    const StateRestore::Carried* state;
    KeyGroupRange key_groups;  ///< wanted
    std::size_t next_run = 0;
  };
  std::vector<Carried> carried;
};

HeapBackend::HeapBackend(Options options) : options_(std::move(options)), epoch_(kFirstEpoch) {
  const KeyGroupRange range = options_.key_groups;
  WEIR_CHECK(options_.max_parallelism > 0 && options_.max_parallelism <= kUpperBoundMaxParallelism);
  WEIR_CHECK(range.first >= 0 && range.last < options_.max_parallelism);
}

HeapBackend::~HeapBackend() {
  abandon_snapshot(Error{ErrorCode::kCancelled, "operator " + options_.owner + " was closed"});
}

// --- Restore and open --------------------------------------------------------------------------

Status HeapBackend::restore(FileSystem& files, std::vector<RestoreFile> state_files) {
  WEIR_CHECK_MESSAGE(states_.empty() && restore_ == nullptr, "restore() comes first, and once");
  auto restore =
      std::make_unique<StateRestore>(options_.owner, options_.max_parallelism, options_.key_groups);
  const Status status = restore->add_files(files, state_files);
  if (!status.ok()) {
    return status.error().with_context("restoring operator " + options_.owner);
  }
  restore_ = std::move(restore);
  return {};
}

Result<std::vector<std::string>> HeapBackend::finish_restore() {
  if (restore_ == nullptr) {
    return std::vector<std::string>{};
  }
  return restore_->finish();
}

Result<HeapBackend::OpenState*> HeapBackend::open(StateKind kind, StateTableDescriptor descriptor) {
  const auto in_operator = [&](const Error& error) {
    return error.with_context("operator " + options_.owner);
  };
  const Status checked = check_descriptor(descriptor);
  if (!checked.ok()) {
    return in_operator(checked.error());
  }
  const std::pair<StateKind, std::string> id{kind, descriptor.name};
  const auto found = states_.find(id);
  if (found != states_.end()) {
    const StateTableDescriptor& present = found->second.table->descriptor();
    const auto is_same = [](const TypeOps& a, const TypeOps& b) {
      return a.name == b.name && a.size == b.size && a.schema() == b.schema();
    };
    if (is_same(*present.key, *descriptor.key) && is_same(*present.value, *descriptor.value)) {
      return &found->second;
    }
    return in_operator(
        Error{ErrorCode::kInvalidArgument, "state '" + descriptor.name + "' is open already as " +
                                               std::string(present.key->name) + " -> " +
                                               std::string(present.value->name)});
  }
  auto table =
      make_heap_table(std::move(descriptor), HeapTable::Options{
                                                 .kind = kind,
                                                 .max_parallelism = options_.max_parallelism,
                                                 .key_groups = options_.key_groups,
                                                 .limits = options_.limits,
                                                 .is_incremental = options_.is_incremental,
                                             });
  if (restore_ != nullptr) {
    if (copy_ != nullptr) {
      std::size_t spent = 0;
      copy_carried(spent, 0, true);
    }
    table->set_epoch(kRestoredEpoch);
    const Status loaded = restore_->load(*table);
    if (!loaded.ok()) {
      return in_operator(loaded.error());
    }
    if (restore_->has_migrated()) {
      closed_.clear();  // The next snapshot is whole, in the schema that there is now.
    }
  }
  table->set_epoch(epoch_);
  table->set_needed_above(needed_above());
  return &states_.emplace(id, OpenState{std::move(table), nullptr}).first->second;
}

Result<StateTable*> HeapBackend::open_table(StateTableDescriptor descriptor) {
  WEIR_ASSIGN(OpenState * state, open(StateKind::kTable, std::move(descriptor)));
  return static_cast<StateTable*>(state->table.get());
}

Result<TimerQueue*> HeapBackend::open_timers(std::string name, const TypeOps& key) {
  WEIR_ASSIGN(OpenState * state,
              open(StateKind::kTimers, HeapTimerQueue::descriptor(std::move(name), key)));
  if (state->timers == nullptr) {
    state->timers = std::make_unique<HeapTimerQueue>(*state->table, key);
  }
  return state->timers.get();
}

Status HeapBackend::status() const { return {}; }

std::size_t HeapBackend::memory_bytes() const {
  std::size_t total = 0;
  for (const auto& [id, state] : states_) {
    total += state.table->memory_bytes();
  }
  return total;
}

std::uint64_t HeapBackend::entry_count() const {
  std::uint64_t total = 0;
  for (const auto& [id, state] : states_) {
    total += state.table->entry_count();
  }
  return total;
}

// --- Snapshots ---------------------------------------------------------------------------------

std::uint32_t HeapBackend::needed_above() const {
  return closed_.empty() ? TombstoneRule().needed_above : closed_.begin()->second;
}

void HeapBackend::update_needed() {
  for (const auto& [id, state] : states_) {
    state.table->set_needed_above(needed_above());
  }
}

void HeapBackend::forget_before(CheckpointId checkpoint) {
  closed_.erase(closed_.begin(), closed_.lower_bound(checkpoint));
  if (copy_ == nullptr) {  // One that is being copied may build on an earlier checkpoint.
    update_needed();
  }
}

void HeapBackend::build_on_restored(CheckpointId checkpoint) {
  WEIR_CHECK(options_.is_incremental && states_.empty() && closed_.empty());
  closed_[checkpoint] = kRestoredEpoch;
}

void HeapBackend::start_snapshot(std::shared_ptr<SnapshotSink> sink, CheckpointId checkpoint,
                                 CheckpointId since, KeyGroupRange whole) {
  const KeyGroupRange own = options_.key_groups;
  WEIR_CHECK(since == 0 || (can_build_on(since) && checkpoint > since));
  WEIR_CHECK(whole.size() == 0 || (whole.first >= own.first && whole.last <= own.last));
  if (copy_ != nullptr) {
    ++forced_completions_;
    copy(0, true);
  }
  StateFileIndex index;
  index.owner = options_.owner;
  index.max_parallelism = options_.max_parallelism;
  index.key_groups = own;
  index.checkpoint = checkpoint;
  index.since = since;
  index.whole = since == 0 ? own : whole;
  whole = index.whole;
  copy_.reset(new Copy{sink, SnapshotWriter(sink, std::move(index)), {}, 0, {}});
  const std::uint32_t since_epoch =
      since == 0 ? 0 : closed_.at(since) + (planted_bug("S2") ? 1 : 0);
  if (options_.is_incremental && checkpoint != 0) {
    closed_[checkpoint] = epoch_;
    update_needed();
  }
  ++epoch_;
  WEIR_CHECK_MESSAGE(epoch_ < kErasedBit, "2^31 snapshots in one run");
  for (const auto& [id, state] : states_) {
    state.table->start_snapshot(copy_->writer, epoch_, copy_->walk, since_epoch, whole);
    if (since == 0 && (checkpoint == 0 || !options_.is_incremental)) {
      Clock& clock = options_.clock == nullptr ? system_clock() : *options_.clock;
      state.table->leave_out_expired(clock.wall_ms());
    }
  }
  if (restore_ != nullptr && whole.size() != 0 && !planted_bug("S6")) {
    for (const auto& [id, carried] : restore_->carried()) {
      copy_->carried.push_back(
          {copy_->writer.add_state(carried.schema, carried.entry_count()), &carried, whole});
    }
  }
}

bool HeapBackend::must_wait() const { return copy_ != nullptr && copy_->sink->is_overfull(); }

HeapBackend::CopyProgress HeapBackend::copy_slice(std::size_t slots_max) {
  return copy(slots_max, false);
}

HeapBackend::CopyProgress HeapBackend::copy(std::size_t slots_max, bool is_forced) {
  if (copy_ == nullptr) {
    return CopyProgress::kDone;
  }
  std::size_t spent = 0;
  while (copy_->next < copy_->walk.size()) {
    if (copy_->writer.error().has_value() || copy_->sink->has_failed()) {
      abandon_snapshot(copy_->writer.error().value_or(
          Error{ErrorCode::kIo, "the snapshot's file cannot be written"}));
      return CopyProgress::kFailed;
    }
    if (!is_forced && spent >= slots_max) {
      return CopyProgress::kMore;
    }
    if (!is_forced && !copy_->sink->has_room()) {
      return CopyProgress::kWaiting;
    }
    WalkPosition& position = copy_->walk[copy_->next];
    const std::size_t left = is_forced ? kSlotsPerLook : slots_max - spent;
    spent += position.table->walk(position, std::min(left, kSlotsPerLook)) + 1;
    if (position.shard == position.shards->count()) {
      position.table->release(*position.shards);
      ++copy_->next;
    }
  }
  if (!copy_carried(spent, slots_max, is_forced)) {
    return copy_->sink->has_room() ? CopyProgress::kMore : CopyProgress::kWaiting;
  }
  if (copy_->writer.error().has_value()) {
    abandon_snapshot(*copy_->writer.error());
    return CopyProgress::kFailed;
  }
  copy_->writer.finish();
  end_copy();
  return CopyProgress::kDone;
}

bool HeapBackend::copy_carried(std::size_t& spent, std::size_t slots_max, bool is_forced) {
  for (Copy::Carried& carried : copy_->carried) {
    const auto& runs = carried.state->runs;
    for (; carried.next_run < runs.size(); ++carried.next_run) {
      if (!is_forced && (spent >= slots_max || !copy_->sink->has_room())) {
        return false;
      }
      const StateRestore::Carried::Run& run = runs[carried.next_run];
      if (!carried.key_groups.contains(static_cast<int>(run.header.key_group))) {
        continue;
      }
      RunHeader header = run.header;
      header.state = carried.number;
      copy_->writer.append_run(header, run.entries);
      copy_->writer.add_whole_bytes(run.entries.size());
      spent += 1 + run.entries.size() / kCarriedBytesPerSlot;
    }
  }
  copy_->carried.clear();
  return true;
}

void HeapBackend::abandon_snapshot(Error reason) {
  if (copy_ == nullptr) {
    return;
  }
  const std::shared_ptr<SnapshotSink> sink = copy_->sink;
  end_copy();
  sink->abandon(std::move(reason));
}

void HeapBackend::end_copy() {
  for (; copy_->next < copy_->walk.size(); ++copy_->next) {
    const WalkPosition& position = copy_->walk[copy_->next];
    position.table->release(*position.shards);
  }
  for (const auto& [id, state] : states_) {
    state.table->end_snapshot();
  }
  copy_.reset();
  update_needed();
}

}  // namespace weir::state
