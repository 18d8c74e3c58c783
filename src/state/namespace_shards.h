#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "state/key_group_index.h"
#include "state/shard.h"
#include "state/written_slots.h"
#include "weir/state_table.h"

namespace weir::state {

/// When a namespace changes its ways. Tests set lower limits.
struct ShardLimits {
  /// With fewer entries all key groups are in one shard.
  std::uint32_t split_entries = 256 * 1024;
  WrittenSlots::Limits written;
};

/// The hash tables of one namespace: a single shard for all key groups up to `split_entries`
/// entries, one shard per key group after that. Owns memory and entries. A single shard is faster,
/// but to grow it takes milliseconds at the largest size.
///
/// A retired namespace keeps its memory as spare blocks, to be taken by the namespace that reuses
/// the object: windows that come and go do not grow from nothing each time.
class NamespaceShards {
 public:
  NamespaceShards(const EntryLayout& layout, const TombstoneRule& tombstones,
                  const KeyGroupIndex& key_groups, const ShardLimits& limits);
  ~NamespaceShards();
  NamespaceShards(const NamespaceShards&) = delete;
  NamespaceShards& operator=(const NamespaceShards&) = delete;

  StateNamespace ns = kNoNamespace;
  bool is_walked = false;   ///< the running snapshot will visit or is visiting it
  bool is_dropped = false;  ///< no longer reachable; kept for the snapshot only

  std::uint32_t count() const { return count_; }
  Shard& operator[](std::uint32_t i) { return shards_[i]; }
  /// False: one shard holds all key groups, and a key group index need not be right.
  bool is_split() const { return mask_ != 0; }
  /// REQUIRES: group_index < number of key groups, or !is_split().
  Shard& shard_of(std::uint32_t group_index) { return shards_[group_index & mask_]; }
  std::uint64_t live() const;
  std::size_t memory_bytes() const;

  /// What was written to a shard; null unless deltas will be asked for.
  WrittenSlots* written_in(std::uint32_t shard) {
    return written_.empty() ? nullptr : &written_[shard];
  }

  /// Makes room in `epoch` for a new entry in `shard`: gives it memory, gets rid of tombstones,
  /// grows it, or splits the only shard. All pointers to entries of this shard, and if it was split
  /// all references to Shards, are void. REQUIRES: shard.walked == kNotWalked.
  void make_room(Shard& shard, std::uint32_t epoch);

  /// During a restore: room for about `entries` entries in all of one key group, or with kAllGroups
  /// of all together. A snapshot holds entries mostly in the order of their hashes; put one after
  /// the other into a table that grows, they would crowd at its beginning, and probing would take
  /// quadratic time.
  static constexpr std::uint32_t kAllGroups = ~0U;
  void reserve(std::uint32_t group_index, std::uint64_t entries);

  /// Forgets all entries in O(shards) and keeps the memory as spare, unless it was mostly unused.
  void retire();
  /// Destroys entries in spare blocks, about `slots_max` slots. False when none is left.
  bool sweep(std::size_t slots_max);
  bool needs_sweep() const { return sweep_next_ < spare_.size(); }
  std::size_t spare_bytes() const;

 private:
  struct Spare {
    std::byte* slots = nullptr;
    std::uint32_t capacity = 0;
    std::uint32_t swept = 0;  ///< slots below hold no entries that need a destructor
  };

  /// Neither empty nor a tombstone that may go.
  bool is_held(std::uint32_t tag) const { return is_live_tag(tag) || tombstones_.is_needed(tag); }
  std::uint32_t count_held(const Shard& shard) const;
  /// Moves what is held in a slot to an empty one of `to`.
  void move_held(Shard& to, std::byte* from);
  /// What a slot that is given up still owns.
  void destroy_rest(std::byte* entry) const;
  void move_all(Shard& from, std::byte* slots, std::uint32_t capacity);
  void lose_written(const Shard& shard, std::uint32_t epoch);
  /// Grows a shard of plain entries whose block can grow.
  void grow_in_place(Shard& shard, std::uint32_t capacity);
  void split();
  void reserve(Shard& shard, std::uint64_t entries);
  bool take_spare(Shard& shard);
  void clear(Spare& spare, std::uint32_t slots_max);
  void free_block(std::byte* slots, std::uint32_t capacity);
  std::byte* allocate_block(std::uint32_t capacity);

  const EntryLayout& layout_;
  const TombstoneRule& tombstones_;
  const KeyGroupIndex& key_groups_;
  const ShardLimits& limits_;
  Shard single_;
  std::unique_ptr<Shard[]> split_;
  Shard* shards_ = &single_;
  std::uint32_t count_ = 1;
  std::uint32_t mask_ = 0;
  std::vector<WrittenSlots> written_;  ///< of shard i at i
  std::vector<Spare> spare_;           ///< of shard i at i; empty if this object was never retired
  std::size_t sweep_next_ = 0;
};

}  // namespace weir::state
