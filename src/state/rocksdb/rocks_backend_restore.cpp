// How a backend begins with what was stored.

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "state/heap_table.h"
#include "state/rocksdb/rocks_backend_impl.h"
#include "state/rocksdb/rocks_key.h"
#include "state/state_migration.h"
#include "state/timestamp_set.h"
#include "weir/codec.h"

namespace weir::state {
namespace {

/// Entries are brought down in portions of about so much.
constexpr std::size_t kPortionBytes = std::size_t{64} << 20;

}  // namespace

Status RocksDbBackend::Impl::restore(FileSystem& files, const std::vector<RestoreFrom>& from) {
  WEIR_CHECK_MESSAGE(store_ == nullptr && restore_ == nullptr, "restore() comes first, and once");
  auto restored = restore_rocks(
      files, from, {options_.owner, options_.settings, shared_->memory, shared_->directory},
      options_.max_parallelism, options_.key_groups);
  if (!restored.ok()) {
    return restored.error().with_context("restoring operator " + options_.owner);
  }
  shared_->store = std::move(restored.value().store);
  store_ = shared_->store.get();
  stored_ = std::move(restored.value().states);
  return {};
}

Status RocksDbBackend::Impl::restore_state_files(FileSystem& files, std::vector<RestoreFile> from) {
  WEIR_CHECK_MESSAGE(store_ == nullptr && restore_ == nullptr, "restore() comes first, and once");
  auto restore =
      std::make_unique<StateRestore>(options_.owner, options_.max_parallelism, options_.key_groups);
  const Status status = restore->add_files(files, from);
  if (!status.ok()) {
    return status.error().with_context("restoring operator " + options_.owner);
  }
  restore_ = std::move(restore);
  return {};
}

Result<std::vector<std::string>> RocksDbBackend::Impl::finish_restore() {
  if (restore_ != nullptr) {
    WEIR_TRY(restore_->finish());
    WEIR_TRY(store_carried());
    restore_.reset();
  }
  std::vector<std::string> names;
  for (const auto& [id, state] : stored_) {
    names.push_back(id.second);
  }
  return names;
}

/// What a state file had and nobody opened goes to RocksDB, as if it had been restored from there.
Status RocksDbBackend::Impl::store_carried() {
  if (!restore_->carried().empty()) {
    WEIR_TRY(open_new_store());
  }
  for (const auto& [id, carried] : restore_->carried()) {
    StoredRocksState state{carried.schema, {}, {}, false};
    WEIR_TRY(fill_families(*store_, state, options_.key_groups));
    SortedRun run;
    std::map<StateNamespace, GroupCounts> counts;
    for (const StateRestore::Carried::Run& one : carried.runs) {
      std::string_view rest = one.entries;
      EncodedEntry entry;
      while (next_entry(carried.schema, false, rest, entry)) {
        std::string key;
        append_rocks_prefix(key, one.header.key_group, one.header.ns);
        key += entry.key;
        std::string value;
        Encoder(value).raw(entry.hash);
        value += entry.value;
        run.add(key, value);
        counts[one.header.ns].add(one.header.key_group, 1);
      }
    }
    std::vector<RocksStore::SortedFile> files;
    WEIR_TRY(run.write(*store_, state.families, files));
    WEIR_TRY(store_->ingest(files));
    for (const auto& [ns, groups] : counts) {
      state.namespaces.push_back({ns, groups.all()});
    }
    stored_.emplace(id, std::move(state));
  }
  return {};
}

Status RocksDbBackend::Impl::load_timers(OpenState& state, const TypeOps& key) {
  const std::unique_ptr<HeapTable> sets =
      make_heap_table(HeapTimerQueue::descriptor(state.table->schema().name, key),
                      {.kind = StateKind::kTimers,
                       .max_parallelism = options_.max_parallelism,
                       .key_groups = options_.key_groups});
  WEIR_TRY(restore_->load(*sets));
  RocksTimerQueue timers(*state.table, key);
  for (const StateNamespace ns : sets->namespaces()) {
    sets->for_each(ns, [&](const void* of, std::uint32_t hash, const void* value) {
      for (const std::int64_t timestamp : *static_cast<const TimestampSet*>(value)) {
        timers.add(timestamp, ns, of, hash);
      }
    });
  }
  return {};
}

/// The values of a state have another schema than the job's: they are rewritten, once.
Status RocksDbBackend::Impl::migrate(StoredRocksState& stored,
                                     const StateTableDescriptor& descriptor,
                                     const StateSchema& wanted) {
  const auto migration = plan_state_migration(stored.schema, wanted, descriptor.value->evolution());
  if (!migration.ok()) {
    return Error{ErrorCode::kInvalidArgument,
                 "state '" + wanted.name + "' was stored as " + stored.schema.key_schema + " -> " +
                     stored.schema.value_schema + ", but the job declares it as " +
                     wanted.key_schema + " -> " + wanted.value_schema + ": " +
                     migration.error().message};
  }
  for (const std::string& change : migration.value().changes()) {
    log().info("operator {}: state '{}': {}", options_.owner, wanted.name, change);
  }
  const TimestampMs now_ms = system_clock().wall_ms();
  const std::vector<RocksStore::Family*> old = std::exchange(stored.families, {});
  stored.schema = wanted;
  WEIR_TRY(fill_families(*store_, stored, options_.key_groups));
  SortedRun run;
  const auto bring_down = [&]() -> Status {
    std::vector<RocksStore::SortedFile> files;
    SortedRun portion = std::exchange(run, SortedRun());
    WEIR_TRY(portion.write(*store_, stored.families, files));
    return store_->ingest(files);
  };
  for (RocksStore::Family* family : old) {
    rocksdb::ReadOptions how;
    how.fill_cache = false;
    const std::unique_ptr<rocksdb::Iterator> at(store_->db().NewIterator(how, family->handle));
    const std::string end =
        rocks_group_begin(static_cast<std::uint32_t>(family->key_groups.last) + 1);
    for (at->Seek(rocks_group_begin(static_cast<std::uint32_t>(family->key_groups.first)));
         at->Valid() && at->key().compare(end) < 0; at->Next()) {
      const std::string_view value = view_of(at->value());
      std::string rewritten(value.substr(0, kRocksValuePrefix));
      Decoder in(value.substr(std::min(kRocksValuePrefix, value.size())));
      Encoder out(rewritten);
      if (!migration.value().apply(in, out, now_ms) || !in.exhausted()) {
        return Error{ErrorCode::kCorruption, "state '" + wanted.name + "': malformed value"};
      }
      run.add(view_of(at->key()), rewritten);
      if (run.bytes() >= kPortionBytes) {
        WEIR_TRY(bring_down());
      }
    }
    if (!at->status().ok()) {
      return store_->error(at->status(), "reading state '" + wanted.name + "' from");
    }
  }
  WEIR_TRY(bring_down());
  for (RocksStore::Family* family : old) {
    WEIR_TRY(store_->drop_family(family));
  }
  return {};
}

}  // namespace weir::state
