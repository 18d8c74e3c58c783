#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "state/heap_table.h"
#include "weir/check.h"

namespace weir::state {

/// Keys that are equal when their bytes are. Slots are looked at in pairs without a branch between
/// the two: which one of them it is cannot be predicted, that it is one of them can.
template <class Word, std::size_t Words>
struct RawKey {
  static constexpr bool kComparesPairs = true;

  static bool matches(const std::byte* entry, const EntryLayout& layout, const void* key,
                      std::uint32_t /*hash*/) {
    Word a[Words];
    Word b[Words];
    std::memcpy(a, entry + layout.key_offset, sizeof(a));
    std::memcpy(b, key, sizeof(b));
    Word difference = 0;
    for (std::size_t i = 0; i < Words; ++i) {
      difference = static_cast<Word>(difference | (a[i] ^ b[i]));
    }
    return static_cast<bool>(static_cast<int>(difference == 0) &
                             static_cast<int>(is_live_tag(tag_of(entry))));
  }
};

/// Any key: the hash first, then the type's own comparison.
struct ObjectKey {
  static constexpr bool kComparesPairs = false;

  static bool matches(const std::byte* entry, const EntryLayout& layout, const void* key,
                      std::uint32_t hash) {
    return hash_of(entry) == hash && is_live_tag(tag_of(entry)) &&
           layout.key->equals(entry + layout.key_offset, key);
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
    // The slots of a block are on their way from memory while the block before it is probed.
    Block blocks[2];
    locate(shards, column, 0, blocks[0]);
    std::size_t turn = 0;
    for (std::size_t begin = 0; begin < column.count; begin += kBlockKeys) {
      Block& block = blocks[turn & 1];
      Block& next = blocks[++turn & 1];
      locate(shards, column, begin + kBlockKeys, next);
      const std::uint64_t rebuilds = rebuilds_;
      upsert_block(shards, column, begin, block, values);
      if (rebuilds_ != rebuilds) {
        locate(shards, column, begin + kBlockKeys, next);
      }
    }
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
    NamespaceShards* shards = find_namespace(ns);
    if (shards == nullptr) {
      return;
    }
    Block block;
    for (std::size_t begin = 0; begin < column.count; begin += kBlockKeys) {
      locate(*shards, column, begin, block);
    }
  }

 private:
  static constexpr std::size_t kBlockKeys = 64;

  const bool compares_pairs_ = KeyKind::kComparesPairs && layout_.stride <= kPairStrideMax;

  /// Where the keys of a block live: the shard, and the first slot to look at.
  struct Block {
    Shard* shards[kBlockKeys];
    std::byte* slots[kBlockKeys];
  };

  Shard& shard_of(NamespaceShards& shards, std::uint32_t hash) {
    if (!shards.is_split()) {
      return shards[0];
    }
    const std::uint32_t group = key_groups_.of(hash);
    WEIR_CHECK_MESSAGE(group < key_groups_.count(), "a key of another subtask's key group");
    return shards[group];
  }

  void locate(NamespaceShards& shards, const KeyColumn& column, std::size_t begin, Block& block) {
    if (begin >= column.count) {
      return;
    }
    const std::size_t count = std::min(kBlockKeys, column.count - begin);
    const std::uint32_t* hashes = column.hashes + begin;
    const EntryLayout layout = layout_;
    if (!shards.is_split()) {
      Shard& shard = shards[0];
      for (std::size_t i = 0; i < count; ++i) {
        block.shards[i] = &shard;
        block.slots[i] = shard.home(hashes[i], layout);
        __builtin_prefetch(block.slots[i], 1);
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
    Shard* const all = &shards[0];
    for (std::size_t i = 0; i < count; ++i) {
      block.shards[i] = all + groups[i];
      block.slots[i] = all[groups[i]].home(hashes[i], layout);
      __builtin_prefetch(block.slots[i], 1);
    }
  }

  /// The keys of a block that are in the first two slots of their sequences. The numbers of the
  /// others go to `left`, with null for a value. No branch depends on which are which.
  std::size_t upsert_pairs(NamespaceShards& shards, const KeyColumn& column, std::size_t begin,
                           std::size_t count, const Block& block, void** values,
                           std::uint8_t* left) {
    const EntryLayout layout = layout_;
    const std::uint32_t epoch = epoch_;
    const std::size_t key_stride = column.stride;
    const std::byte* key = column.data + begin * key_stride;
    const std::uint32_t* hashes = column.hashes + begin;
    std::size_t left_count = 0;
    for (std::size_t i = 0; i < count; ++i, key += key_stride) {
      const PairMatch match = match_pair(block.slots[i], layout, key, hashes[i]);
      const auto value = reinterpret_cast<std::uintptr_t>(match.entry + layout.value_offset);
      values[begin + i] = reinterpret_cast<void*>(value & (std::uintptr_t{0} - match.count));
      left[left_count] = static_cast<std::uint8_t>(i);
      left_count += 1 - match.count;
      if ((match.count & static_cast<std::size_t>(tag_of(match.entry) != epoch)) != 0) {
        mark(shards, *block.shards[i], match.entry);
      }
    }
    for (std::size_t n = 0; n < left_count; ++n) {
      __builtin_prefetch(block.slots[left[n]] + 2 * std::size_t{layout.stride}, 1);
    }
    return left_count;
  }

  void upsert_block(NamespaceShards& shards, const KeyColumn& column, std::size_t begin,
                    Block& block, void** values) {
    const std::size_t count = std::min(kBlockKeys, column.count - begin);
    std::uint8_t left[kBlockKeys + 1];  // One more than is ever used: it is written first.
    std::size_t left_count = 0;
    if (compares_pairs_) {
      left_count = upsert_pairs(shards, column, begin, count, block, values, left);
    } else {
      for (; left_count < count; ++left_count) {
        left[left_count] = static_cast<std::uint8_t>(left_count);
        values[begin + left_count] = nullptr;
      }
    }
    std::uint64_t rebuilds = rebuilds_;
    for (std::size_t n = 0; n < left_count; ++n) {
      const std::size_t i = begin + left[n];
      std::byte* entry = upsert_slow(shards, *block.shards[left[n]], block.slots[left[n]],
                                     column.data + i * column.stride, column.hashes[i]);
      if (rebuilds_ != rebuilds) [[unlikely]] {
        rebuilds = rebuilds_;
        repair(shards, column, begin + count, values);
        locate(shards, column, begin, block);
      }
      values[i] = entry + layout_.value_offset;
    }
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
    for (;;) {
      if (KeyKind::matches(slot, layout_, key, hash)) {
        mark(shards, shard, slot);
        return slot;
      }
      const std::uint32_t tag = tag_of(slot);
      if (tag == kEmptyTag) {
        return insert(shards, &shard, free_slot != nullptr ? free_slot : slot, key, hash);
      }
      if ((tag & kErasedBit) != 0 && free_slot == nullptr) {
        free_slot = slot;
      }
      slot = next_slot(shard, slot);
    }
  }

  std::byte* next_slot(const Shard& shard, std::byte* slot) const {
    slot += layout_.stride;
    return slot == shard.end(layout_) ? shard.slots : slot;
  }

  void* load_entry(StateNamespace ns, const void* key, std::uint32_t hash, bool& is_new) override {
    NamespaceShards& shards = acquire_namespace(ns);
    Shard& shard = shard_of(shards, hash);
    is_new = lookup(shard, key, hash) == nullptr;
    return upsert_at(shards, shard, shard.home(hash, layout_), key, hash) + layout_.value_offset;
  }
};

}  // namespace weir::state
