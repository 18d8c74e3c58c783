#include "state/rocksdb/rocks_map_table.h"

#include <utility>

#include "weir/check.h"
#include "weir/codec.h"
#include "weir/key_hash.h"

namespace weir {

template <>
struct Codec<state::MapEntryKey> {
  static std::string schema() { return "map-entry-key"; }
  static void encode(const state::MapEntryKey& value, Encoder& out) {
    out.bytes(value.bytes.data(), value.bytes.size());
  }
  static void decode(Decoder& in, state::MapEntryKey& value) {
    value = state::MapEntryKey(std::string(in.view(in.remaining())));
  }
};

}  // namespace weir

namespace weir::state {

StateTableDescriptor RocksMapTable::entries_of(const StateTableDescriptor& maps,
                                               const MapParts& parts) {
  return {maps.name, &type_ops<MapEntryKey>(), parts.value, nullptr, parts.expiry};
}

RocksMapTable::RocksMapTable(RocksTable& table, StateTableDescriptor maps, MapParts parts)
    : table_(table), maps_(std::move(maps)), parts_(std::move(parts)), splitter_(parts_) {}

const MapEntryKey& RocksMapTable::entry_key(const void* key, const void* map_key) {
  key_bytes_.clear();
  map_key_bytes_.clear();
  Encoder key_out(key_bytes_);
  Encoder map_key_out(map_key_bytes_);
  maps_.key->encode(key, key_out);
  parts_.key->encode(map_key, map_key_out);
  scratch_.bytes.clear();
  MapEntryKey::append(key_bytes_, map_key_bytes_, scratch_.bytes);
  scratch_.mix = key_hash(scratch_.bytes);
  return scratch_;
}

const void* RocksMapTable::find(const void* key, std::uint32_t hash, const void* map_key) {
  return table_.find(kNoNamespace, &entry_key(key, map_key), hash);
}

void* RocksMapTable::find_for_update(const void* key, std::uint32_t hash, const void* map_key) {
  return table_.find_for_update(kNoNamespace, &entry_key(key, map_key), hash);
}

void* RocksMapTable::find_or_create(const void* key, std::uint32_t hash, const void* map_key) {
  return table_.find_or_create(kNoNamespace, &entry_key(key, map_key), hash);
}

bool RocksMapTable::erase(const void* key, std::uint32_t hash, const void* map_key) {
  return table_.erase(kNoNamespace, &entry_key(key, map_key), hash);
}

void RocksMapTable::for_each(const void* key, std::uint32_t hash, const Visitor& visit) {
  std::string prefix;
  Encoder out(prefix);
  maps_.key->encode(key, out);
  ScratchValue map_key(*parts_.key);
  table_.for_each_map_entry(kNoNamespace, hash, prefix,
                            [&](const MapEntryKey& entry, const void* value) {
                              MapEntryKey::Parts bytes;
                              WEIR_CHECK(MapEntryKey::split(entry.bytes, bytes) &&
                                         decode_into(*parts_.key, bytes.map_key, map_key.get()));
                              return visit(map_key.get(), value);
                            });
}

bool RocksMapTable::erase_all(StateNamespace ns, std::string_view key, std::uint32_t hash) {
  std::vector<MapEntryKey> entries;
  table_.for_each_map_entry(ns, hash, key, [&](const MapEntryKey& entry, const void* /*value*/) {
    entries.push_back(entry);
    return true;
  });
  for (const MapEntryKey& entry : entries) {
    table_.erase(ns, &entry, hash);
  }
  return !entries.empty();
}

void RocksMapTable::clear(const void* key, std::uint32_t hash) {
  std::string encoded;
  Encoder out(encoded);
  maps_.key->encode(key, out);
  erase_all(kNoNamespace, encoded, hash);
}

bool RocksMapTable::clean(StateTable::ScanPosition& position, std::size_t entries_max,
                          const ExpiryCheck& is_expired) {
  std::vector<std::pair<MapEntryKey, std::uint32_t>> expired;
  const bool has_more =
      table_.scan(kNoNamespace, position, entries_max,
                  [&](std::size_t count, const void* const* keys, const std::uint32_t* hashes,
                      const void* const* values) {
                    for (std::size_t i = 0; i < count; ++i) {
                      if (is_expired(values[i])) {
                        expired.emplace_back(*static_cast<const MapEntryKey*>(keys[i]), hashes[i]);
                      }
                    }
                  });
  for (const auto& [entry, hash] : expired) {
    table_.erase(kNoNamespace, &entry, hash);
  }
  return has_more;
}

Status RocksMapTable::load(StateNamespace ns, const EncodedEntry& entry, bool may_replace) {
  if (may_replace) {
    unload(ns, entry);
  }
  ++maps_loaded_;
  bool is_empty = true;
  const Status loaded =
      splitter_.split(entry.value, [&](std::string_view map_key, std::string_view value) {
        std::string key;
        MapEntryKey::append(entry.key, map_key, key);
        is_empty = false;
        return table_.load(ns, {entry.hash, key, value}, false);
      });
  if (is_empty) {
    empty_loaded_.emplace(entry.key);
  }
  return loaded.ok() ? Status() : loaded.error().with_context("state '" + maps_.name + "'");
}

void RocksMapTable::unload(StateNamespace ns, const EncodedEntry& entry) {
  const bool was_there =
      erase_all(ns, entry.key, entry.hash) || empty_loaded_.erase(std::string(entry.key)) != 0;
  maps_loaded_ -= was_there ? 1 : 0;
}

Status RocksMapTable::load_erased(StateNamespace ns, const EncodedEntry& entry) {
  unload(ns, entry);
  return {};
}

void RocksMapTable::load_dropped(StateNamespace ns, KeyGroupRange key_groups) {
  const auto count_maps = [&] {
    std::set<std::string> keys;
    table_.for_each(ns, [&](const void* key, std::uint32_t /*hash*/, const void* /*value*/) {
      MapEntryKey::Parts parts;
      WEIR_CHECK(MapEntryKey::split(static_cast<const MapEntryKey*>(key)->bytes, parts));
      keys.emplace(parts.key);
    });
    return keys.size();
  };
  const std::size_t before = count_maps();
  table_.load_dropped(ns, key_groups);
  maps_loaded_ -= before - count_maps();
}

}  // namespace weir::state
