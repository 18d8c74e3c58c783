#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "state/rocksdb/group_counts.h"
#include "weir/state_table.h"
#include "weir/type_ops.h"

namespace weir::state {

/// Values of one table in memory, in the form the operator uses them. Knows nothing of RocksDB.
///
/// A node is an entry, or the knowledge that there is none. It stays where it is until it is
/// removed. Nodes lie in chunks; new ones go to the first chunk with room, and a chunk without any
/// is given back. A namespace that is dropped and comes back is another *space*: nodes belong to
/// one.
class ValueCache {
 public:
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  enum class Kind : std::uint8_t { kFree, kLive, kAbsent };
  /// Key and value follow.
  struct Node {
    std::uint32_t hash;
    std::uint32_t space;
    std::uint32_t dirty_epoch;  ///< of the last write; 0: as it was read
    std::uint32_t next;         ///< in its space
    std::uint32_t previous;
    std::uint32_t last_given;  ///< the table's generation in which a pointer to it was given out
    std::uint32_t more_bytes;  ///< about what key and value take elsewhere
    Kind kind;
    bool is_listed;          ///< its last write is still to be encoded
    bool is_referenced : 1;  ///< since the clock passed by
    bool is_noted : 1;       ///< by the table, among what is not below as it is now
    bool is_below;           ///< RocksDB may have an entry, now or when the runs under way are down
  };
  static_assert(sizeof(Node) == 32);

  struct Space {
    StateNamespace ns = 0;
    std::uint32_t id = 0;
    std::uint32_t head = kNone;
    std::uint64_t size = 0;        ///< live entries, here or below
    std::uint32_t first_down = 0;  ///< lowest epoch of which something is below, or soon; 0: none
    std::uint32_t dropped_epoch = 0;  ///< in which it was dropped; 0: it was not
    std::uint32_t scans = 0;          ///< under way: nothing of it may be evicted
    GroupCounts groups;
  };

  /// More of a key than its hash, where many keys have the same one.
  using Mix = std::uint32_t (*)(const void* key);
  ValueCache(const TypeOps& key, const TypeOps& value, Mix mix);
  ~ValueCache();
  ValueCache(const ValueCache&) = delete;
  ValueCache& operator=(const ValueCache&) = delete;

  Node& node(std::uint32_t id) {
    return *reinterpret_cast<Node*>(chunks_[id >> chunk_bits_] + (id & chunk_mask_) * stride_);
  }
  /// Whether a node of this number exists: for those who remember numbers.
  bool is_used(std::uint32_t id) {
    return chunks_[id >> chunk_bits_] != nullptr && node(id).kind != Kind::kFree;
  }
  std::byte* key_of(Node& node) const { return reinterpret_cast<std::byte*>(&node) + key_offset_; }
  std::byte* value_of(Node& node) const {
    return reinterpret_cast<std::byte*>(&node) + value_offset_;
  }

  std::uint32_t tag_of(std::uint32_t space, std::uint32_t hash, const void* key) const {
    std::uint64_t mixed = (std::uint64_t{space} << 32 | hash) * 0x9e37'79b9'7f4a'7c15ULL;
    mixed ^= mixed >> 32;
    mixed *= 0xd6e8'feb8'6659'fd93ULL;
    return static_cast<std::uint32_t>(mixed >> 32) ^ (mix_ == nullptr ? 0 : mix_(key));
  }
  void prefetch(std::uint32_t tag) const { __builtin_prefetch(&slots_[tag & mask_]); }
  /// The first node that may be the one: to be fetched from memory ahead of find().
  std::uint32_t candidate(std::uint32_t tag) const {
    const Slot slot = slots_[tag & mask_];
    return slot.node;
  }
  void prefetch_node(std::uint32_t id) {
    if (id != kNone && chunks_[id >> chunk_bits_] != nullptr) {
      __builtin_prefetch(&node(id), 1);
    }
  }
  /// kNone when the cache does not know.
  std::uint32_t find(std::uint32_t space, std::uint32_t hash, std::uint32_t tag, const void* key) {
    for (std::size_t at = tag & mask_;; at = (at + 1) & mask_) {
      const Slot slot = slots_[at];
      if (slot.node == kNone) {
        return kNone;
      }
      if (slot.tag == tag) {
        Node& found = node(slot.node);
        if (found.hash == hash && found.space == space && is_equal(key_of(found), key)) {
          return slot.node;
        }
      }
    }
  }
  /// A node of the key, kAbsent. REQUIRES: find() does not find it.
  std::uint32_t insert(Space& space, std::uint32_t hash, std::uint32_t tag, const void* key);
  /// kAbsent -> kLive: the caller has constructed the value.
  void set_live(Node& node) { node.kind = Kind::kLive; }
  /// kLive -> kAbsent.
  void destroy_value(Node& node);
  void remove(std::uint32_t id);

