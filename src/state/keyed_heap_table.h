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

  void upsert_block(NamespaceShards& shards, const KeyColumn& column, std::size_t begin,
                    Block& block, void** values) {
    const std::size_t count = std::min(kBlockKeys, column.count - begin);
    const std::byte* keys = column.data + begin * column.stride;
    const std::uint32_t* hashes = column.hashes + begin;
    // First the keys that are where they should be. The others' next slots are fetched meanwhile.
    std::uint8_t left[kBlockKeys];
    std::size_t left_count = 0;
    if (compares_pairs_) {
      for (std::size_t i = 0; i < count; ++i) {
        std::byte* entry = match_pair(block.slots[i], keys + i * column.stride, hashes[i]);
        if (entry != nullptr) [[likely]] {
          mark(shards, *block.shards[i], entry);
          values[begin + i] = entry + layout_.value_offset;
        } else {
          __builtin_prefetch(block.slots[i] + 2 * layout_.stride, 1);
          values[begin + i] = nullptr;
          left[left_count++] = static_cast<std::uint8_t>(i);
        }
      }
    } else {
      for (; left_count < count; ++left_count) {
        left[left_count] = static_cast<std::uint8_t>(left_count);
        values[begin + left_count] = nullptr;
      }
    }
    std::uint64_t rebuilds = rebuilds_;
    for (std::size_t n = 0; n < left_count; ++n) {
      const std::size_t i = left[n];
      std::byte* entry = upsert_slow(shards, *block.shards[i], block.slots[i],
                                     keys + i * column.stride, hashes[i]);
      if (rebuilds_ != rebuilds) [[unlikely]] {
        rebuilds = rebuilds_;
        repair(shards, column, begin + count, values);
        locate(shards, column, begin, block);
      }
      values[begin + i] = entry + layout_.value_offset;
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

  /// The key's entry if it is one of the first two slots of a probe sequence, or null.
  std::byte* match_pair(std::byte* slot, const void* key, std::uint32_t hash) const {
    const std::size_t stride = layout_.stride;
    const auto is_first = static_cast<std::size_t>(KeyKind::matches(slot, layout_, key, hash));
    const auto is_second =
        static_cast<std::size_t>(KeyKind::matches(slot + stride, layout_, key, hash));
    // Arithmetic, lest the compiler makes a branch of it.
    std::byte* entry = slot + ((std::size_t{0} - is_second) & stride);
    return (is_first | is_second) != 0 ? entry : nullptr;
  }

  /// The live entry of the key, or null.
  std::byte* lookup(Shard& shard, const void* key, std::uint32_t hash) {
    std::byte* entry = shard.home(hash, layout_);
    if (compares_pairs_) {
      std::byte* found = match_pair(entry, key, hash);
      if (found != nullptr) [[likely]] {
        return found;
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
      std::byte* found = match_pair(slot, key, hash);
      if (found != nullptr) [[likely]] {
        mark(shards, shard, found);
        return found;
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
