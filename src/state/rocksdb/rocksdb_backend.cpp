#include "state/rocksdb/rocksdb_backend.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "base/clock.h"
#include "state/heap_table.h"
#include "state/rocksdb/rocks_backend_impl.h"
#include "state/timestamp_set.h"
#include "weir/check.h"

namespace weir::state {
namespace {

/// Encoded on the side for every entry that is created or looked up, so that a run is done long
/// before the next one is due.
constexpr std::size_t kEncodedPerEntry = 4;
constexpr std::size_t kEncodedPerCall = 16;
/// How far weir's caches may exceed their memory while runs are on their way down.
constexpr double kOverrun = 0.25;
/// A batch that finds compactions far behind waits so long for them.
constexpr std::chrono::milliseconds kCompactionWait{20};
constexpr std::size_t kDirtyBytesMin = std::size_t{256} << 10;

/// The directories in turn, whichever job of the process asks.
const std::string& next_directory(const RocksDbSettings& settings) {
  static std::atomic<std::size_t> turn{0};
  const std::vector<std::string>& others = settings.more_local_directories;
  const std::size_t i = others.empty() ? 0 : turn.fetch_add(1) % (others.size() + 1);
  return i == 0 ? settings.local_directory : others[i - 1];
}

}  // namespace

// --- RocksDbBackend ----------------------------------------------------------------------------

RocksDbBackend::RocksDbBackend(Options options) : impl_(new Impl(std::move(options))) {}
RocksDbBackend::~RocksDbBackend() = default;
Status RocksDbBackend::open() { return impl_->open_store(); }
Status RocksDbBackend::restore(FileSystem& files, const std::vector<RestoreFrom>& from) {
  return impl_->restore(files, from);
}
Status RocksDbBackend::restore_state_files(FileSystem& files, std::vector<RestoreFile> from) {
  return impl_->restore_state_files(files, std::move(from));
}
Result<std::vector<std::string>> RocksDbBackend::finish_restore() {
  return impl_->finish_restore();
}
Result<StateTable*> RocksDbBackend::open_table(StateTableDescriptor descriptor) {
  return impl_->open_table(std::move(descriptor));
}
Result<MapTable*> RocksDbBackend::open_map(StateTableDescriptor descriptor, MapParts parts) {
  return impl_->open_map(std::move(descriptor), std::move(parts));
}
Result<TimerQueue*> RocksDbBackend::open_timers(std::string name, const TypeOps& key) {
  return impl_->open_timers(std::move(name), key);
}
Status RocksDbBackend::status() const { return impl_->status(); }
void RocksDbBackend::start_snapshot(SnapshotOptions options) {
  impl_->start_snapshot(std::move(options));
}
RocksDbBackend::CopyProgress RocksDbBackend::copy_slice(std::size_t entries_max) {
  return impl_->copy_slice(entries_max);
}
void RocksDbBackend::abandon_snapshot(CheckpointId checkpoint, const Error& reason) {
  impl_->abandon_snapshot(checkpoint, reason);
}
bool RocksDbBackend::is_copying() const { return impl_->is_copying(); }
std::size_t RocksDbBackend::memory_bytes() const { return impl_->memory_bytes(); }
std::uint64_t RocksDbBackend::entry_count() const { return impl_->entry_count(); }
RocksDbBackend::Figures RocksDbBackend::figures() const { return impl_->figures(); }
RocksDbBackend::Reads RocksDbBackend::reads() const { return impl_->reads(); }
const std::string& RocksDbBackend::local_path() const { return impl_->local_path(); }
void RocksDbBackend::write_all_down() { impl_->write_all_down(); }
void RocksDbBackend::evict_all() { impl_->evict_all(); }

// --- Life --------------------------------------------------------------------------------------

RocksDbBackend::Impl::Impl(Options options)
    : options_(std::move(options)),
      shared_(std::make_shared<Shared>()),
      work_(std::make_shared<SerialWork>(options_.run)) {
  WEIR_CHECK(options_.max_parallelism > 0 && options_.max_parallelism <= kUpperBoundMaxParallelism);
  WEIR_CHECK(options_.key_groups.first >= 0 && options_.key_groups.last < options_.max_parallelism);
}

RocksDbBackend::Impl::~Impl() {
  shared_->is_closing = true;
  const Error reason{ErrorCode::kCancelled, "operator " + options_.owner + " was closed"};
  for (const Run& run : runs_) {
    if (run.snapshot != nullptr) {
      run.snapshot->done(reason);
    }
  }
  for (const std::weak_ptr<RocksSnapshot>& weak : snapshots_) {
    if (const auto snapshot = weak.lock()) {
      snapshot->cancel(reason);
    }
  }
  work_->close();
  if (shared_->memory != nullptr) {
    for (const auto& [id, state] : states_) {
      shared_->memory->add_cached(-state.charged_bytes);
      shared_->memory->add_user(-1);
    }
  }
  states_.clear();  // Before what their iterators read from.
}

Status RocksDbBackend::Impl::open_store() {
  WEIR_ASSIGN(shared_->directory, RocksDirectory::of_process(next_directory(options_.settings)));
  shared_->memory = RocksMemory::of_process(options_.settings);
  shared_->run = options_.run;
  shared_->transfers = {options_.run, options_.settings.transfer_threads};
  return {};
}

void RocksDbBackend::Impl::Shared::fail(Error error) {
  const std::lock_guard lock(mutex);
  if (!failure.has_value()) {
    failure = std::move(error);
    has_failed.store(true, std::memory_order_release);
  }
}

Status RocksDbBackend::Impl::Shared::status() const {
  if (has_failed.load(std::memory_order_acquire)) {
    const std::lock_guard lock(mutex);
    return *failure;
  }
  return store == nullptr ? Status() : store->background_status();
}

Status RocksDbBackend::Impl::status() const { return shared_->status(); }

void RocksDbBackend::Impl::fail(Error error) {
  shared_->fail(std::move(error));
  throw std::runtime_error(shared_->status().error().message);
}

// --- States ------------------------------------------------------------------------------------

Status RocksDbBackend::Impl::open_new_store() {
  if (store_ != nullptr) {
    return {};
  }
  RocksStore::Options how{options_.owner, options_.settings, shared_->memory, shared_->directory,
                          true,           shared_->transfers};
  std::string path = how.directory->next(how.owner);
  WEIR_ASSIGN(shared_->store, RocksStore::open(std::move(how), std::move(path), {}));
  store_ = shared_->store.get();
  return {};
}

Result<RocksDbBackend::Impl::OpenState*> RocksDbBackend::Impl::open_state(StateRequest request) {
  const StateTableDescriptor& declared = request.declared;
  const Status checked = check_descriptor(declared);
  if (!checked.ok()) {
    return in_operator(checked.error());
  }
  WEIR_TRY(open_new_store());
  const StateSchema schema =
      StateSchema::of(request.kind, declared.name, *declared.key, *declared.value);
  const Id id{request.kind, declared.name};
  if (const auto found = states_.find(id); found != states_.end()) {
    const StateTableDescriptor& present = found->second.declared;
    const bool is_same =
        present.key->name == declared.key->name && present.value->name == declared.value->name &&
        found->second.table->schema() == schema && found->second.table->layout() == request.layout;
    if (is_same) {
      return &found->second;
    }
    return in_operator(
        Error{ErrorCode::kInvalidArgument,
              "state '" + declared.name + "' is open already as " + std::string(present.key->name) +
                  " -> " + std::string(present.value->name) + ", asked for as " +
                  std::string(declared.key->name) + " -> " + std::string(declared.value->name)});
  }
  StoredRocksState stored{schema, {}, {}, request.layout};
  if (const auto found = stored_.find(id); found != stored_.end()) {
    const Status fits = fit(found->second, request, schema);
    if (!fits.ok()) {
      return in_operator(fits.error());
    }
    stored = std::move(found->second);
    stored_.erase(found);
  }
  WEIR_TRY(fill_families(*store_, stored, options_.key_groups));
  for (RocksStore::Family* family : stored.families) {
    if (request.table.expiry.in_compactions) {
      WEIR_TRY(store_->set_compaction_period(*family, request.table.expiry.compaction_period));
      family->filter->set_expiry([of = request.table.expiry.of, clock = &clock()] {
        return [of, now = clock->wall_ms()](std::string_view value, std::string& rest) {
          return of(value, now, rest);
        };
      });
    }
  }
  OpenState& state = states_[id];
  state.declared = declared;
  state.table = std::make_unique<RocksTable>(
      *this, *store_, std::move(request.table),
      RocksTable::Options{options_.max_parallelism, options_.key_groups, request.layout, schema},
      stored.families, stored.namespaces);
  if (request.layout == RocksLayout::kMapEntries) {
    state.map = std::make_unique<RocksMapTable>(*state.table, declared, std::move(request.parts));
  }
  state_of_table_[state.table.get()] = &state;
  shared_->memory->add_user(1);
  if (restore_ != nullptr) {
    const Status loaded = load_state_files(state);
    if (!loaded.ok()) {
      return in_operator(loaded.error());
    }
  }
  return &state;
}

Result<StateTable*> RocksDbBackend::Impl::open_table(StateTableDescriptor descriptor) {
  WEIR_ASSIGN(
      OpenState * state,
      open_state({StateKind::kTable, descriptor, descriptor, RocksLayout::kAsInStateFiles, {}}));
  return static_cast<StateTable*>(state->table.get());
}

Result<MapTable*> RocksDbBackend::Impl::open_map(StateTableDescriptor descriptor, MapParts parts) {
  StateTableDescriptor entries = RocksMapTable::entries_of(descriptor, parts);
  WEIR_ASSIGN(OpenState * state,
              open_state({StateKind::kTable, std::move(descriptor), std::move(entries),
                          RocksLayout::kMapEntries, std::move(parts)}));
  return static_cast<MapTable*>(state->map.get());
}

Result<TimerQueue*> RocksDbBackend::Impl::open_timers(std::string name, const TypeOps& key) {
  const StateTableDescriptor as_sets = HeapTimerQueue::descriptor(name, key);
  const bool is_by_time = options_.settings.are_timers_in_store;
  WEIR_ASSIGN(OpenState * state,
              open_state({StateKind::kTimers,
                          as_sets,
                          is_by_time ? RocksTimerQueue::descriptor(std::move(name)) : as_sets,
                          is_by_time ? RocksLayout::kTimersByTime : RocksLayout::kAsInStateFiles,
                          {}}));
  if (state->timers == nullptr && is_by_time) {
    auto queue = std::make_unique<RocksTimerQueue>(*state->table, key);
    state->timers_by_time = queue.get();
    state->timers = std::move(queue);
  } else if (state->timers == nullptr) {
    state->timers = std::make_unique<HeapTimerQueue>(*state->table, key);
  }
  return state->timers.get();
}

std::size_t RocksDbBackend::Impl::memory_bytes() const {
  std::size_t total = 0;
  for (const auto& [id, state] : states_) {
    total += state.memory_bytes();
  }
  return total;
}

RocksDbBackend::Figures RocksDbBackend::Impl::figures() const {
  Figures figures = figures_;
  if (store_ != nullptr) {
    const RocksStore::Figures of_store = store_->figures();
    figures.table_bytes = of_store.table_bytes;
    figures.pending_compaction_bytes = of_store.pending_compaction_bytes;
  }
  return figures;
}

RocksDbBackend::Reads RocksDbBackend::Impl::reads() const {
  Reads total;
  for (const auto& [id, state] : states_) {
    total.single += state.table->reads().single;
    total.together += state.table->reads().together;
  }
  return total;
}

std::uint64_t RocksDbBackend::Impl::entry_count() const {
  std::uint64_t total = 0;
  for (const auto& [id, state] : states_) {
    total += state.table->entry_count();
  }
  return total;
}

// --- Epochs and memory -------------------------------------------------------------------------

RocksTablePart& RocksDbBackend::Impl::part_of(const RocksTable& table, std::uint32_t epoch) {
  for (Run& run : runs_) {
    if (run.epoch == epoch) {
      for (RocksTablePart& part : run.parts) {
        if (part.table == &table) {
          return part;
        }
      }
    }
  }
  WEIR_CHECK_MESSAGE(false, "a written entry belongs to no run");
  return runs_.front().parts.front();
}

std::size_t RocksDbBackend::Impl::dirty_bytes_max() const {
  // A third each for what is being written, what is on its way down, and what is only read.
  const auto share = static_cast<std::size_t>(shared_->memory->fair_share()) * states_.size() / 3;
  return std::max(kDirtyBytesMin,
                  std::min(static_cast<std::size_t>(options_.settings.write_buffer_bytes), share));
}

std::size_t RocksDbBackend::Impl::protected_bytes_max() const {
  return static_cast<std::size_t>(shared_->memory->fair_share()) / 8;
}

void RocksDbBackend::Impl::before_call(RocksTable& table, std::size_t entries, CallKind kind) {
  const Status healthy = shared_->status();
  if (!healthy.ok()) {
    fail(healthy.error());
  }
  is_idle_ = false;
  if (store_->is_far_behind()) {
    ++figures_.compaction_waits;
    store_->wait_for_compactions(kCompactionWait);
  }
  if (!runs_.empty()) {
    encode(kEncodedPerCall + kEncodedPerEntry * entries);
  }
  if (dirty_bytes_ >= dirty_bytes_max()) {
    close_epoch(nullptr);
  }
  table.collect_garbage(kEncodedPerCall + 2 * entries);
  make_room(*state_of_table_.at(&table), entries, kind);
}

void RocksDbBackend::Impl::charge(OpenState& state) {
  const auto bytes = static_cast<std::int64_t>(state.memory_bytes());
  shared_->memory->add_cached(bytes - std::exchange(state.charged_bytes, bytes));
}

/// What the state should give away for others to have theirs.
std::size_t RocksDbBackend::Impl::excess_of(const OpenState& state) const {
  const RocksMemory& memory = *shared_->memory;
  return static_cast<std::size_t>(std::max<std::int64_t>(
      0,
      std::min(memory.cached() - memory.cached_max(), state.charged_bytes - memory.fair_share())));
}

void RocksDbBackend::Impl::make_room(OpenState& state, std::size_t entries, CallKind kind) {
  RocksMemory& memory = *shared_->memory;
  charge(state);
  if (memory.cached() <= memory.cached_max()) {
    return;
  }
  constexpr std::size_t kStepsPerCall = 64;
  constexpr std::size_t kStepsPerEntry = 16;
  constexpr std::size_t kEntryBytes = 128;
  const std::size_t steps = kStepsPerCall + kStepsPerEntry * entries;
  // The operator's other states, which may not be asked for any more, give way first.
  for (auto& [id, other] : states_) {
    if (&other != &state && excess_of(other) != 0) {
      other.table->evict(excess_of(other), 0, steps, CallKind::kReads);
      charge(other);
    }
  }
  if (state.charged_bytes <= memory.fair_share()) {
    return;
  }
  state.table->evict(excess_of(state), kEntryBytes * entries, steps, kind);
  charge(state);
  const auto most = static_cast<std::int64_t>(static_cast<double>(memory.cached_max()) * kOverrun);
  if (static_cast<std::int64_t>(excess_of(state)) <= most || kind == CallKind::kReads) {
    return;
  }
  // Nothing more can be evicted before what is under way is down: the operator waits for it. Where
  // nothing is under way, what each operator may have in any case is more than there is for all.
  const bool may_close = dirty_bytes_ > kDirtyBytesMin;
  const RocksEpochs& epochs = shared_->epochs;
  if (!may_close && runs_.empty() &&
      epochs.below.load(std::memory_order_acquire) >= epochs.encoded) {
    return;
  }
  ++figures_.memory_waits;
  if (may_close) {
    close_epoch(nullptr);
  }
  encode_all();
  work_->wait();
  state.table->evict(excess_of(state), 0, std::numeric_limits<std::size_t>::max() / 2, kind);
  charge(state);
}

/// Of a backend that nobody calls: as much as others want.
void RocksDbBackend::Impl::give_way() {
  constexpr std::size_t kStepsMax = std::size_t{1} << 20;
  for (auto& [id, state] : states_) {
    if (excess_of(state) != 0) {
      state.table->evict(excess_of(state), 0, kStepsMax, CallKind::kReads);
      charge(state);
    }
  }
}

void RocksDbBackend::Impl::close_epoch(std::shared_ptr<RocksSnapshot> snapshot) {
  Run run;
  run.epoch = shared_->epochs.current;
  for (auto& [id, state] : states_) {
    run.parts.push_back(state.table->close_epoch(snapshot != nullptr));
  }
  run.snapshot = std::move(snapshot);
  dirty_bytes_ = 0;
  ++shared_->epochs.current;
  WEIR_CHECK_MESSAGE(shared_->epochs.current < 0xffff'fff0U, "2^32 epochs in one run");
  runs_.push_back(std::move(run));
}

void RocksDbBackend::Impl::encode(std::size_t entries_max) {
  while (!runs_.empty()) {
    Run& run = runs_.front();
    for (RocksTablePart& part : run.parts) {
      if (part.next < part.nodes.size()) {
        if (entries_max == 0) {
          return;
        }
        entries_max -= part.table->encode(part, entries_max);
        if (part.next < part.nodes.size()) {
          return;
        }
      }
    }
    Run done = std::move(runs_.front());
    runs_.pop_front();
    shared_->epochs.encoded = done.epoch;
    hand_down(std::move(done));
  }
}

void RocksDbBackend::Impl::encode_all() { encode(std::numeric_limits<std::size_t>::max()); }

void RocksDbBackend::Impl::write_all_down() {
  close_epoch(nullptr);
  encode_all();
  work_->wait();
}

void RocksDbBackend::Impl::evict_all() {
  constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max() / 2;
  for (auto& [id, state] : states_) {
    state.table->evict(kAll, 0, kAll, CallKind::kChanges);
    charge(state);
  }
}

}  // namespace weir::state
