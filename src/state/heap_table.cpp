#include "state/heap_table.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <string>
#include <utility>

#include "base/planted_bug.h"
#include "state/run_appender.h"
#include "weir/check.h"

namespace weir::state {
namespace {

/// Pooled memory of a table may be twice that of the last dropped namespace, plus this.
constexpr std::size_t kPoolBytesFree = std::size_t{1} << 20;
constexpr std::size_t kPoolNamespacesMax = 64;
/// Slots that each call with garbage around cleans up.
constexpr std::size_t kGarbageSlots = 2048;
/// A slot that holds an entry costs as much as copying so many bytes.
constexpr std::size_t kBytesPerSlotCost = 64;
constexpr std::size_t kRunEntries = 256;
constexpr std::size_t kLoadedAtOnce = 1024;
/// Visiting one slot here and there costs as much as scanning so many.
constexpr std::size_t kSlotsPerVisit = 8;
/// They are visited in such groups, and asked for so far ahead.
constexpr std::size_t kVisitedAtOnce = 256;
constexpr std::size_t kSlotsAhead = 16;

}  // namespace

HeapTable::HeapTable(StateTableDescriptor descriptor, const Options& options)
    : descriptor_(std::move(descriptor)),
      layout_(EntryLayout::of(*descriptor_.key, *descriptor_.value)),
      key_groups_(options.max_parallelism, options.key_groups),
      limits_(options.limits),
      schema_(
          StateSchema::of(options.kind, descriptor_.name, *descriptor_.key, *descriptor_.value)),
      encoding_{layout_, schema_.key_size, schema_.value_size} {
  tombstones_.keeps_keys = options.is_incremental;
  const TypeOps& value = *descriptor_.value;
  if (value.is_trivially_copyable) {
    value_image_.resize(value.size + value.alignment);
    void* at = value_image_.data();
    std::size_t space = value_image_.size();
    value_image_at_ = static_cast<std::byte*>(std::align(value.alignment, value.size, at, space));
    if (descriptor_.initial_value != nullptr) {
      value.copy_construct(value_image_at_, descriptor_.initial_value.get());
    } else {
      value.default_construct(value_image_at_);
    }
  }
}

HeapTable::~HeapTable() {
  if (load_key_ != nullptr) {
    descriptor_.key->destroy(load_key_);
    ::operator delete(load_key_, std::align_val_t{descriptor_.key->alignment});
  }
}

// --- Namespaces --------------------------------------------------------------------------------

NamespaceShards*& HeapTable::recent(StateNamespace ns) {
  const std::uint64_t mixed = static_cast<std::uint64_t>(ns) * 0x9E3779B97F4A7C15ULL;
  return recent_[mixed >> 60];
}

NamespaceShards* HeapTable::find_namespace_slow(StateNamespace ns) {
  NamespaceShards*& cached = recent(ns);
  if (cached == nullptr || cached->ns != ns) {
    const auto found = namespaces_.find(ns);
    if (found == namespaces_.end()) {
      return nullptr;
    }
    cached = found->second.get();
  }
  last_ = cached;
  return last_;
}

NamespaceShards& HeapTable::add_namespace(StateNamespace ns) {
  std::unique_ptr<NamespaceShards> shards;
  if (pool_.empty() || pool_.back()->needs_sweep()) {
    // One that still holds old entries stays where it is cleaned up bit by bit.
    shards = std::make_unique<NamespaceShards>(layout_, tombstones_, key_groups_, limits_);
  } else {
    shards = std::move(pool_.back());
    pool_.pop_back();
    pool_bytes_ -= shards->spare_bytes();
  }
  shards->ns = ns;
  last_ = shards.get();
  recent(ns) = last_;
  namespaces_.emplace(ns, std::move(shards));
  return *last_;
}

void HeapTable::remove_namespace(NamespaceShards& shards) {
  const auto found = namespaces_.find(shards.ns);
  WEIR_CHECK(found != namespaces_.end());
  last_ = nullptr;
  ++rebuilds_;
  found_.count = 0;
  recent(shards.ns) = nullptr;
  if (tombstones_.keeps_keys && epoch_ > tombstones_.needed_above && !planted_bug("S4")) {
    dropped_since_.push_back({shards.ns, epoch_});
  }
  std::unique_ptr<NamespaceShards> owned = std::move(found->second);
  namespaces_.erase(found);
  if (owned->is_walked) {
    owned->is_dropped = true;
    dropped_.emplace(owned.get(), std::move(owned));
  } else {
    recycle(std::move(owned));
  }
}

void HeapTable::recycle(std::unique_ptr<NamespaceShards> shards) {
  shards->is_dropped = false;
  shards->retire();
  has_garbage_ = has_garbage_ || shards->needs_sweep();
  const std::size_t bytes = shards->spare_bytes();
  const bool fits = pool_.size() < kPoolNamespacesMax && pool_bytes_ <= kPoolBytesFree + bytes;
  if (fits || shards->needs_sweep()) {
    pool_bytes_ += bytes;
    pool_.push_back(std::move(shards));
  }
}

void HeapTable::collect_garbage() {
  const auto dirty = std::find_if(pool_.begin(), pool_.end(),
                                  [](const auto& each) { return each->needs_sweep(); });
  if (dirty != pool_.end() && !(*dirty)->sweep(kGarbageSlots)) {
    // Clean ones are taken from the end. What was kept only to be cleaned up goes now.
    std::rotate(dirty, dirty + 1, pool_.end());
    if (pool_.size() > kPoolNamespacesMax) {
      pool_bytes_ -= pool_.back()->spare_bytes();
      pool_.pop_back();
    }
  }
  has_garbage_ =
      std::any_of(pool_.begin(), pool_.end(), [](const auto& each) { return each->needs_sweep(); });
}

void HeapTable::drop_namespace(StateNamespace ns) {
  if (NamespaceShards* shards = find_namespace(ns)) {
    remove_namespace(*shards);
  }
}

std::vector<StateNamespace> HeapTable::namespaces() const {
  std::vector<StateNamespace> result;
  result.reserve(namespaces_.size());
  for (const auto& [ns, shards] : namespaces_) {
    if (shards->live() != 0) {
      result.push_back(ns);
    }
  }
  return result;
}

std::size_t HeapTable::size(StateNamespace ns) const {
  const auto found = namespaces_.find(ns);
  return found == namespaces_.end() ? 0 : static_cast<std::size_t>(found->second->live());
}

std::size_t HeapTable::memory_bytes() const {
  std::size_t total = pool_bytes_;
  for (const auto& [ns, shards] : namespaces_) {
    total += shards->memory_bytes();
  }
  for (const auto& [address, shards] : dropped_) {
    total += shards->memory_bytes();
  }
  return total;
}

std::uint64_t HeapTable::entry_count() const {
  std::uint64_t total = 0;
  for (const auto& [ns, shards] : namespaces_) {
    total += shards->live();
  }
  return total;
}

void HeapTable::for_each(StateNamespace ns, const Visitor& visit) {
  for_each_run(ns, [&](std::size_t count, const void* const* keys, const std::uint32_t* hashes,
                       const void* const* values) {
    for (std::size_t i = 0; i < count; ++i) {
      visit(keys[i], hashes[i], values[i]);
    }
  });
}

void HeapTable::for_each_run(StateNamespace ns, const RunVisitor& visit) {
  ScanPosition position;
  scan(ns, position, std::numeric_limits<std::size_t>::max(), visit);
}

bool HeapTable::scan(StateNamespace ns, ScanPosition& position, std::size_t entries_max,
                     const RunVisitor& visit) {
  NamespaceShards* shards = find_namespace(ns);
  if (shards == nullptr) {
    return false;
  }
  const void* keys[kRunEntries];
  const void* values[kRunEntries];
  std::uint32_t hashes[kRunEntries];
  std::size_t count = 0;
  const std::size_t stride = layout_.stride;
  for (; position.part < shards->count(); ++position.part, position.entry = 0) {
    const Shard& shard = (*shards)[position.part];
    const std::uint32_t end = shard.live == 0 ? 0 : shard.capacity;
    const std::byte* entry = shard.slots + position.entry * stride;
    for (; position.entry < end; ++position.entry, entry += stride) {
      if (!is_live_tag(tag_of(entry))) {
        continue;
      }
      if (count == kRunEntries) {
        visit(count, keys, hashes, values);
        entries_max -= std::min(entries_max, count);
        count = 0;
        if (entries_max == 0) {
          return true;
        }
      }
      keys[count] = entry + layout_.key_offset;
      values[count] = entry + layout_.value_offset;
      hashes[count] = hash_of(entry);
      ++count;
    }
  }
  if (count != 0) {
    visit(count, keys, hashes, values);
  }
  return false;
}

// --- Entries -----------------------------------------------------------------------------------

void HeapTable::construct(std::byte* slot, const void* key) {
  const TypeOps& key_ops = *layout_.key;
  const TypeOps& value_ops = *layout_.value;
  if (key_ops.is_trivially_copyable) {
    std::memcpy(slot + layout_.key_offset, key, key_ops.size);
  } else {
    key_ops.copy_construct(slot + layout_.key_offset, key);
  }
  if (value_ops.is_trivially_copyable) {
    init_value(slot + layout_.value_offset);
    return;
  }
  try {
    if (descriptor_.initial_value != nullptr) {
      value_ops.copy_construct(slot + layout_.value_offset, descriptor_.initial_value.get());
    } else {
      value_ops.default_construct(slot + layout_.value_offset);
    }
  } catch (...) {
    key_ops.destroy(slot + layout_.key_offset);
    throw;
  }
}

std::byte* HeapTable::insert(NamespaceShards& shards, Shard* shard, std::byte* slot,
                             const void* key, std::uint32_t hash) {
  const bool is_reused = tag_of(slot) != kEmptyTag;
  if (!is_reused && shard->used >= shard->grow_at) [[unlikely]] {
    // With one shard for all key groups, this is where a key of another subtask would show.
    const std::uint32_t group = key_groups_.of(hash);
    WEIR_CHECK_MESSAGE(group < key_groups_.count(), "a key of another subtask's key group");
    rebuild(shards, *shard);
    shard = &shards.shard_of(group);
    if (shard->used >= shard->grow_at) {
      // The only shard was split, and this key group had no entry yet or is full already.
      rebuild(shards, *shard);
    }
    slot = first_empty_slot(*shard, hash, layout_);
  } else {
    WEIR_CHECK_MESSAGE(key_groups_.of(hash) < key_groups_.count(),
                       "a key of another subtask's key group");
  }
  if (is_reused && tombstones_.keeps_keys) {
    if (shard->walked != Shard::kNotWalked) {
      copy_before_write(shards, *shard, slot);
    }
    layout_.destroy_key(slot);
  }
  construct(slot, key);
  hash_of(slot) = hash;
  tag_of(slot) = epoch_;
  note_write(shards, *shard, slot);
  shard->used += is_reused ? 0 : 1;
  ++shard->live;
  return slot;
}

void HeapTable::rebuild(NamespaceShards& shards, Shard& shard) {
  if (shard.walked != Shard::kNotWalked) {
    const auto index = static_cast<std::uint32_t>(&shard - &shards[0]);
    while (shard.walked != Shard::kNotWalked) {
      walk_shard(shards, index, shard.capacity);
    }
  }
  const auto begin = reinterpret_cast<std::uintptr_t>(shard.slots);
  const MovedSlots moved{begin, begin + shard.memory_bytes(layout_)};
  shards.make_room(shard, epoch_);
  ++rebuilds_;
  found_.count = planted_bug("S11") ? found_.count : 0;
  if (moved.begin != moved.end) {
    moved_ = moved;
  }
}

void HeapTable::erase_entry(NamespaceShards& shards, Shard& shard, std::byte* entry) {
  mark(shards, shard, entry);
  found_.count = planted_bug("S10") ? found_.count : 0;
  layout_.destroy_value(entry);
  if (!tombstones_.keeps_keys) {
    layout_.destroy_key(entry);
  }
  erase_slot(shard, entry, epoch_, layout_, tombstones_);
  // Namespaces come and go; the one of states that have none stays.
  if (shard.live == 0 && shards.ns != kNoNamespace && shards.live() == 0) {
    remove_namespace(shards);
  }
}

namespace {

bool decode_item(const TypeOps& ops, std::string_view bytes, void* to) {
  if (ops.encodes_raw) {
    std::memcpy(to, bytes.data(), ops.size);
    return true;
  }
  Decoder in(bytes);
  ops.decode(in, to);
  return in.exhausted();
}

}  // namespace

Status HeapTable::decode_key(std::string_view bytes) {
  const TypeOps& key_ops = *layout_.key;
  if (load_key_ == nullptr) {
    void* memory = ::operator new(key_ops.size, std::align_val_t{key_ops.alignment});
    key_ops.default_construct(memory);
    load_key_ = memory;
  }
  if (!decode_item(key_ops, bytes, load_key_)) {
    return Error{ErrorCode::kCorruption, "state '" + descriptor_.name + "': malformed key"};
  }
  return {};
}

Error HeapTable::twice_there() const {
  return {ErrorCode::kCorruption, "state '" + descriptor_.name + "': a key is there twice"};
}

Status HeapTable::load(StateNamespace ns, const EncodedEntry& entry, bool may_replace) {
  WEIR_TRY(decode_key(entry.key));
  bool is_new = false;
  void* value = load_entry(ns, load_key_, entry.hash, is_new);
  if (!is_new && !may_replace) {
    return twice_there();
  }
  if (!decode_item(*layout_.value, entry.value, value)) {
    return Error{ErrorCode::kCorruption, "state '" + descriptor_.name + "': malformed value"};
  }
  return {};
}

Status HeapTable::load_fixed(StateNamespace ns, std::string_view entries, bool may_replace) {
  if (!takes_keys_anywhere()) {
    return RestoreTarget::load_fixed(ns, entries, may_replace);
  }
  std::uint32_t hashes[kLoadedAtOnce];
  void* values[kLoadedAtOnce];
  const std::size_t value_at = sizeof(std::uint32_t) + schema_.key_size;
  const std::size_t entry_bytes = value_at + schema_.value_size;
  const char* at = entries.data();
  for (std::size_t left = entries.size() / entry_bytes; left != 0;) {
    const std::size_t count = std::min(left, kLoadedAtOnce);
    for (std::size_t i = 0; i < count; ++i) {
      std::memcpy(&hashes[i], at + i * entry_bytes, sizeof(hashes[i]));
    }
    NamespaceShards& shards = acquire_namespace(ns);
    const std::uint64_t before = shards.live();
    const auto* keys = reinterpret_cast<const std::byte*>(at + sizeof(std::uint32_t));
    upsert(ns, {keys, entry_bytes, hashes, count}, values);
    if (!may_replace && shards.live() - before != count) {
      return twice_there();
    }
    for (std::size_t i = 0; i < count; ++i) {
      copy_value(values[i], at + i * entry_bytes + value_at);
    }
    at += count * entry_bytes;
    left -= count;
  }
  return {};
}

Status HeapTable::load_erased(StateNamespace ns, const EncodedEntry& entry) {
  WEIR_TRY(decode_key(entry.key));
  erase(ns, load_key_, entry.hash);
  return {};
}

void HeapTable::load_dropped(StateNamespace ns, KeyGroupRange key_groups) {
  NamespaceShards* shards = find_namespace(ns);
  if (shards == nullptr) {
    return;
  }
  const auto first = static_cast<int>(key_groups_.first());
  const int last = first + static_cast<int>(key_groups_.count()) - 1;
  if (key_groups.first <= first && last <= key_groups.last) {
    remove_namespace(*shards);
    return;
  }
  for (std::uint32_t i = 0; i < shards->count(); ++i) {
    Shard& shard = (*shards)[i];
    std::byte* entry = shard.slots;
    for (std::uint32_t slot = 0; slot < shard.capacity; ++slot, entry += layout_.stride) {
      const int group = first + static_cast<int>(key_groups_.of(hash_of(entry)));
      if (!is_live_tag(tag_of(entry)) || !key_groups.contains(group)) {
        continue;
      }
      const bool is_last = shards->live() == 1;
      erase_entry(*shards, shard, entry);
      if (is_last) {
        return;  // and the namespace is gone, if it is one that goes
      }
    }
  }
}

// --- Snapshots ---------------------------------------------------------------------------------

void HeapTable::start_snapshot(SnapshotWriter& writer, std::uint32_t epoch,
                               std::vector<WalkPosition>& walk, std::uint32_t since,
                               KeyGroupRange whole) {
  WEIR_CHECK(writer_ == nullptr && dropped_.empty());
  WEIR_CHECK(since == 0 || (tombstones_.keeps_keys && since >= tombstones_.needed_above));
  found_.count = planted_bug("S12") ? found_.count : 0;
  writer_ = &writer;
  state_number_ = writer.add_state(schema_, entry_count());
  epoch_ = epoch;
  since_ = since;
  whole_count_ = static_cast<std::uint32_t>(whole.size());
  if (since != 0 && whole_count_ > 1 && planted_bug("S5")) {
    --whole_count_;
  }
  whole_first_ =
      whole_count_ == 0 ? 0 : static_cast<std::uint32_t>(whole.first) - key_groups_.first();
  if (since != 0) {
    for (const Dropped& dropped : dropped_since_) {
      if (dropped.epoch > since) {
        writer.add_dropped(state_number_, dropped.ns);
      }
    }
  }
  for (const auto& [ns, shards] : namespaces_) {
    bool has_entries = false;
    for (std::uint32_t i = 0; i < shards->count(); ++i) {
      Shard& shard = (*shards)[i];
      if ((since == 0 ? shard.live : shard.used) != 0) {
        shard.walked = 0;
        has_entries = true;
      }
    }
    if (has_entries) {
      shards->is_walked = true;
      walk.push_back({this, shards.get(), 0});
    }
  }
}

void HeapTable::set_needed_above(std::uint32_t epoch) {
  tombstones_.needed_above = epoch;
  std::erase_if(dropped_since_, [&](const Dropped& dropped) { return dropped.epoch <= epoch; });
}

std::size_t HeapTable::append(SnapshotWriter::Stream stream, const RunHeader& run,
                              const std::byte* entry) {
  return is_live_tag(tag_of(entry)) ? writer_->append(stream, run, encoding_, entry)
                                    : writer_->append_erased(stream, run, encoding_, entry);
}

void HeapTable::copy_before_write(NamespaceShards& shards, Shard& shard, const std::byte* entry) {
  const auto slot =
      static_cast<std::uint32_t>(static_cast<std::size_t>(entry - shard.slots) / layout_.stride);
  if (slot < shard.walked || planted_bug("S1")) {
    return;
  }
  const auto index = static_cast<std::uint32_t>(&shard - &shards[0]);
  const bool in_whole = is_whole(whole_in(shards, index), entry);
  if (is_wanted(tag_of(entry), in_whole)) {
    const std::size_t bytes = append(
        SnapshotWriter::Stream::kBeforeWrite,
        RunHeader{.state = state_number_, .key_group = kMixedGroups, .ns = shards.ns}, entry);
    writer_->add_whole_bytes(in_whole ? bytes : 0);
  }
}

std::size_t HeapTable::walk(WalkPosition& position, std::size_t slots_max) {
  std::size_t spent = 0;
  NamespaceShards& shards = *position.shards;
  while (position.shard < shards.count() && spent < slots_max) {
    Shard& shard = shards[position.shard];
    if (shard.walked != Shard::kNotWalked) {
      spent += walk_shard(shards, position.shard, slots_max - spent);
    }
    if (shard.walked == Shard::kNotWalked) {
      ++position.shard;
      ++spent;
    }
  }
  return spent;
}

std::size_t HeapTable::walk_shard(NamespaceShards& shards, std::uint32_t index,
                                  std::size_t slots_max) {
  Shard& shard = shards[index];
  const RunHeader run{.state = state_number_,
                      .key_group = shards.is_split() ? key_groups_.first() + index : kMixedGroups,
                      .ns = shards.ns};
  const std::uint32_t begin = shard.walked;
  const std::size_t stride = layout_.stride;
  const Whole whole = whole_in(shards, index);
  WrittenSlots* const written = whole == Whole::kNone ? shards.written_in(index) : nullptr;
  if (written != nullptr && begin == 0 && !written->is_walking() && written->covers(since_)) {
    written->begin_walk(since_, epoch_);
  }
  if (written != nullptr && written->is_walking()) {
    return walk_written(shard, *written, run, slots_max);
  }
  std::size_t whole_bytes = 0;
  std::size_t spent = 0;
  std::uint32_t slot = begin;
  RunAppender to(*writer_, run, encoding_);
  if (to.takes_images() && whole != Whole::kSome) {
    return walk_images(shard, whole, to, slots_max);
  }
  const std::byte* entry = shard.slots + slot * stride;
  for (; slot < shard.capacity && spent < slots_max; ++slot, entry += stride) {
    ++spent;
    const std::uint32_t tag = tag_of(entry);
    if (tag == kEmptyTag) {
      continue;
    }
    const bool in_whole = is_whole(whole, entry);
    if (is_wanted(tag, in_whole)) {
      const std::size_t bytes = to.append(entry, is_live_tag(tag));
      whole_bytes += in_whole ? bytes : 0;
      spent += bytes / kBytesPerSlotCost;
    }
  }
  writer_->add_whole_bytes(whole_bytes);
  shard.walked = slot == shard.capacity ? Shard::kNotWalked : slot;
  return spent;
}

std::size_t HeapTable::walk_images(Shard& shard, Whole whole, RunAppender& to,
                                   std::size_t slots_max) {
  const std::size_t stride = layout_.stride;
  const bool in_whole = whole == Whole::kAll;
  const std::uint32_t first = in_whole ? kRestoredEpoch : since_ + 1;
  std::size_t spent = 0;
  while (shard.walked < shard.capacity && spent < slots_max) {
    const std::byte* const slots = shard.slots + shard.walked * stride;
    const std::size_t count =
        std::min({std::size_t{shard.capacity - shard.walked}, slots_max - spent, kRunEntries});
    std::uint32_t tags = 0;
    std::size_t bytes =
        to.append_written(slots, count, stride, first, epoch_, tags) * to.image_bytes();
    if (since_ != 0 && (tags & kErasedBit) != 0) {
      for (std::size_t i = 0; i < count; ++i) {
        const std::byte* const entry = slots + i * stride;
        if (!is_live_tag(tag_of(entry)) && is_wanted(tag_of(entry), false)) {
          bytes += to.append(entry, false);
        }
      }
    }
    writer_->add_whole_bytes(in_whole ? bytes : 0);
    shard.walked += static_cast<std::uint32_t>(count);
    spent += count + bytes / kBytesPerSlotCost;
  }
  shard.walked = shard.walked == shard.capacity ? Shard::kNotWalked : shard.walked;
  return spent;
}

std::size_t HeapTable::walk_written(Shard& shard, WrittenSlots& written, const RunHeader& run,
                                    std::size_t slots_max) {
  const std::size_t stride = layout_.stride;
  std::size_t spent = 0;
  RunAppender to(*writer_, run, encoding_);
  while (spent < slots_max) {
    std::uint32_t slots[kVisitedAtOnce];
    const std::size_t count = written.take(slots, kVisitedAtOnce);
    if (count == 0) {
      written.end_walk();
      shard.walked = Shard::kNotWalked;
      return spent;
    }
    for (std::size_t i = 0; i < std::min(count, kSlotsAhead); ++i) {
      __builtin_prefetch(shard.slots + slots[i] * stride);
    }
    for (std::size_t i = 0; i < count; ++i) {
      if (i + kSlotsAhead < count) {
        __builtin_prefetch(shard.slots + slots[i + kSlotsAhead] * stride);
      }
      const std::byte* const entry = shard.slots + slots[i] * stride;
      if (planted_bug("S14") && shard.walked == 0 && i == 0) {
        continue;
      }
      if (const std::uint32_t tag = tag_of(entry); tag != kEmptyTag && is_wanted(tag, false)) {
        spent += to.append(entry, is_live_tag(tag)) / kBytesPerSlotCost;
      }
    }
    shard.walked = slots[count - 1] + 1;
    spent += count * kSlotsPerVisit;
  }
  return spent;
}

void HeapTable::release(NamespaceShards& shards) {
  for (std::uint32_t i = 0; i < shards.count(); ++i) {
    shards[i].walked = Shard::kNotWalked;
    if (WrittenSlots* written = shards.written_in(i)) {
      written->end_walk();
    }
  }
  shards.is_walked = false;
  if (!shards.is_dropped) {
    return;
  }
  const auto found = dropped_.find(&shards);
  WEIR_CHECK(found != dropped_.end());
  std::unique_ptr<NamespaceShards> owned = std::move(found->second);
  dropped_.erase(found);
  recycle(std::move(owned));
}

}  // namespace weir::state
