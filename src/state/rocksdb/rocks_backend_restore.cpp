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

Status RocksDbBackend::Impl::restore(FileSystem& files, const std::vector<RestoreFrom>& from) {
  WEIR_CHECK_MESSAGE(store_ == nullptr && restore_ == nullptr, "restore() comes first, and once");
  auto restored = restore_rocks(files, from,
                                {options_.owner, options_.settings, shared_->memory,
                                 shared_->directory, true, shared_->transfers},
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
    StoredRocksState state{carried.schema, {}, {}, RocksLayout::kAsInStateFiles};
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

Status RocksDbBackend::Impl::load_state_files(OpenState& state) {
  switch (state.table->layout()) {
    case RocksLayout::kTimersByTime:
      return load_timers(state);
    case RocksLayout::kMapEntries:
      return restore_->load(*state.map);
    case RocksLayout::kAsInStateFiles:
      break;
  }
  return restore_->load(*state.table);
}

Status RocksDbBackend::Impl::load_timers(OpenState& state) {
  const std::unique_ptr<HeapTable> sets =
      make_heap_table(state.declared, {.kind = StateKind::kTimers,
                                       .max_parallelism = options_.max_parallelism,
                                       .key_groups = options_.key_groups});
  WEIR_TRY(restore_->load(*sets));
  RocksTimerQueue timers(*state.table, *state.declared.key);
  for (const StateNamespace ns : sets->namespaces()) {
    sets->for_each(ns, [&](const void* of, std::uint32_t hash, const void* value) {
      for (const std::int64_t timestamp : *static_cast<const TimestampSet*>(value)) {
        timers.add(timestamp, ns, of, hash);
      }
    });
  }
  return {};
}

Status RocksDbBackend::Impl::fit(StoredRocksState& stored, const StateRequest& wanted,
                                 const StateSchema& schema) {
  std::optional<SchemaMigration> migration;
  if (stored.schema != schema) {
    auto planned = plan_state_migration(stored.schema, schema, wanted.declared.value->evolution());
    if (!planned.ok()) {
      return Error{ErrorCode::kInvalidArgument,
                   "state '" + schema.name + "' was stored as " + stored.schema.key_schema +
                       " -> " + stored.schema.value_schema + ", but the job declares it as " +
                       schema.key_schema + " -> " + schema.value_schema + ": " +
                       planned.error().message};
    }
    migration = std::move(planned).value();
    for (const std::string& change : migration->changes()) {
      log().info("operator {}: state '{}': {}", options_.owner, schema.name, change);
    }
  }
  if (!migration.has_value() && stored.layout == wanted.layout) {
    return {};
  }
  if (wanted.kind == StateKind::kTimers) {
    return rewrite_timers(*store_, stored, wanted.layout, options_.key_groups);
  }
  return rewrite_entries(*store_, stored, schema,
                         {migration.has_value() ? &*migration : nullptr,
                          wanted.layout == RocksLayout::kMapEntries ? &wanted.parts : nullptr},
                         options_.key_groups);
}

}  // namespace weir::state
