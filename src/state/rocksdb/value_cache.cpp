#include "state/rocksdb/value_cache.h"

#include <algorithm>
#include <new>

#include "weir/check.h"

namespace weir::state {
namespace {

constexpr std::size_t kSlotsMin = 64;

std::size_t round_up(std::size_t size, std::size_t to) { return (size + to - 1) / to * to; }

}  // namespace

void ValueCache::FreeChunk::operator()(std::byte* chunk) const {
  ::operator delete(chunk, std::align_val_t{alignment});
}

ValueCache::ValueCache(const TypeOps& key, const TypeOps& value, Mix mix)
    : key_(key), value_(value), mix_(mix), raw_key_(key.encodes_raw ? key.size : 0) {
  key_offset_ = round_up(sizeof(Node), key.alignment);
  value_offset_ = round_up(key_offset_ + key.size, value.alignment);
  alignment_ = std::max({alignof(Node), key.alignment, value.alignment});
  stride_ = round_up(value_offset_ + value.size, alignment_);
  slots_.resize(kSlotsMin);
  mask_ = kSlotsMin - 1;
}

ValueCache::~ValueCache() {
  for (std::uint32_t id = 0; id < limit_; ++id) {
    Node& one = node(id);
    if (one.kind == Kind::kLive) {
      value_.destroy(value_of(one));
    }
    if (one.kind != Kind::kFree) {
      key_.destroy(key_of(one));
    }
  }
}

std::uint32_t ValueCache::insert(Space& space, std::uint32_t hash, std::uint32_t tag,
                                 const void* key) {
  if ((static_cast<std::size_t>(used_) + 1) * 5 > slots_.size() * 3) {
    rehash(slots_.size() * 2);
  }
  std::uint32_t id = limit_;
  if (!free_.empty()) {
    id = free_.back();
    free_.pop_back();
  } else {
    WEIR_CHECK_MESSAGE(limit_ < kNone - 1, "too many values in one cache");
    if (limit_ >> kChunkBits == chunks_.size()) {
      chunks_.emplace_back(static_cast<std::byte*>(
                               ::operator new(stride_ * kChunkNodes, std::align_val_t{alignment_})),
                           FreeChunk{alignment_});
    }
    ++limit_;
  }
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
  ++used_;
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
  one.kind = Kind::kFree;
  one.is_listed = false;
  free_.push_back(id);
  --used_;
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
