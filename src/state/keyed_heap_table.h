#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "state/heap_table.h"
#include "weir/check.h"

namespace weir::state {

/// EntryLayout::key_offset of keys whose alignment is not above it.
inline constexpr std::size_t kRawKeyOffset = 2 * sizeof(std::uint32_t);

/// Keys that are equal when their bytes are. Slots are looked at in pairs without a branch between
/// the two: which one of them it is cannot be predicted, that it is one of them can.
template <class Word, std::size_t Words>
struct RawKey {
  static constexpr bool kComparesPairs = true;

  static bool matches(const std::byte* entry, const EntryLayout& layout, const void* key,
                      std::uint32_t /*hash*/) {
    return static_cast<bool>(static_cast<int>(has_key(entry, layout, key, 0)) &
                             static_cast<int>(is_live_tag(tag_of(entry))));
  }
  /// Whatever the tag says. REQUIRES: there is a key.
  static bool has_key(const std::byte* entry, const EntryLayout& /*layout*/, const void* key,
                      std::uint32_t /*hash*/) {
    Word a[Words];
    Word b[Words];
    std::memcpy(a, entry + kRawKeyOffset, sizeof(a));
    std::memcpy(b, key, sizeof(b));
    Word difference = 0;
    for (std::size_t i = 0; i < Words; ++i) {
      difference = static_cast<Word>(difference | (a[i] ^ b[i]));
    }
    return difference == 0;
  }
  static void copy(std::byte* to, const std::byte* from, const EntryLayout& /*layout*/) {
    std::memcpy(to, from, sizeof(Word) * Words);
  }
};

/// Any key: the hash first, then the type's own comparison.
struct ObjectKey {
  static constexpr bool kComparesPairs = false;

  static bool matches(const std::byte* entry, const EntryLayout& layout, const void* key,
                      std::uint32_t hash) {
    return is_live_tag(tag_of(entry)) && has_key(entry, layout, key, hash);
  }
  static bool has_key(const std::byte* entry, const EntryLayout& layout, const void* key,
                      std::uint32_t hash) {
    return hash_of(entry) == hash && layout.key->equals(entry + layout.key_offset, key);
  }
  static void copy(std::byte* to, const std::byte* from, const EntryLayout& layout) {
    std::memcpy(to, from, layout.key->size);
  }
};

/// A HeapTable whose probes know the kind of key.
template <class KeyKind>
class KeyedHeapTable final : public HeapTable {
 public:
  KeyedHeapTable(StateTableDescriptor descriptor, const Options& options)
      : HeapTable(std::move(descriptor), options) {}

  void upsert(StateNamespace ns, const KeyColumn& column, void** values) override {
    if (column.count == 0) {
      return;
    }
    if (has_garbage_) [[unlikely]] {
      collect_garbage();
    }
    NamespaceShards& shards = acquire_namespace(ns);
    // Three blocks are in work at a time: while the keys of one are looked up, the slots of the
    // next are on their way from memory, and so is what the block before it still looks for.
    Lookup lookup{shards, column, values, {}, {}, 0, 0};
    start(lookup);
    for (std::size_t begin = 0; begin < column.count; begin += kBlockKeys) {
      locate(lookup);
      Left& left = lookup.left[begin / kBlockKeys % 2];
      find_block(lookup, begin, left);
      finish_left(lookup, lookup.left[1 - begin / kBlockKeys % 2]);
    }
    finish_left(lookup, lookup.left[0]);
    finish_left(lookup, lookup.left[1]);
  }

  const void* find(StateNamespace ns, const void* key, std::uint32_t hash) override {
    NamespaceShards* shards = find_namespace(ns);
    if (shards == nullptr) {
      return nullptr;
    }
    const std::byte* entry = lookup(shard_of(*shards, hash), key, hash);
    return entry == nullptr ? nullptr : entry + layout_.value_offset;
  }

  void* find_for_update(StateNamespace ns, const void* key, std::uint32_t hash) override {
    NamespaceShards* shards = find_namespace(ns);
    if (shards == nullptr) {
      return nullptr;
    }
    Shard& shard = shard_of(*shards, hash);
    std::byte* entry = lookup(shard, key, hash);
    if (entry == nullptr) {
      return nullptr;
    }
    mark(*shards, shard, entry);
    return entry + layout_.value_offset;
  }

