#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include <rocksdb/slice.h>

#include "weir/state_table.h"

namespace weir::state {

/// An entry in RocksDB (docs/formats/rocksdb.md):
///   key   := key_group:u16 big-endian, namespace:i64 big-endian with the sign bit flipped, key
///   value := hash:u32 little-endian, value
/// Bytes compare as (key group, namespace, bytes of the key) do, the order of a savepoint.
inline constexpr std::size_t kRocksKeyPrefix = 2 + 8;
inline constexpr std::size_t kRocksValuePrefix = sizeof(std::uint32_t);

inline void append_rocks_prefix(std::string& out, std::uint32_t key_group, StateNamespace ns) {
  const std::uint64_t ordered = static_cast<std::uint64_t>(ns) ^ (std::uint64_t{1} << 63);
  char bytes[kRocksKeyPrefix];
  bytes[0] = static_cast<char>(key_group >> 8);
  bytes[1] = static_cast<char>(key_group);
  for (int i = 0; i < 8; ++i) {
    bytes[2 + i] = static_cast<char>(ordered >> (56 - 8 * i));
  }
  out.append(bytes, sizeof(bytes));
}

/// The first key of a key group.
inline std::string rocks_group_begin(std::uint32_t key_group) {
  return {static_cast<char>(key_group >> 8), static_cast<char>(key_group)};
}

struct RocksKey {
  std::uint32_t key_group = 0;
  StateNamespace ns = 0;
  std::string_view key;

  /// False if it is not one.
  static bool parse(std::string_view bytes, RocksKey& out) {
    if (bytes.size() < kRocksKeyPrefix) {
      return false;
    }
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
    out.key_group = static_cast<std::uint32_t>(at(0) << 8 | at(1));
    std::uint64_t ordered = 0;
    for (std::size_t i = 0; i < 8; ++i) {
      ordered = ordered << 8 | at(2 + i);
    }
    out.ns = static_cast<StateNamespace>(ordered ^ (std::uint64_t{1} << 63));
    out.key = bytes.substr(kRocksKeyPrefix);
    return true;
  }
};

inline std::uint32_t hash_of_rocks_value(std::string_view value) {
  std::uint32_t hash = 0;
  std::memcpy(&hash, value.data(), sizeof(hash));
  return hash;
}

inline std::string_view view_of(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}
inline rocksdb::Slice slice_of(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

}  // namespace weir::state
