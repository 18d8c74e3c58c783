#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <rocksdb/iterator.h>

#include "state/rocksdb/rocks_restore.h"
#include "state/rocksdb/rocks_store.h"
#include "weir/key_group.h"
#include "weir/result.h"

namespace weir::state {

/// Timers lie in RocksDB in one of two ways: as state files have them, the set of timestamps of
/// each (namespace, key), or by time, for RocksTimerQueue. This goes from one to the other.

/// The sets of timestamps of one key group.
struct TimersOfGroup {
  struct Set {
    std::uint32_t hash = 0;
    std::vector<std::int64_t> timestamps;
  };
  std::map<std::pair<StateNamespace, std::string>, Set> sets;  ///< by encoded key

  /// Reads timers by time. `at` is moved behind the key group.
  Status read(rocksdb::Iterator& at, std::uint32_t key_group);
  /// As Codec<TimestampSet> does.
  static std::string encode(Set& set);
};

/// Rewrites the timers of a state that was not opened yet.
Status rewrite_timers(RocksStore& store, StoredRocksState& state, RocksLayout layout,
                      KeyGroupRange key_groups);

}  // namespace weir::state
