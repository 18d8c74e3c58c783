#include "state/rocksdb/value_cache.h"

#include <algorithm>
#include <bit>
#include <new>
#include <utility>

#include "weir/check.h"

namespace weir::state {
namespace {

constexpr std::size_t kSlotsMin = 64;
/// Chunks have about so many bytes: much less than a cache, much more than a node.
constexpr std::size_t kChunkBytes = std::size_t{64} << 10;
constexpr int kChunkBitsMin = 2;
constexpr int kChunkBitsMax = 10;
constexpr std::size_t kWordBits = 64;

std::size_t round_up(std::size_t size, std::size_t to) { return (size + to - 1) / to * to; }

}  // namespace

ValueCache::ValueCache(const TypeOps& key, const TypeOps& value, Mix mix)
    : key_(key), value_(value), mix_(mix), raw_key_(key.encodes_raw ? key.size : 0) {
  key_offset_ = round_up(sizeof(Node), key.alignment);
  value_offset_ = round_up(key_offset_ + key.size, value.alignment);
  alignment_ = std::max({alignof(Node), key.alignment, value.alignment});
  stride_ = round_up(value_offset_ + value.size, alignment_);
  chunk_bits_ = static_cast<std::uint32_t>(std::clamp(
      static_cast<int>(std::bit_width(kChunkBytes / stride_)) - 1, kChunkBitsMin, kChunkBitsMax));
  chunk_mask_ = (1U << chunk_bits_) - 1;
  slots_.resize(kSlotsMin);
  mask_ = kSlotsMin - 1;
}

ValueCache::~ValueCache() {
  for (std::uint32_t id = 0; id < node_limit(); ++id) {
    if (!is_used(id)) {
      continue;
    }
    Node& one = node(id);
    if (one.kind == Kind::kLive) {
      value_.destroy(value_of(one));
    }
    key_.destroy(key_of(one));
  }
  for (std::uint32_t number = 0; number < chunks_.size(); ++number) {
    free_chunk(number);
  }
}

// --- Chunks ------------------------------------------------------------------------------------

void ValueCache::set_has_room(std::uint32_t chunk, bool has_room) {
  const std::uint64_t bit = std::uint64_t{1} << (chunk % kWordBits);
  std::uint64_t& word = has_room_[chunk / kWordBits];
  word = has_room ? word | bit : word & ~bit;
  if (has_room) {
    first_with_room_ = std::min<std::size_t>(first_with_room_, chunk / kWordBits);
  }
}

void ValueCache::add_chunk(std::uint32_t number) {
  auto* const chunk =
      static_cast<std::byte*>(::operator new(chunk_bytes(), std::align_val_t{alignment_}));
  chunks_[number] = chunk;
  ++present_chunks_;
  const std::uint32_t first = number << chunk_bits_;
  for (std::uint32_t i = 0; i <= chunk_mask_; ++i) {
    auto* const one = ::new (static_cast<void*>(chunk + i * stride_)) Node();
    one->next = i == chunk_mask_ ? kNone : first + i + 1;
  }
  rooms_[number] = {0, first};
}

void ValueCache::free_chunk(std::uint32_t number) {
  if (chunks_[number] != nullptr) {
    ::operator delete(chunks_[number], std::align_val_t{alignment_});
    chunks_[number] = nullptr;
    --present_chunks_;
  }
}

std::uint32_t ValueCache::take_node() {
  while (first_with_room_ < has_room_.size() && has_room_[first_with_room_] == 0) {
    ++first_with_room_;
  }
  if (first_with_room_ == has_room_.size()) {
    WEIR_CHECK_MESSAGE((chunks_.size() + 1) << chunk_bits_ < kNone, "too many values in one cache");
    if (chunks_.size() % kWordBits == 0) {
      has_room_.push_back(0);
    }
    chunks_.push_back(nullptr);
    rooms_.emplace_back();
    set_has_room(static_cast<std::uint32_t>(chunks_.size() - 1), true);
  }
  const auto chunk = static_cast<std::uint32_t>(
      first_with_room_ * kWordBits +
      static_cast<std::size_t>(std::countr_zero(has_room_[first_with_room_])));
  if (chunks_[chunk] == nullptr) {
    if (empty_chunk_ != kNone && empty_chunk_ != chunk) {
      free_chunk(std::exchange(empty_chunk_, kNone));
    }
    add_chunk(chunk);
  } else if (chunk == empty_chunk_) {
    empty_chunk_ = kNone;
  }
  ChunkRoom& room = rooms_[chunk];
  const std::uint32_t id = room.free;
  room.free = node(id).next;
  ++room.used;
  ++used_;
  if (room.free == kNone) {
    set_has_room(chunk, false);
  }
  return id;
}

void ValueCache::give_back(std::uint32_t id) {
  const std::uint32_t chunk = id >> chunk_bits_;
  ChunkRoom& room = rooms_[chunk];
  Node& one = node(id);
  one.kind = Kind::kFree;
  one.is_listed = false;
  one.is_noted = false;
  one.next = room.free;
  room.free = id;
  --room.used;
  --used_;
  set_has_room(chunk, true);
  if (room.used == 0) {
    if (empty_chunk_ != kNone) {
      free_chunk(std::max(empty_chunk_, chunk));
    }
    empty_chunk_ = empty_chunk_ == kNone ? chunk : std::min(empty_chunk_, chunk);
  }
}

// --- Nodes -------------------------------------------------------------------------------------

std::uint32_t ValueCache::insert(Space& space, std::uint32_t hash, std::uint32_t tag,
                                 const void* key) {
  if ((static_cast<std::size_t>(used_) + 1) * 5 > slots_.size() * 3) {
    rehash(slots_.size() * 2);
  }
  const std::uint32_t id = take_node();
  Node& one = node(id);
  ::new (static_cast<void*>(&one))
      Node{hash, space.id, 0, space.head, kNone, 0, 0, Kind::kAbsent, false, true, false, false};
  key_.copy_construct(key_of(one), key);
  if (space.head != kNone) {
    node(space.head).previous = id;
  }
  space.head = id;
  std::size_t at = tag & mask_;
  while (slots_[at].node != kNone) {
    at = (at + 1) & mask_;
  }
  slots_[at] = {tag, id};
  return id;
}

void ValueCache::destroy_value(Node& node) {
  value_.destroy(value_of(node));
  node.kind = Kind::kAbsent;
}

std::size_t ValueCache::slot_of(std::uint32_t id, std::uint32_t tag) const {
  std::size_t at = tag & mask_;
  while (slots_[at].node != id) {
    WEIR_CHECK(slots_[at].node != kNone);
    at = (at + 1) & mask_;
  }
  return at;
}

void ValueCache::remove(std::uint32_t id) {
  Node& one = node(id);
  std::size_t hole = slot_of(id, tag_of(one.space, one.hash, key_of(one)));
  if (one.kind == Kind::kLive) {
    value_.destroy(value_of(one));
  }
  key_.destroy(key_of(one));
  Space& space = *spaces_[one.space];
  (one.previous == kNone ? space.head : node(one.previous).next) = one.next;
  if (one.next != kNone) {
    node(one.next).previous = one.previous;
  }
  // Those behind it move up, so that no probe ends too early.
  for (std::size_t at = (hole + 1) & mask_; slots_[at].node != kNone; at = (at + 1) & mask_) {
    const std::size_t home = slots_[at].tag & mask_;
    if (((at - home) & mask_) >= ((at - hole) & mask_)) {
      slots_[hole] = slots_[at];
      hole = at;
    }
  }
  slots_[hole] = Slot();
  more_bytes_ -= one.more_bytes;
  give_back(id);
  // Slots count as memory: a cache that gave way to another one gives these back as well.
  if (slots_.size() > kSlotsMin && static_cast<std::size_t>(used_) * 10 < slots_.size()) {
    rehash(slots_.size() / 2);
  }
}

void ValueCache::rehash(std::size_t size) {
  std::vector<Slot> old(size);
  old.swap(slots_);
  mask_ = slots_.size() - 1;
  for (const Slot& slot : old) {
    if (slot.node != kNone) {
      std::size_t at = slot.tag & mask_;
      while (slots_[at].node != kNone) {
        at = (at + 1) & mask_;
      }
      slots_[at] = slot;
    }
  }
}

ValueCache::Space& ValueCache::add_space(StateNamespace ns) {
  std::uint32_t id = static_cast<std::uint32_t>(spaces_.size());
  if (!free_spaces_.empty()) {
    id = free_spaces_.back();
    free_spaces_.pop_back();
  } else {
    spaces_.emplace_back();
  }
  spaces_[id] = std::make_unique<Space>();
  spaces_[id]->ns = ns;
  spaces_[id]->id = id;
  return *spaces_[id];
}

void ValueCache::free_space(std::uint32_t id) {
  WEIR_CHECK(spaces_[id]->head == kNone);
  spaces_[id].reset();
  free_spaces_.push_back(id);
}

}  // namespace weir::state
