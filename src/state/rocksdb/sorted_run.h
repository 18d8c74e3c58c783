#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "state/rocksdb/group_counts.h"
#include "state/rocksdb/rocks_key.h"
#include "state/rocksdb/rocks_store.h"
#include "weir/result.h"
#include "weir/state_table.h"

namespace weir::state {

/// What changed of one state: entries, erased keys and dropped namespaces, on their way into sorted
/// files. Filled in any order; a key occurs once. What is dropped was there before the entries.
///
/// A dropped namespace becomes deletions of the keys that RocksDB has of it, and no range deletion:
/// importing a column family forgets how far those reach (RocksDB 7.8).
class SortedRun {
 public:
  struct Dropped {
    StateNamespace ns;
    std::vector<std::uint32_t> key_groups;
  };

  void add(std::string_view key, std::string_view value) { append(key, value, value.size()); }
  void add_erased(std::string_view key) { append(key, {}, kErased); }
  void add_dropped(Dropped dropped) { dropped_.push_back(std::move(dropped)); }
  bool empty() const { return entries_.empty() && dropped_.empty(); }
  std::size_t bytes() const { return bytes_.size() + entries_.size() * sizeof(Entry); }

  /// Writes one file per family that something belongs to; `families` are ascending by key group.
  /// Blocks and takes long.
  Status write(RocksStore& store, const std::vector<RocksStore::Family*>& families,
               std::vector<RocksStore::SortedFile>& files);

 private:
  static constexpr std::uint32_t kErased = 0xffff'ffffU;
  struct Entry {
    std::uint64_t prefix = 0;  ///< what most comparisons need
    std::size_t at = 0;
    std::uint32_t key_bytes = 0;
    std::uint32_t value_bytes = 0;
  };

  void append(std::string_view key, std::string_view value, std::size_t value_bytes) {
    entries_.push_back({0, bytes_.size(), static_cast<std::uint32_t>(key.size()),
                        static_cast<std::uint32_t>(value_bytes)});
    bytes_.append(key);
    bytes_.append(value);
  }
  std::string_view key_of(const Entry& entry) const {
    return std::string_view(bytes_).substr(entry.at, entry.key_bytes);
  }
  /// REQUIRES: everything that is older has been handed to RocksDB.
  Status expand_dropped(RocksStore& store, const std::vector<RocksStore::Family*>& families);
  void sort();

  std::string bytes_;
  std::vector<Entry> entries_;
  std::vector<Dropped> dropped_;
};

}  // namespace weir::state
