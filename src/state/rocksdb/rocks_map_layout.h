#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <rocksdb/iterator.h>

#include "record/schema_migration.h"
#include "state/rocksdb/rocks_filter.h"
#include "state/rocksdb/rocks_restore.h"
#include "state/rocksdb/rocks_store.h"
#include "state/rocksdb/scratch_value.h"
#include "state/state_file.h"
#include "weir/key_group.h"
#include "weir/result.h"
#include "weir/state_table.h"

namespace weir::state {

/// Maps lie in RocksDB in one of two ways: as state files have them, the whole map of each key, or
/// by their entries, for RocksMapTable. This goes from one to the other.

/// The key of one entry, as RocksMapTable's table has it: the encoded key, the encoded map key, and
/// the length of the former. Encoded keys end where they say, so that none is the beginning of
/// another one, and the entries of a map lie together, in the order of the keys.
struct MapEntryKey {
  std::string bytes;
  std::uint32_t mix = 0;  ///< hash of `bytes`: all entries of a map have the hash of their key

  MapEntryKey() = default;
  explicit MapEntryKey(std::string whole);
  friend bool operator==(const MapEntryKey& a, const MapEntryKey& b) { return a.bytes == b.bytes; }

  /// Whether it is an entry of the map of this encoded key.
  bool is_of(std::string_view key) const;

  /// Of encoded keys; appended to `out`.
  static void append(std::string_view key, std::string_view map_key, std::string& out);
  struct Parts {
    std::string_view key;
    std::string_view map_key;
  };
  /// False if it is none.
  static bool split(std::string_view bytes, Parts& out);
};

/// Takes encoded maps apart.
class MapSplitter {
 public:
  explicit MapSplitter(const MapParts& parts)
      : parts_(parts), key_(*parts.key), value_(*parts.value) {}

  /// Calls use(map_key, value), encoded, for every entry until that fails. kCorruption if the bytes
  /// are no map.
  using Use = std::function<Status(std::string_view map_key, std::string_view value)>;
  Status split(std::string_view map, const Use& use);

 private:
  const MapParts& parts_;
  ScratchValue key_;
  ScratchValue value_;
};

/// Reads the entries of one column family as state files have them, whichever way they lie there
/// and in the order of a savepoint.
class WholeReader {
 public:
  /// `at` and what it reads from outlive the reader. What `expiry` says has expired (as it lies in
  /// RocksDB) is left out.
  WholeReader(rocksdb::Iterator& at, KeyGroupRange key_groups, RocksLayout layout,
              RocksFilter::ExpiryNow expiry = nullptr);

  struct Entry {
    std::uint32_t key_group = 0;
    StateNamespace ns = 0;
    std::uint32_t hash = 0;
    std::string_view key;    ///< encoded; until the next call
    std::string_view value;  ///< encoded; until the next call
  };
  /// False at the end. Errors: malformed, or larger than a value may be.
  Result<bool> next(Entry& entry);

 private:
  /// The next entry or map; `is_left_out`: all of it has expired.
  Result<bool> read(Entry& entry, bool& is_left_out);
  /// The entries of one map. False if all have expired.
  Result<bool> gather(Entry& map);
  /// What is left of a value; nothing if all has expired.
  std::optional<std::string_view> unexpired(std::string_view value);

  rocksdb::Iterator& at_;
  const std::string end_;
  const RocksLayout layout_;
  const RocksFilter::ExpiryNow expiry_;
  std::string rest_;
  bool is_started_ = false;
  std::string key_;
  std::string value_;
};

struct Rewriting {
  const SchemaMigration* migration = nullptr;  ///< of the values, if any
  const MapParts* parts = nullptr;             ///< maps become entries; null: values are whole
};
/// Rewrites a table that was not opened yet, once.
Status rewrite_entries(RocksStore& store, StoredRocksState& state, const StateSchema& wanted,
                       const Rewriting& how, KeyGroupRange key_groups);

}  // namespace weir::state