  void* find_or_create(StateNamespace ns, const void* key, std::uint32_t hash) override {
    if (has_garbage_) [[unlikely]] {
      collect_garbage();
    }
    NamespaceShards& shards = acquire_namespace(ns);
    Shard& shard = shard_of(shards, hash);
    return upsert_at(shards, shard, shard.home(hash, layout_), key, hash) + layout_.value_offset;
  }

  bool erase(StateNamespace ns, const void* key, std::uint32_t hash) override {
    NamespaceShards* shards = find_namespace(ns);
    if (shards == nullptr) {
      return false;
    }
    Shard& shard = shard_of(*shards, hash);
    std::byte* entry = lookup(shard, key, hash);
    if (entry == nullptr) {
      return false;
    }
    erase_entry(*shards, shard, entry);
    return true;
  }

  void prefetch(StateNamespace ns, const KeyColumn& column) override {
    found_.count = 0;
    NamespaceShards* shards = find_namespace(ns);
    if (shards == nullptr) {
      return;
    }
    if (!compares_pairs_) {
      prefetch_slots(*shards, column);
      return;
    }
    prefetched_.shards = shards;
    prefetched_.values.resize(column.count);
    if (!shards->is_split() && (*shards)[0].memory_bytes(layout_) <= kCachedBytes) {
      find_in_cache((*shards)[0], column);
    } else {
      find_ahead(*shards, column);
    }
    found_ = {prefetched_.values.data(), column.count, layout_.value_offset, epoch_};
  }

 private:
  static constexpr std::size_t kBlockKeys = 64;
  /// Slots are asked for this many keys ahead: enough to hide the way from memory, not more than
  /// the core can have under way.
  static constexpr std::size_t kKeysAhead = 32;
  static constexpr std::size_t kPlaces = 4 * kBlockKeys;
  /// A table of this size stays in the second-level cache: nothing has to be asked for ahead.
  static constexpr std::size_t kCachedBytes = std::size_t{256} << 10;

  /// What prefetch() found on its way, see FoundEntries: the values of a column's keys, null for
  /// those that are not in the first four slots of their sequences.
  struct Prefetched {
    NamespaceShards* shards = nullptr;
    std::vector<void*> values;
    std::vector<Shard*> shard_of;  ///< empty: the first one
  };

  const bool compares_pairs_ = KeyKind::kComparesPairs && layout_.stride <= kPairStrideMax;
  Prefetched prefetched_;

  /// Where a key lives: the shard, and the first slot to look at.
  struct Place {
    Shard* shard = nullptr;
    std::byte* slot = nullptr;
  };
  /// Keys of a block that were not in the first two slots of their sequences. One more than is ever
  /// used, because they are written before it is known whether they count.
  struct Left {
    std::uint32_t count = 0;
    std::uint32_t absent_count = 0;
    std::uint32_t keys[kBlockKeys + 1];
    std::uint32_t absent[kBlockKeys + 1];  ///< those with an empty slot among the first two
  };
  /// One call of upsert().
  struct Lookup {
    NamespaceShards& shards;
    const KeyColumn& column;
    void** values;
    Place places[kPlaces];  ///< of key i at i % kPlaces; of the last blocks only
    Left left[2];
    std::size_t located;  ///< keys below have places
    std::size_t found;    ///< keys below have values or are left
  };

  void* mark_prefetched(std::size_t index) override {
    void* const value = prefetched_.values[index];
    NamespaceShards& shards = *prefetched_.shards;
    mark(shards, prefetched_.shard_of.empty() ? shards[0] : *prefetched_.shard_of[index],
         static_cast<std::byte*>(value) - layout_.value_offset);
    return value;
  }

  Shard& shard_of(NamespaceShards& shards, std::uint32_t hash) {
    if (!shards.is_split()) {
      return shards[0];
    }
    const std::uint32_t group = key_groups_.of(hash);
    WEIR_CHECK_MESSAGE(group < key_groups_.count(), "a key of another subtask's key group");
    return shards[group];
  }

