#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "weir/type_ops.h"

namespace weir::state {

/// A slot of a hash table: [tag u32][hash u32][key][value], each at its natural alignment. Slots of
/// 24 bytes are padded to 32, so that the two that a probe begins with share a cache line.
///
/// The tag of an empty slot is 0. Otherwise its low 31 bits are the epoch of the last write, and
/// the top bit is set when that write erased the entry: what remains is a tombstone without value,
/// and with a key only if TombstoneRule says so. Epochs rise by one at every barrier.
inline constexpr std::uint32_t kEmptyTag = 0;
inline constexpr std::uint32_t kErasedBit = 0x8000'0000U;
/// Tag of entries that came from a checkpoint and were not written since.
inline constexpr std::uint32_t kRestoredEpoch = 1;
inline constexpr std::uint32_t kFirstEpoch = 2;

/// Probes look at two slots at once if slots are not larger than this.
inline constexpr std::uint32_t kPairStrideMax = 64;  // bytes

/// Live means: neither empty nor a tombstone.
constexpr bool is_live_tag(std::uint32_t tag) { return static_cast<std::int32_t>(tag) > 0; }

inline std::uint32_t& tag_of(std::byte* entry) { return *reinterpret_cast<std::uint32_t*>(entry); }
inline std::uint32_t tag_of(const std::byte* entry) {
  return *reinterpret_cast<const std::uint32_t*>(entry);
}
inline std::uint32_t& hash_of(std::byte* entry) {
  return *reinterpret_cast<std::uint32_t*>(entry + sizeof(std::uint32_t));
}
inline std::uint32_t hash_of(const std::byte* entry) {
  return *reinterpret_cast<const std::uint32_t*>(entry + sizeof(std::uint32_t));
}

constexpr std::uint32_t epoch_of_tag(std::uint32_t tag) { return tag & ~kErasedBit; }

/// What becomes of the tombstones of a table.
struct TombstoneRule {
  bool keeps_keys = false;
  /// Those of a higher epoch are still to be named by a delta: their slots are not free.
  std::uint32_t needed_above = kErasedBit - 1;

  bool is_needed(std::uint32_t tag) const {
    return (tag & kErasedBit) != 0 && epoch_of_tag(tag) > needed_above;
  }
};

struct EntryLayout {
  const TypeOps* key = nullptr;
  const TypeOps* value = nullptr;
  std::uint32_t key_offset = 0;
  std::uint32_t value_offset = 0;
  std::uint32_t stride = 0;        ///< bytes from one slot to the next
  std::uint32_t alignment = 4;     ///< of a block of slots
  std::uint32_t group_mask = ~1U;  ///< slot number -> number of the first slot of its group
  bool is_plain = false;           ///< key and value are moved by memcpy and need no destructor

  static EntryLayout of(const TypeOps& key, const TypeOps& value) {
    const auto round_up = [](std::size_t size, std::size_t alignment) {
      return (size + alignment - 1) / alignment * alignment;
    };
    const std::size_t key_at = round_up(2 * sizeof(std::uint32_t), key.alignment);
    const std::size_t value_at = round_up(key_at + key.size, value.alignment);
    std::size_t alignment = sizeof(std::uint32_t);
    alignment = key.alignment > alignment ? key.alignment : alignment;
    alignment = value.alignment > alignment ? value.alignment : alignment;
    EntryLayout layout;
    layout.key = &key;
    layout.value = &value;
    layout.key_offset = static_cast<std::uint32_t>(key_at);
    layout.value_offset = static_cast<std::uint32_t>(value_at);
    layout.stride = static_cast<std::uint32_t>(round_up(value_at + value.size, alignment));
    layout.stride = layout.stride == 24 ? 32 : layout.stride;
    layout.alignment = static_cast<std::uint32_t>(alignment);
    layout.group_mask = layout.stride <= 16 ? ~3U : ~1U;
    layout.is_plain = key.is_trivially_copyable && value.is_trivially_copyable;
    return layout;
  }

  /// Moves a live entry to an empty slot. The slot it leaves must not be used as live again.
  void move_entry(std::byte* to, std::byte* from) const {
    if (is_plain) {
      if (stride == 32) {
        std::memcpy(to, from, 32);
      } else {
        std::memcpy(to, from, stride);
      }
      return;
    }
    std::memcpy(to, from, 2 * sizeof(std::uint32_t));
    key->relocate(to + key_offset, from + key_offset);
    value->relocate(to + value_offset, from + value_offset);
  }

  /// Moves a tombstone that has a key.
  void move_tombstone(std::byte* to, std::byte* from) const {
    std::memcpy(to, from, 2 * sizeof(std::uint32_t));
    key->relocate(to + key_offset, from + key_offset);
  }

  void destroy_key(std::byte* entry) const {
    if (!is_plain) {
      key->destroy(entry + key_offset);
    }
  }
  void destroy_value(std::byte* entry) const {
    if (!is_plain) {
      value->destroy(entry + value_offset);
    }
  }
  void destroy_entry(std::byte* entry) const {
    destroy_key(entry);
    destroy_value(entry);
  }
};

}  // namespace weir::state
