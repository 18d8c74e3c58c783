#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <rocksdb/iterator.h>

#include "state/rocksdb/rocks_index.h"
#include "state/rocksdb/rocks_store.h"
#include "state/rocksdb/rocksdb_backend.h"

namespace weir::state {

/// A snapshot that was asked for. Thread-safe but for `index`, which is filled before anything of
/// it reaches another thread.
class RocksSnapshot {
 public:
  explicit RocksSnapshot(RocksDbBackend::SnapshotOptions options) : options_(std::move(options)) {}

  const RocksDbBackend::SnapshotOptions& options() const { return options_; }
  RocksIndex index;  ///< of the state at the barrier; without files

  void cancel(Error reason) {
    const std::lock_guard lock(mutex_);
    if (!cancelled_.has_value()) {
      cancelled_ = std::move(reason);
    }
  }
  Status wanted() const {
    const std::lock_guard lock(mutex_);
    return cancelled_.has_value() ? Status(*cancelled_) : Status();
  }
  /// Called once.
  void done(Result<std::vector<RocksDbFile>> files) const { options_.on_done(std::move(files)); }

 private:
  const RocksDbBackend::SnapshotOptions options_;
  mutable std::mutex mutex_;
  std::optional<Error> cancelled_;
};

/// Stores the files that are new and names those that an earlier checkpoint has stored. The links
/// are removed. After a failure nothing new is left. Blocks.
Result<std::vector<RocksDbFile>> store_live_files(RocksSnapshot& snapshot,
                                                  RocksStore::LiveFiles live,
                                                  const Helpers& helpers = {});

/// Entries of one state as of the barrier.
struct RocksStateView {
  StateSchema schema;
  RocksLayout layout = RocksLayout::kAsInStateFiles;
  RocksFilter::ExpiryNow expiry;  ///< what has expired is left out; null: all is written
  struct Part {
    KeyGroupRange key_groups;
    std::unique_ptr<rocksdb::Iterator> entries;
  };
  std::vector<Part> parts;
};
/// Writes one state file. After a failure there is none. Blocks.
Result<std::vector<RocksDbFile>> store_state_file(const RocksSnapshot& snapshot,
                                                  std::vector<RocksStateView> views);

}  // namespace weir::state