  /// Finds the places of the first block of keys and asks for the first of them.
  void start(Lookup& lookup) {
    locate(lookup);
    for (std::size_t i = 0; i < std::min(kKeysAhead, lookup.column.count); ++i) {
      fetch_pair(lookup.places[i].slot, layout_);
    }
  }

  /// Finds the places of the next block of keys.
  void locate(Lookup& lookup) {
    const std::size_t begin = lookup.located;
    const std::size_t count = std::min(kBlockKeys, lookup.column.count - begin);
    const std::uint32_t* hashes = lookup.column.hashes + begin;
    Place* const places = lookup.places + begin % kPlaces;
    const EntryLayout layout = layout_;
    lookup.located += count;
    if (!lookup.shards.is_split()) {
      Shard& shard = lookup.shards[0];
      for (std::size_t i = 0; i < count; ++i) {
        places[i] = {&shard, shard.home(hashes[i], layout)};
      }
      return;
    }
    std::uint32_t groups[kBlockKeys];
    std::uint32_t highest = 0;
    if (key_groups_.is_power_of_two()) {
      for (std::size_t i = 0; i < count; ++i) {
        groups[i] = key_groups_.of_power_of_two(hashes[i]);
        highest = std::max(highest, groups[i]);
      }
    } else {
      for (std::size_t i = 0; i < count; ++i) {
        groups[i] = key_groups_.of_any(hashes[i]);
        highest = std::max(highest, groups[i]);
      }
    }
    WEIR_CHECK_MESSAGE(highest < key_groups_.count(), "a key of another subtask's key group");
    Shard* const all = &lookup.shards[0];
    for (std::size_t i = 0; i < count; ++i) {
      Shard& shard = all[groups[i]];
      places[i] = {&shard, shard.home(hashes[i], layout)};
    }
  }

  /// Two slots lie in one cache line only if their size divides it.
  static void fetch_pair(const std::byte* slot, const EntryLayout& layout) {
    __builtin_prefetch(slot, 1);
    // As a number: a place that nothing was put in yet is null, which has no second slot.
    const auto last = reinterpret_cast<std::uintptr_t>(slot) + 2 * std::size_t{layout.stride} - 1;
    __builtin_prefetch(reinterpret_cast<const void*>(last), 1);
  }

  /// Looks up the keys of a block, beginning at `begin`, in the first two slots of their
  /// sequences. The others go to `left`, with null for a value.
  void find_block(Lookup& lookup, std::size_t begin, Left& left) {
    const std::size_t end = std::min(begin + kBlockKeys, lookup.column.count);
    lookup.found = end;
    left.count = 0;
    left.absent_count = 0;
    if (!compares_pairs_) {
      for (std::size_t i = begin; i < end; ++i) {
        __builtin_prefetch(lookup.places[(i + kKeysAhead) % kPlaces].slot, 1);
        left.keys[left.count++] = static_cast<std::uint32_t>(i);
        lookup.values[i] = nullptr;
      }
      return;
    }
    const EntryLayout layout = layout_;
    const std::uint32_t epoch = epoch_;
    const std::size_t key_stride = lookup.column.stride;
    const std::byte* key = lookup.column.data + begin * key_stride;
    const std::uint32_t* const hashes = lookup.column.hashes;
    void** const values = lookup.values;
    std::uint32_t left_count = 0;
    for (std::size_t i = begin; i < end; ++i, key += key_stride) {
      fetch_pair(lookup.places[(i + kKeysAhead) % kPlaces].slot, layout);
      // No branch depends on which of the slots it is, nor on whether it is one of them.
      const PairMatch match = match_pair(lookup.places[i % kPlaces].slot, layout, key, hashes[i]);
      values[i] = value_if_matched(match, layout);
      left.keys[left_count] = static_cast<std::uint32_t>(i);
      left_count += static_cast<std::uint32_t>(1 - match.count);
      if ((match.count & static_cast<std::size_t>(tag_of(match.entry) != epoch)) != 0) {
        mark(lookup.shards, *lookup.places[i % kPlaces].shard, match.entry);
      }
    }
    for (std::uint32_t n = 0; n < left_count; ++n) {
      const std::uint32_t i = left.keys[n];
      const std::byte* slot = lookup.places[i % kPlaces].slot;
      // A key is not behind an empty slot.
      const bool is_absent = has_empty_slot(slot, layout);
      fetch_pair(slot + (is_absent ? 0 : 2 * std::size_t{layout.stride}), layout);
      left.absent[left.absent_count] = i;
      left.absent_count += is_absent ? 1 : 0;
      left.keys[left.count] = i;
      left.count += is_absent ? 0 : 1;
    }
  }

