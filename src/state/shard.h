#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "state/entry_layout.h"

namespace weir::state {

/// Slots come in groups that share a cache line where the size allows; every probe sequence begins
/// at the first slot of a group. Capacities are multiples of this.
inline constexpr std::uint32_t kSlotGroupMax = 4;

/// The first slot to look at. Rises with the hash, so that growing a table, which visits slots in
/// order, also writes in order. A key group is decided by a mixture (murmur) of the hash's bits
/// and does not correlate with its upper ones.
inline std::uint32_t slot_of_hash(std::uint32_t hash, std::uint32_t capacity,
                                  std::uint32_t group_mask) {
  return static_cast<std::uint32_t>((std::uint64_t{hash} * capacity) >> 32) & group_mask;
}

inline std::size_t block_bytes(std::uint32_t capacity, const EntryLayout& layout) {
  return std::size_t{capacity} * layout.stride;
}

/// Memory for slots, zeroed. Large blocks are mapped and ask for huge pages.
std::byte* allocate_slots(std::size_t bytes, std::size_t alignment);
void free_slots(std::byte* slots, std::size_t bytes, std::size_t alignment);
/// Whether a block can be resized from `old_bytes` to `new_bytes` without copying it.
bool can_grow_slots(std::size_t old_bytes, std::size_t new_bytes);
/// Makes a block larger by moving its pages: contents stay, at a new address, and what is added is
/// zero. REQUIRES: can_grow_slots.
std::byte* grow_slots(std::byte* slots, std::size_t old_bytes, std::size_t new_bytes);

/// One open-addressing hash table with linear probing in one block of memory. A plain header:
/// NamespaceShards owns the memory, HeapTable's probes read it.
///
/// Invariant: used <= grow_at < capacity, so every probe ends at an empty slot. A shard without
/// memory points to shared empty slots, so that a lookup needs no special case.
struct Shard {
  /// `walked` of a shard of which the running snapshot (if any) needs nothing any more.
  static constexpr std::uint32_t kNotWalked = std::numeric_limits<std::uint32_t>::max();

  std::byte* slots = empty_slots();
  std::uint32_t capacity = 1;
  std::uint32_t used = 0;  ///< slots that are not empty: live ones and tombstones
  std::uint32_t live = 0;
  std::uint32_t grow_at = 0;  ///< a new slot may be used while used < grow_at; 0 = no memory
  std::uint32_t walked = kNotWalked;  ///< slots below were copied by the running snapshot

  bool has_memory() const { return grow_at != 0; }
  std::byte* end(const EntryLayout& layout) const {
    return slots + std::size_t{capacity} * layout.stride;
  }
  std::size_t memory_bytes(const EntryLayout& layout) const {
    return has_memory() ? block_bytes(capacity, layout) : 0;
  }
  std::byte* home(std::uint32_t hash, const EntryLayout& layout) const {
    return slots + std::size_t{slot_of_hash(hash, capacity, layout.group_mask)} * layout.stride;
  }

  static std::byte* empty_slots();
};

/// Gives a shard a block of block_bytes() without entries. REQUIRES: !shard.has_memory().
void attach_slots(Shard& shard, std::byte* slots, std::uint32_t capacity);
/// A slot for a new entry of this hash: the first empty one of its probe sequence. Tombstones are
/// passed over. REQUIRES: used < grow_at.
std::byte* first_empty_slot(Shard& shard, std::uint32_t hash, const EntryLayout& layout);
/// Makes a tombstone of a slot whose value is destroyed already, and its key unless tombstones keep
/// keys; or an empty slot if nothing behind it can depend on it and it has no key.
void erase_slot(Shard& shard, std::byte* entry, std::uint32_t epoch, const EntryLayout& layout,
                const TombstoneRule& tombstones);

}  // namespace weir::state
