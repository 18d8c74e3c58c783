// How epochs become files and checkpoints.

#include <algorithm>
#include <utility>

#include "base/planted_bug.h"
#include "state/rocksdb/rocks_backend_impl.h"

namespace weir::state {

void RocksDbBackend::Impl::start_snapshot(SnapshotOptions options) {
  const auto snapshot = std::make_shared<RocksSnapshot>(std::move(options));
  std::erase_if(snapshots_, [](const auto& old) { return old.expired(); });
  snapshots_.push_back(snapshot);
  snapshot->index.owner = options_.owner;
  snapshot->index.max_parallelism = options_.max_parallelism;
  snapshot->index.key_groups = options_.key_groups;
  snapshot->index.checkpoint = snapshot->options().checkpoint;
  close_epoch(snapshot);
  if (std::exchange(is_idle_, true)) {
    give_way();
  }
}

RocksDbBackend::CopyProgress RocksDbBackend::Impl::copy_slice(std::size_t entries_max) {
  encode(entries_max);
  return is_copying() ? CopyProgress::kMore : CopyProgress::kDone;
}

bool RocksDbBackend::Impl::is_copying() const {
  return std::any_of(runs_.begin(), runs_.end(),
                     [](const Run& run) { return run.snapshot != nullptr; });
}

void RocksDbBackend::Impl::abandon_snapshot(CheckpointId checkpoint, const Error& reason) {
  for (const std::weak_ptr<RocksSnapshot>& weak : snapshots_) {
    const auto snapshot = weak.lock();
    if (snapshot != nullptr && snapshot->options().checkpoint == checkpoint) {
      snapshot->cancel(reason);
    }
  }
}

RocksFilter::ExpiryNow RocksDbBackend::Impl::expiry_of_full_snapshot(
    const RocksTable& table) const {
  const ValueExpiry& expiry = table.descriptor().expiry;
  if (!expiry.in_full_snapshots) {
    return nullptr;
  }
  return [of = expiry.of, now = clock().wall_ms()](std::string_view value, std::string& rest) {
    return of(value, now, rest);
  };
}

/// All of a run is encoded: the rest happens on I/O threads.
void RocksDbBackend::Impl::hand_down(Run run) {
  const auto down = std::make_shared<Down>();
  down->epoch = run.epoch;
  down->snapshot = std::move(run.snapshot);
  const auto describe = [&](const StateSchema& schema,
                            const std::vector<RocksStore::Family*>& families,
                            std::vector<RocksIndex::Namespace> namespaces, RocksLayout layout,
                            RocksFilter::ExpiryNow expiry) {
    RocksIndex::State state{schema, {}, std::move(namespaces), layout};
    for (const RocksStore::Family* family : families) {
      state.families.push_back({family->name, family->key_groups});
    }
    down->snapshot->index.states.push_back(std::move(state));
    down->states.push_back({schema, families, layout, std::move(expiry)});
  };
  for (RocksTablePart& part : run.parts) {
    if (down->snapshot != nullptr) {
      describe(part.table->schema(), part.table->families(), std::move(part.namespaces),
               part.table->layout(), expiry_of_full_snapshot(*part.table));
    }
    if (!part.run.empty() && !(down->snapshot == nullptr && planted_bug("S8"))) {
      down->bytes += static_cast<std::int64_t>(part.run.bytes());
      down->parts.push_back({std::move(part.run), part.table->families()});
    }
  }
  if (down->snapshot != nullptr) {
    for (const auto& [id, stored] : stored_) {
      describe(stored.schema, stored.families, stored.namespaces, stored.layout, nullptr);
    }
  }
  shared_->memory->add_cached(down->bytes);
  work_->add([shared = shared_, down] { bring_down(shared, *down); });
}

void RocksDbBackend::Impl::bring_down(const std::shared_ptr<Shared>& shared, Down& down) {
  Status status = shared->status();
  if (status.ok() && shared->is_closing) {
    status = Error{ErrorCode::kCancelled, "the operator was closed"};
  }
  std::vector<RocksStore::SortedFile> files;
  for (Down::Part& part : down.parts) {
    if (status.ok()) {
      status = part.run.write(*shared->store, part.families, files);
    }
  }
  if (status.ok()) {
    status = shared->store->ingest(files);
  }
  down.parts.clear();
  shared->memory->add_cached(-down.bytes);
  if (status.ok()) {
    shared->epochs.below.store(down.epoch, std::memory_order_release);
  } else if (!shared->is_closing) {
    shared->fail(status.error());
  }
  if (down.snapshot == nullptr) {
    return;
  }
  if (status.ok()) {
    status = down.snapshot->wanted();
  }
  if (!status.ok()) {
    down.snapshot->done(status.error());
    return;
  }
  store_snapshot(shared, down);
}

/// Takes hold of what RocksDB has now, before the next run changes it; storing it takes its time.
void RocksDbBackend::Impl::store_snapshot(const std::shared_ptr<Shared>& shared, Down& down) {
  const std::shared_ptr<RocksSnapshot> snapshot = down.snapshot;
  if (snapshot->options().is_state_file) {
    const auto views = std::make_shared<std::vector<RocksStateView>>();
    for (const auto& [schema, families, layout, expiry] : down.states) {
      RocksStateView view{schema, layout, expiry, {}};
      for (const RocksStore::Family* family : families) {
        rocksdb::ReadOptions how;
        how.fill_cache = false;
        view.parts.push_back(
            {family->key_groups, std::unique_ptr<rocksdb::Iterator>(
                                     shared->store->db().NewIterator(how, family->handle))});
      }
      views->push_back(std::move(view));
    }
    // The instance has to stay until its iterators are gone.
    // The views hold on to the store, which therefore comes first and goes last.
    shared->run([store = shared->store, snapshot, views] {
      Result<std::vector<RocksDbFile>> stored = store_state_file(*snapshot, std::move(*views));
      views->clear();
      snapshot->done(std::move(stored));
    });
    return;
  }
  Result<RocksStore::LiveFiles> live =
      shared->store->live_files(shared->directory->next("checkpoint"));
  if (!live.ok()) {
    snapshot->done(live.error());
    return;
  }
  const auto files = std::make_shared<RocksStore::LiveFiles>(std::move(live).value());
  shared->run([snapshot, files, shared] {
    Result<std::vector<RocksDbFile>> stored =
        store_live_files(*snapshot, std::move(*files), shared->transfers);
    if (!stored.ok() && stored.error().code == ErrorCode::kCorruption) {
      // Nor will any other checkpoint succeed. But it is a working file, which a restart makes
      // anew.
      stored = Error{ErrorCode::kIo, stored.error().message};
      shared->fail(stored.error());
    }
    snapshot->done(std::move(stored));
  });
}

}  // namespace weir::state