  /// Asks for the first slots of all keys.
  void prefetch_slots(NamespaceShards& shards, const KeyColumn& column) {
    Lookup lookup{shards, column, nullptr, {}, {}, 0, 0};
    while (lookup.located < column.count) {
      const std::size_t begin = lookup.located;
      locate(lookup);
      for (std::size_t i = begin; i < lookup.located; ++i) {
        fetch_pair(lookup.places[i % kPlaces].slot, layout_);
      }
    }
  }

  /// Finds values for prefetched_, a block of keys at a time: while the keys of one are looked up,
  /// the slots of the next are on their way.
  void find_ahead(NamespaceShards& shards, const KeyColumn& column) {
    prefetched_.shard_of.resize(column.count);
    Lookup lookup{shards, column, nullptr, {}, {}, 0, 0};
    start(lookup);
    for (std::size_t begin = 0; begin < column.count; begin += kBlockKeys) {
      locate(lookup);
      prefetch_block(lookup, begin, lookup.left[begin / kBlockKeys % 2]);
      prefetch_left(lookup, lookup.left[1 - begin / kBlockKeys % 2]);
    }
    prefetch_left(lookup, lookup.left[0]);
    prefetch_left(lookup, lookup.left[1]);
  }

  /// Looks at the first two slots of a block's keys, and asks for the next two where the key is in
  /// neither: these keys go to `left`.
  void prefetch_block(const Lookup& lookup, std::size_t begin, Left& left) {
    const std::size_t end = std::min(begin + kBlockKeys, lookup.column.count);
    const EntryLayout layout = layout_;
    const std::size_t key_stride = lookup.column.stride;
    const std::byte* key = lookup.column.data + begin * key_stride;
    void** const values = prefetched_.values.data();
    Shard** const shard_of = prefetched_.shard_of.data();
    std::uint32_t left_count = 0;
    for (std::size_t i = begin; i < end; ++i, key += key_stride) {
      fetch_pair(lookup.places[(i + kKeysAhead) % kPlaces].slot, layout);
      const Place place = lookup.places[i % kPlaces];
      const PairMatch match = match_pair(place.slot, layout, key, lookup.column.hashes[i]);
      values[i] = value_if_matched(match, layout);
      shard_of[i] = place.shard;
      left.keys[left_count] = static_cast<std::uint32_t>(i);
      left_count += static_cast<std::uint32_t>(1 - match.count);
    }
    left.count = left_count;
    for (std::uint32_t n = 0; n < left_count; ++n) {
      const Place& place = lookup.places[left.keys[n] % kPlaces];
      __builtin_prefetch(second_pair(*place.shard, place.slot), 1);
    }
  }

  /// Looks at the next two slots of the keys that prefetch_block() left. Empties `left`.
  void prefetch_left(const Lookup& lookup, Left& left) {
    for (std::uint32_t n = 0; n < left.count; ++n) {
      const std::size_t i = left.keys[n];
      const Place& place = lookup.places[i % kPlaces];
      const PairMatch match =
          match_pair(second_pair(*place.shard, place.slot), layout_,
                     lookup.column.data + i * lookup.column.stride, lookup.column.hashes[i]);
      prefetched_.values[i] = value_if_matched(match, layout_);
    }
    left.count = 0;
  }

  /// The same in a shard that needs no fetching.
  void find_in_cache(Shard& shard, const KeyColumn& column) {
    const EntryLayout layout = layout_;
    const std::uint32_t* const hashes = column.hashes;
    void** const values = prefetched_.values.data();
    prefetched_.shard_of.clear();
    for (std::size_t begin = 0; begin < column.count; begin += kBlockKeys) {
      const std::size_t end = std::min(begin + kBlockKeys, column.count);
      const std::byte* key = column.data + begin * column.stride;
      std::uint32_t left[kBlockKeys];
      std::size_t left_count = 0;
      for (std::size_t i = begin; i < end; ++i, key += column.stride) {
        const PairMatch match = match_pair(shard.home(hashes[i], layout), layout, key, hashes[i]);
        values[i] = value_if_matched(match, layout);
        left[left_count] = static_cast<std::uint32_t>(i);
        left_count += 1 - match.count;
      }
      for (std::size_t n = 0; n < left_count; ++n) {
        const std::size_t i = left[n];
        const PairMatch match = match_pair(second_pair(shard, shard.home(hashes[i], layout)),
                                           layout, column.data + i * column.stride, hashes[i]);
        values[i] = value_if_matched(match, layout);
      }
    }
  }

