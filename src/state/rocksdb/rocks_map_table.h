#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "state/restore_target.h"
#include "state/rocksdb/rocks_map_layout.h"
#include "state/rocksdb/rocks_table.h"
#include "weir/state_table.h"

namespace weir::state {

/// Maps by their entries in a RocksTable: what is not asked for is neither read nor written.
class RocksMapTable final : public MapTable, public RestoreTarget {
 public:
  /// Of the table below: MapEntryKey -> map value.
  static StateTableDescriptor entries_of(const StateTableDescriptor& maps, const MapParts& parts);

  /// `table` was opened with entries_of() and outlives this.
  RocksMapTable(RocksTable& table, StateTableDescriptor maps, MapParts parts);

  const void* find(const void* key, std::uint32_t hash, const void* map_key) override;
  void* find_for_update(const void* key, std::uint32_t hash, const void* map_key) override;
  void* find_or_create(const void* key, std::uint32_t hash, const void* map_key) override;
  bool erase(const void* key, std::uint32_t hash, const void* map_key) override;
  void for_each(const void* key, std::uint32_t hash, const Visitor& visit) override;
  void clear(const void* key, std::uint32_t hash) override;
  bool clean(StateTable::ScanPosition& position, std::size_t entries_max,
             const ExpiryCheck& is_expired) override;
  bool removes_expired() const override { return table_.removes_expired(); }

  // Whole maps come in.
  const StateSchema& schema() const override { return table_.schema(); }
  const StateTableDescriptor& descriptor() const override { return maps_; }
  Status load(StateNamespace ns, const EncodedEntry& entry, bool may_replace) override;
  Status load_erased(StateNamespace ns, const EncodedEntry& entry) override;
  void load_dropped(StateNamespace ns, KeyGroupRange key_groups) override;
  void reserve(StateNamespace /*ns*/, std::uint32_t /*group*/, std::uint64_t /*n*/) override {}
  /// Maps that were loaded.
  std::uint64_t entry_count() const override { return maps_loaded_; }

 private:
  const MapEntryKey& entry_key(const void* key, const void* map_key);
  /// Erases the entries of an encoded key. False if there were none.
  bool erase_all(StateNamespace ns, std::string_view key, std::uint32_t hash);
  /// Takes back a map, if it was loaded.
  void unload(StateNamespace ns, const EncodedEntry& entry);

  RocksTable& table_;
  const StateTableDescriptor maps_;
  const MapParts parts_;
  MapSplitter splitter_;
  std::string key_bytes_;
  std::string map_key_bytes_;
  MapEntryKey scratch_;
  std::uint64_t maps_loaded_ = 0;
  std::set<std::string> empty_loaded_;  ///< encoded keys of maps without entries
};

}  // namespace weir::state