  Space& add_space(StateNamespace ns);
  Space& space(std::uint32_t id) { return *spaces_[id]; }
  const Space& space(std::uint32_t id) const { return *spaces_[id]; }
  /// REQUIRES: it has no nodes.
  void free_space(std::uint32_t id);

  /// The last number of its chunk if that is gone, else the number itself: for the same walks.
  std::uint32_t skip_gone(std::uint32_t id) const {
    return chunks_[id >> chunk_bits_] == nullptr ? id | chunk_mask_ : id;
  }
  /// One past the highest node there may be; for walks over all.
  std::uint32_t node_limit() const {
    return static_cast<std::uint32_t>(chunks_.size() << chunk_bits_);
  }
  /// Memory taken, free nodes included.
  std::size_t bytes() const {
    return present_chunks_ * chunk_bytes() + slots_.size() * sizeof(Slot) + more_bytes_;
  }
  /// The same without free nodes.
  std::size_t used_bytes() const {
    return static_cast<std::size_t>(used_) * stride_ + slots_.size() * sizeof(Slot) + more_bytes_;
  }
  std::size_t chunk_bytes() const { return stride_ << chunk_bits_; }
  std::size_t node_bytes() const { return stride_; }
  std::uint32_t node_count() const { return used_; }
  void set_more_bytes(Node& node, std::size_t bytes) {
    more_bytes_ += bytes - node.more_bytes;
    node.more_bytes = static_cast<std::uint32_t>(bytes);
  }

 private:
  struct Slot {
    std::uint32_t tag = 0;
    std::uint32_t node = kNone;
  };
  struct ChunkRoom {
    std::uint32_t used = 0;
    std::uint32_t free = kNone;  ///< the first of its free nodes, linked by `next`
  };

  bool is_equal(const std::byte* a, const void* b) const {
    return raw_key_ == 8   ? std::memcmp(a, b, 8) == 0
           : raw_key_ == 4 ? std::memcmp(a, b, 4) == 0
           : raw_key_ != 0 ? std::memcmp(a, b, raw_key_) == 0
                           : key_.equals(a, b);
  }
  std::uint32_t take_node();
  void give_back(std::uint32_t id);
  void add_chunk(std::uint32_t number);
  void free_chunk(std::uint32_t number);
  void set_has_room(std::uint32_t chunk, bool has_room);
  std::size_t slot_of(std::uint32_t id, std::uint32_t tag) const;
  void rehash(std::size_t size);

  const TypeOps& key_;
  const TypeOps& value_;
  const Mix mix_;
  const std::size_t raw_key_;  ///< bytes of a key that is equal when they are, or 0
  std::size_t key_offset_ = 0;
  std::size_t value_offset_ = 0;
  std::size_t stride_ = 0;
  std::size_t alignment_ = 0;
  std::uint32_t chunk_bits_ = 0;
  std::uint32_t chunk_mask_ = 0;
  std::vector<std::byte*> chunks_;       ///< null: given back, or never there
  std::vector<ChunkRoom> rooms_;         ///< of chunks_
  std::vector<std::uint64_t> has_room_;  ///< a bit for each of chunks_: it may take another node
  std::size_t first_with_room_ = 0;      ///< no earlier word of has_room_ has a bit
  std::size_t present_chunks_ = 0;
  std::uint32_t empty_chunk_ = kNone;  ///< one is kept, lest it comes and goes with each node
  std::uint32_t used_ = 0;
  std::size_t more_bytes_ = 0;
  std::vector<Slot> slots_;
  std::size_t mask_ = 0;
  std::vector<std::unique_ptr<Space>> spaces_;
  std::vector<std::uint32_t> free_spaces_;
};

}  // namespace weir::state