  /// Finds or creates the keys that find_block() left. Empties `left`.
  void finish_left(Lookup& lookup, Left& left) {
    for (std::uint32_t n = 0; n < left.absent_count; ++n) {
      const std::size_t i = left.absent[n];
      const std::byte* key = lookup.column.data + i * lookup.column.stride;
      std::byte* entry =
          insert_absent(lookup, lookup.places[i % kPlaces], key, lookup.column.hashes[i]);
      if (entry == nullptr) [[unlikely]] {
        finish_one(lookup, i);
      } else {
        lookup.values[i] = entry + layout_.value_offset;
      }
    }
    for (std::uint32_t n = 0; n < left.count; ++n) {
      finish_one(lookup, left.keys[n]);
    }
    left.absent_count = 0;
    left.count = 0;
  }

  void finish_one(Lookup& lookup, std::size_t i) {
    const std::uint64_t rebuilds = rebuilds_;
    const Place place = lookup.places[i % kPlaces];
    std::byte* entry =
        upsert_slow(lookup.shards, *place.shard, place.slot,
                    lookup.column.data + i * lookup.column.stride, lookup.column.hashes[i]);
    if (rebuilds_ != rebuilds) [[unlikely]] {
      repair(lookup.shards, lookup.column, lookup.found, lookup.values);
      const std::size_t located = lookup.located;
      lookup.located = i / kBlockKeys * kBlockKeys;
      while (lookup.located < located) {
        locate(lookup);
      }
    }
    lookup.values[i] = entry + layout_.value_offset;
  }

  /// Creates a key that had an empty slot in its first pair, there, without a call or a branch that
  /// cannot be predicted. Null if it is there by now, or if this is no simple case.
  std::byte* insert_absent(Lookup& lookup, const Place& place, const std::byte* key,
                           std::uint32_t hash) {
    Shard& shard = *place.shard;
    const EntryLayout& layout = layout_;
    if (!layout.is_plain || shard.used >= shard.grow_at || !has_empty_slot(place.slot, layout) ||
        match_pair(place.slot, layout, key, hash).count != 0 ||
        (!lookup.shards.is_split() && key_groups_.of(hash) >= key_groups_.count())) {
      return nullptr;
    }
    const std::size_t is_first_used = tag_of(place.slot) == kEmptyTag ? 0 : 1;
    std::byte* entry = place.slot + is_first_used * layout.stride;
    KeyKind::copy(entry + layout.key_offset, key, layout);
    init_value(entry + layout.value_offset);
    hash_of(entry) = hash;
    tag_of(entry) = epoch_;
    note_write(lookup.shards, shard, entry);
    ++shard.used;
    ++shard.live;
    return entry;
  }

  /// Finds again those of the first `count` values, null or found, that were in a shard when it was
  /// rebuilt.
  void repair(NamespaceShards& shards, const KeyColumn& column, std::size_t count, void** values) {
    const MovedSlots moved = moved_;
    for (std::size_t i = 0; i < count; ++i) {
      if (moved.holds(values[i])) {
        std::byte* entry = lookup(shard_of(shards, column.hashes[i]),
                                  column.data + i * column.stride, column.hashes[i]);
        WEIR_CHECK(entry != nullptr);
        values[i] = entry + layout_.value_offset;
      }
    }
  }

