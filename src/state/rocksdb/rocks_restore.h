#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "state/rocksdb/rocks_index.h"
#include "state/rocksdb/rocks_store.h"
#include "state/rocksdb/rocksdb_backend.h"

namespace weir::state {

/// A state that RocksDB has and the operator has not opened yet.
struct StoredRocksState {
  StateSchema schema;
  std::vector<RocksStore::Family*> families;  ///< ascending by key group, together all
  std::vector<RocksIndex::Namespace> namespaces;
  RocksLayout layout = RocksLayout::kAsInStateFiles;
};
using StoredRocksStates = std::map<std::pair<StateKind, std::string>, StoredRocksState>;

struct RestoredRocks {
  std::unique_ptr<RocksStore> store;
  StoredRocksStates states;
};

/// Verifies the files, brings them into local directories and opens them. Files of one old subtask
/// with the same key groups are opened as they are; others are linked into a new instance, one
/// column family per state and old subtask, cut to `key_groups`.
Result<RestoredRocks> restore_rocks(FileSystem& files,
                                    const std::vector<RocksDbBackend::RestoreFrom>& from,
                                    const RocksStore::Options& options, int max_parallelism,
                                    KeyGroupRange key_groups);

/// The name of a new column family for some key groups of a state.
std::string rocks_family_name(RocksStore& store, const StateSchema& schema,
                              KeyGroupRange key_groups);

/// Adds families to `state` for those of `key_groups` that have none.
Status fill_families(RocksStore& store, StoredRocksState& state, KeyGroupRange key_groups);

}  // namespace weir::state
