#include "state/namespace_shards.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "weir/check.h"

namespace weir::state {
namespace {

constexpr std::uint32_t kSlotsMin = 4;

std::uint32_t whole_groups(std::uint64_t slots) {
  const std::uint64_t rounded = (std::max(slots, std::uint64_t{kSlotsMin}) + kSlotGroupMax - 1) /
                                kSlotGroupMax * kSlotGroupMax;
  WEIR_CHECK_MESSAGE(rounded < Shard::kNotWalked, "too many keys in one key group");
  return static_cast<std::uint32_t>(rounded);
}

/// 1.4 times: at 3/4 load at most, a key then costs at most 1.4 / 0.75 = 1.87 slots. From 2 MiB on
/// rather a size that whole huge pages fill, if one lies between 1.1 and 1.43 times.
std::uint32_t grown(std::uint32_t capacity, std::uint32_t stride) {
  constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
  const std::uint64_t bytes = std::uint64_t{capacity} * stride;
  const std::uint64_t limit = bytes * 143 / 100;
  std::uint64_t next = bytes * 7 / 5;
  if (limit >= 2 * kMiB) {
    for (const std::uint64_t unit : {2 * kMiB, kMiB}) {
      const std::uint64_t filled = limit / unit * unit;
      if (filled >= bytes * 11 / 10) {
        next = filled;
        break;
      }
    }
    return whole_groups(next / stride / kSlotGroupMax * kSlotGroupMax);
  }
  return whole_groups(next / stride);
}

/// Enough slots for `live` entries and as much growth as a table that has just grown has ahead.
std::uint32_t capacity_for(std::uint32_t live) {
  return whole_groups(std::uint64_t{live} + live * 3 / 4);
}

}  // namespace

NamespaceShards::NamespaceShards(const EntryLayout& layout, const TombstoneRule& tombstones,
                                 const KeyGroupIndex& key_groups, const ShardLimits& limits)
    : layout_(layout),
      tombstones_(tombstones),
      key_groups_(key_groups),
      limits_(limits),
      written_(tombstones.keeps_keys ? 1 : 0, WrittenSlots(limits.written)) {}

NamespaceShards::~NamespaceShards() {
  while (sweep(std::size_t{1} << 20)) {
  }
  for (Spare& spare : spare_) {
    free_block(spare.slots, spare.capacity);
  }
  for (std::uint32_t i = 0; i < count_; ++i) {
    Shard& shard = shards_[i];
    if (!shard.has_memory()) {
      continue;
    }
    Spare last{shard.slots, shard.capacity, 0};
    clear(last, shard.capacity);
    free_block(shard.slots, shard.capacity);
  }
}

std::uint64_t NamespaceShards::live() const {
  std::uint64_t total = 0;
  for (std::uint32_t i = 0; i < count_; ++i) {
    total += shards_[i].live;
  }
  return total;
}

std::size_t NamespaceShards::memory_bytes() const {
  std::size_t total = sizeof(*this) + (is_split() ? count_ * sizeof(Shard) : 0);
  for (std::uint32_t i = 0; i < count_; ++i) {
    total += shards_[i].memory_bytes(layout_);
  }
  for (const WrittenSlots& written : written_) {
    total += written.memory_bytes();
  }
  return total + spare_bytes();
}

std::size_t NamespaceShards::spare_bytes() const {
  std::size_t total = spare_.capacity() * sizeof(Spare);
  for (const Spare& spare : spare_) {
    total += spare.slots == nullptr ? 0 : block_bytes(spare.capacity, layout_);
  }
  return total;
}

std::byte* NamespaceShards::allocate_block(std::uint32_t capacity) {
  return allocate_slots(block_bytes(capacity, layout_), layout_.alignment);
}

void NamespaceShards::free_block(std::byte* slots, std::uint32_t capacity) {
  if (slots != nullptr) {
    free_slots(slots, block_bytes(capacity, layout_), layout_.alignment);
  }
}

std::uint32_t NamespaceShards::count_held(const Shard& shard) const {
  if (!tombstones_.keeps_keys || shard.used == shard.live) {
    return shard.live;
  }
  std::uint32_t count = 0;
  const std::byte* entry = shard.slots;
  for (std::uint32_t i = 0; i < shard.capacity; ++i, entry += layout_.stride) {
    count += is_held(tag_of(entry)) ? 1 : 0;
  }
  return count;
}

void NamespaceShards::move_held(Shard& to, std::byte* from) {
  const std::uint32_t tag = tag_of(from);
  std::byte* const slot = first_empty_slot(to, hash_of(from), layout_);
  if (is_live_tag(tag)) {
    layout_.move_entry(slot, from);
    ++to.live;
  } else {
    layout_.move_tombstone(slot, from);
  }
  ++to.used;
}

void NamespaceShards::destroy_rest(std::byte* entry) const {
  const std::uint32_t tag = tag_of(entry);
  if (is_live_tag(tag)) {
    layout_.destroy_entry(entry);
  } else if (tag != kEmptyTag && tombstones_.keeps_keys) {
    layout_.destroy_key(entry);
  }
}

void NamespaceShards::move_all(Shard& from, std::byte* slots, std::uint32_t capacity) {
  Shard to;
  attach_slots(to, slots, capacity);
  std::byte* entry = from.slots;
  for (std::uint32_t i = 0; i < from.capacity; ++i, entry += layout_.stride) {
    if (is_held(tag_of(entry))) {
      move_held(to, entry);
    } else {
      destroy_rest(entry);
    }
  }
  std::swap(from, to);
  free_block(to.slots, to.capacity);
}

void NamespaceShards::grow_in_place(Shard& shard, std::uint32_t capacity) {
  const std::size_t stride = layout_.stride;
  const std::uint32_t old_capacity = shard.capacity;
  const std::uint32_t live = shard.live;
  const std::uint32_t held = count_held(shard);
  std::byte* const slots =
      grow_slots(shard.slots, block_bytes(old_capacity, layout_), block_bytes(capacity, layout_));
  shard = Shard();
  attach_slots(shard, slots, capacity);
  // From the last slot down: an entry's new place is mostly further up, where everything is in
  // place already. The few that would go further down, or round the end, wait until the end.
  std::vector<std::byte> waiting;
  for (std::uint32_t i = old_capacity; i-- > 0;) {
    std::byte* const entry = slots + i * stride;
    if (tag_of(entry) == kEmptyTag) {
      continue;
    }
    if (is_held(tag_of(entry))) {
      std::uint32_t to = slot_of_hash(hash_of(entry), capacity, layout_.group_mask);
      if (to < i) {
        to = capacity;
      }
      while (to < capacity && to != i && tag_of(slots + to * stride) != kEmptyTag) {
        ++to;
      }
      if (to == i) {
        continue;
      }
      if (to < capacity) {
        layout_.move_entry(slots + to * stride, entry);
      } else {
        waiting.insert(waiting.end(), entry, entry + stride);
      }
    }
    tag_of(entry) = kEmptyTag;
  }
  for (std::size_t at = 0; at < waiting.size(); at += stride) {
    std::memcpy(first_empty_slot(shard, hash_of(waiting.data() + at), layout_), waiting.data() + at,
                stride);
  }
  shard.used = held;
  shard.live = live;
}

void NamespaceShards::split() {
  const std::uint32_t groups = key_groups_.count();
  auto shards = std::make_unique<Shard[]>(groups);
  std::vector<std::uint32_t> counts(groups);
  const auto each_held = [&](auto&& visit) {
    std::byte* entry = single_.slots;
    for (std::uint32_t i = 0; i < single_.capacity; ++i, entry += layout_.stride) {
      if (is_held(tag_of(entry))) {
        visit(entry, key_groups_.of(hash_of(entry)));
      }
    }
  };
  each_held([&](std::byte*, std::uint32_t group) { ++counts[group]; });
  for (std::uint32_t group = 0; group < groups; ++group) {
    if (counts[group] != 0) {
      const std::uint32_t capacity = capacity_for(counts[group]);
      attach_slots(shards[group], allocate_block(capacity), capacity);
    }
  }
  if (tombstones_.keeps_keys) {
    std::byte* entry = single_.slots;
    for (std::uint32_t i = 0; i < single_.capacity; ++i, entry += layout_.stride) {
      if (!is_held(tag_of(entry))) {
        destroy_rest(entry);
      }
    }
  }
  each_held([&](std::byte* entry, std::uint32_t group) { move_held(shards[group], entry); });
  if (single_.has_memory()) {
    free_block(single_.slots, single_.capacity);
  }
  single_ = Shard();
  split_ = std::move(shards);
  shards_ = split_.get();
  count_ = groups;
  mask_ = ~0U;
  written_.resize(written_.empty() ? 0 : groups, WrittenSlots(limits_.written));
}

bool NamespaceShards::take_spare(Shard& shard) {
  const auto index = static_cast<std::size_t>(&shard - shards_);
  if (index >= spare_.size() || spare_[index].slots == nullptr) {
    return false;
  }
  Spare& spare = spare_[index];
  clear(spare, spare.capacity);
  std::memset(spare.slots, 0, block_bytes(spare.capacity, layout_));
  attach_slots(shard, spare.slots, spare.capacity);
  spare = Spare{};
  return true;
}

void NamespaceShards::lose_written(const Shard& shard, std::uint32_t epoch) {
  if (WrittenSlots* written = written_in(static_cast<std::uint32_t>(&shard - shards_))) {
    written->lose(epoch);
  }
}

void NamespaceShards::make_room(Shard& shard, std::uint32_t epoch) {
  WEIR_CHECK(shard.walked == Shard::kNotWalked);
  if (!shard.has_memory()) {
    if (!take_spare(shard)) {
      attach_slots(shard, allocate_block(kSlotsMin), kSlotsMin);
    }
    return;
  }
  if (!is_split() && shard.live >= limits_.split_entries && key_groups_.count() > 1) {
    split();
    for (WrittenSlots& written : written_) {
      written.lose(epoch);
    }
    return;
  }
  lose_written(shard, epoch);
  // With tombstones making up more than a quarter, the same size is enough.
  const std::uint32_t held = count_held(shard);
  const bool is_mostly_held = held >= shard.grow_at - shard.grow_at / 4;
  const std::uint32_t capacity = is_mostly_held ? grown(shard.capacity, layout_.stride)
                                                : std::min(shard.capacity, 2 * capacity_for(held));
  if (layout_.is_plain &&
      can_grow_slots(block_bytes(shard.capacity, layout_), block_bytes(capacity, layout_))) {
    grow_in_place(shard, capacity);
    return;
  }
  move_all(shard, allocate_block(capacity), capacity);
}

void NamespaceShards::reserve(std::uint32_t group_index, std::uint64_t entries) {
  const bool is_one_group = group_index != kAllGroups;
  const std::uint64_t total = is_one_group ? entries * key_groups_.count() : entries;
  if (!is_split() && total >= limits_.split_entries && key_groups_.count() > 1) {
    split();
  }
  if (!is_split()) {
    reserve(single_, total);
  } else if (is_one_group) {
    reserve(shards_[group_index], entries);
  } else {
    for (std::uint32_t i = 0; i < count_; ++i) {
      reserve(shards_[i], total / count_);
    }
  }
}

void NamespaceShards::reserve(Shard& shard, std::uint64_t entries) {
  constexpr std::uint64_t kEntriesMax = std::uint64_t{1} << 30;
  const auto live = static_cast<std::uint32_t>(std::min(entries, kEntriesMax));
  const std::uint32_t capacity = std::max(kSlotsMin, capacity_for(live));
  if (!shard.has_memory() && !take_spare(shard)) {
    attach_slots(shard, allocate_block(capacity), capacity);
  } else if (shard.capacity < capacity - capacity / 8) {
    move_all(shard, allocate_block(capacity), capacity);
  }
}

void NamespaceShards::retire() {
  std::fill(written_.begin(), written_.end(), WrittenSlots(limits_.written));
  spare_.resize(count_);
  sweep_next_ = 0;
  for (std::uint32_t i = 0; i < count_; ++i) {
    Shard& shard = shards_[i];
    Spare& spare = spare_[i];
    if (!shard.has_memory()) {
      continue;  // A spare block that nobody took stays.
    }
    // A shard takes its spare before it allocates, so there is none now.
    WEIR_CHECK(spare.slots == nullptr);
    const bool is_worth_keeping = shard.capacity <= 64 || shard.live >= shard.capacity / 8;
    if (is_worth_keeping || !layout_.is_plain) {
      spare = Spare{shard.slots, shard.capacity, layout_.is_plain ? shard.capacity : 0};
    } else {
      free_block(shard.slots, shard.capacity);
    }
    shard = Shard();
  }
  if (layout_.is_plain) {
    sweep_next_ = spare_.size();
  }
}

void NamespaceShards::clear(Spare& spare, std::uint32_t slots_max) {
  if (layout_.is_plain) {
    spare.swept = spare.capacity;
    return;
  }
  const std::uint32_t end =
      spare.capacity - spare.swept > slots_max ? spare.swept + slots_max : spare.capacity;
  std::byte* entry = spare.slots + std::size_t{spare.swept} * layout_.stride;
  for (; spare.swept < end; ++spare.swept, entry += layout_.stride) {
    destroy_rest(entry);
  }
}

bool NamespaceShards::sweep(std::size_t slots_max) {
  while (sweep_next_ < spare_.size() && slots_max > 0) {
    Spare& spare = spare_[sweep_next_];
    const std::uint32_t before = spare.swept;
    clear(spare, static_cast<std::uint32_t>(std::min<std::size_t>(slots_max, spare.capacity)));
    slots_max -= std::min<std::size_t>(slots_max, std::size_t{1} + spare.swept - before);
    if (spare.swept == spare.capacity) {
      ++sweep_next_;
    }
  }
  return needs_sweep();
}

}  // namespace weir::state