  struct PairMatch {
    std::byte* entry;
    std::size_t count;  ///< 1 if `entry` is the key's, else 0
  };
  static void* value_if_matched(const PairMatch& match, const EntryLayout& layout) {
    // As numbers, lest the compiler makes a branch of it.
    const auto value = reinterpret_cast<std::uintptr_t>(match.entry + layout.value_offset);
    return reinterpret_cast<void*>(value & (std::uintptr_t{0} - match.count));
  }
  /// Looks at the first two slots of a probe sequence.
  static PairMatch match_pair(std::byte* slot, const EntryLayout& layout, const void* key,
                              std::uint32_t hash) {
    const std::size_t stride = layout.stride;
    const auto is_first = static_cast<std::size_t>(KeyKind::matches(slot, layout, key, hash));
    const auto is_second =
        static_cast<std::size_t>(KeyKind::matches(slot + stride, layout, key, hash));
    // Arithmetic, lest the compiler makes a branch of it.
    return {slot + ((std::size_t{0} - is_second) & stride), is_first | is_second};
  }

  /// Whether a probe that begins at this slot ends in its first pair.
  static bool has_empty_slot(const std::byte* slot, const EntryLayout& layout) {
    return (static_cast<int>(tag_of(slot) == kEmptyTag) |
            static_cast<int>(tag_of(slot + layout.stride) == kEmptyTag)) != 0;
  }

  /// The live entry of the key, or null.
  std::byte* lookup(Shard& shard, const void* key, std::uint32_t hash) {
    std::byte* entry = shard.home(hash, layout_);
    if (compares_pairs_) {
      const PairMatch match = match_pair(entry, layout_, key, hash);
      if (match.count != 0) [[likely]] {
        return match.entry;
      }
    }
    for (;;) {
      if (KeyKind::matches(entry, layout_, key, hash)) {
        return entry;
      }
      if (tag_of(entry) == kEmptyTag) {
        return nullptr;
      }
      entry = next_slot(shard, entry);
    }
  }

  /// The entry of the key, created when absent, ready to be written. `slot` is the key's home.
  std::byte* upsert_at(NamespaceShards& shards, Shard& shard, std::byte* slot, const void* key,
                       std::uint32_t hash) {
    if (compares_pairs_) {
      const PairMatch match = match_pair(slot, layout_, key, hash);
      if (match.count != 0) [[likely]] {
        mark(shards, shard, match.entry);
        return match.entry;
      }
    }
    return upsert_slow(shards, shard, slot, key, hash);
  }

  std::byte* upsert_slow(NamespaceShards& shards, Shard& shard, std::byte* slot, const void* key,
                         std::uint32_t hash) {
    std::byte* free_slot = nullptr;
    if (compares_pairs_ && !has_empty_slot(slot, layout_)) {
      // Most keys that are not in the first two slots are in the next two.
      const PairMatch match = match_pair(second_pair(shard, slot), layout_, key, hash);
      if (match.count != 0) [[likely]] {
        mark(shards, shard, match.entry);
        return match.entry;
      }
    }
    for (;;) {
      if (KeyKind::matches(slot, layout_, key, hash)) {
        mark(shards, shard, slot);
        return slot;
      }
      const std::uint32_t tag = tag_of(slot);
      if (tag == kEmptyTag) {
        return insert(shards, &shard, free_slot != nullptr ? free_slot : slot, key, hash);
      }
      if ((tag & kErasedBit) != 0 && free_slot == nullptr &&
          (!tombstones_.is_needed(tag) || KeyKind::has_key(slot, layout_, key, hash))) {
        free_slot = slot;
      }
      slot = next_slot(shard, slot);
    }
  }

  /// The third slot of the probe sequence that begins here.
  std::byte* second_pair(const Shard& shard, std::byte* slot) const {
    slot += 2 * std::size_t{layout_.stride};
    return slot == shard.end(layout_) ? shard.slots : slot;
  }

  std::byte* next_slot(const Shard& shard, std::byte* slot) const {
    slot += layout_.stride;
    return slot == shard.end(layout_) ? shard.slots : slot;
  }

  bool takes_keys_anywhere() const override { return KeyKind::kComparesPairs; }

  void* load_entry(StateNamespace ns, const void* key, std::uint32_t hash, bool& is_new) override {
    NamespaceShards& shards = acquire_namespace(ns);
    Shard& shard = shard_of(shards, hash);
    is_new = lookup(shard, key, hash) == nullptr;
    return upsert_at(shards, shard, shard.home(hash, layout_), key, hash) + layout_.value_offset;
  }
};

}  // namespace weir::state
