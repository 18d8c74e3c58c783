#include "state/rocksdb/rocks_table.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "state/rocksdb/rocks_key.h"
#include "state/rocksdb/rocks_map_layout.h"
#include "state/rocksdb/scratch_value.h"
#include "weir/check.h"
#include "weir/codec.h"

namespace weir::state {
namespace {

std::uint32_t mix_of_map_entry(const void* key) {
  return static_cast<const MapEntryKey*>(key)->mix;
}

}  // namespace

RocksTable::RocksTable(RocksTableOwner& owner, RocksStore& store, StateTableDescriptor descriptor,
                       const Options& options, std::vector<RocksStore::Family*> families,
                       const std::vector<RocksIndex::Namespace>& namespaces)
    : owner_(owner),
      store_(store),
      descriptor_(std::move(descriptor)),
      layout_(options.layout),
      schema_(options.schema),
      groups_(options.max_parallelism, options.key_groups),
      families_(std::move(families)),
      cache_(*descriptor_.key, *descriptor_.value,
             layout_ == RocksLayout::kMapEntries ? mix_of_map_entry : nullptr) {
  for (RocksStore::Family* family : families_) {
    for (int group = family->key_groups.first; group <= family->key_groups.last; ++group) {
      family_of_group_.push_back(family);
    }
  }
  WEIR_CHECK(family_of_group_.size() == groups_.count());
  for (const RocksIndex::Namespace& stored : namespaces) {
    Space& space = acquire_space(stored.ns);
    for (const GroupCounts::Count& count : stored.groups) {
      space.groups.add(count.key_group, static_cast<std::int64_t>(count.entries));
      space.size += count.entries;
    }
    space.first_down = 1;
  }
}

// --- Spaces, keys and values -------------------------------------------------------------------

RocksTable::Space* RocksTable::space_of(StateNamespace ns) {
  if (last_ != nullptr && last_->ns == ns) {
    return last_;
  }
  const auto found = spaces_.find(ns);
  if (found == spaces_.end()) {
    return nullptr;
  }
  return last_ = &cache_.space(found->second);
}

RocksTable::Space& RocksTable::acquire_space(StateNamespace ns) {
  if (Space* space = space_of(ns)) {
    return *space;
  }
  last_ = &cache_.add_space(ns);
  spaces_[ns] = last_->id;
  return *last_;
}

std::uint32_t RocksTable::key_group_of(std::uint32_t hash) const {
  const std::uint32_t index = groups_.of(hash);
  WEIR_CHECK_MESSAGE(index < groups_.count(), "a key of another subtask's key group");
  return groups_.first() + index;
}

void RocksTable::encode_key(StateNamespace ns, std::uint32_t hash, const void* key,
                            std::string& out) const {
  append_rocks_prefix(out, key_group_of(hash), ns);
  Encoder encoder(out);
  if (descriptor_.key->encodes_raw) {
    encoder.bytes(key, descriptor_.key->size);
  } else {
    descriptor_.key->encode(key, encoder);
  }
}

void RocksTable::make_value(void* to) const {
  if (descriptor_.initial_value != nullptr) {
    descriptor_.value->copy_construct(to, descriptor_.initial_value.get());
  } else {
    descriptor_.value->default_construct(to);
  }
}

// --- Writes ------------------------------------------------------------------------------------

void RocksTable::mark(std::uint32_t id, Node& node) {
  const std::uint32_t epoch = owner_.epochs().current;
  if (node.dirty_epoch == epoch) {
    return;
  }
  if (node.is_listed) {
    encode_node(node, owner_.part_of(*this, node.dirty_epoch));
  }
  if (node.kind == Kind::kAbsent &&
      node.dirty_epoch <= owner_.epochs().below.load(std::memory_order_relaxed)) {
    node.is_below = false;  // Where it was erased, it is gone by now.
  }
  if (layout_ == RocksLayout::kMapEntries) {
    note_changed(id, node);
  }
  node.dirty_epoch = epoch;
  node.is_listed = true;
  dirty_.push_back(id);
  owner_.on_dirty(cache_.node_bytes() + node.more_bytes);
}

void RocksTable::note_changed(std::uint32_t id, Node& node) {
  if (node.is_noted) {
    return;
  }
  if (changed_.size() >= changed_max_) {
    sweep_changed();
  }
  node.is_noted = true;
  changed_.emplace(node.hash, id);
}

void RocksTable::sweep_changed() {
  const std::uint32_t below = owner_.epochs().below.load(std::memory_order_acquire);
  for (auto at = changed_.begin(); at != changed_.end();) {
    if (is_changed(at->second, at->first, below)) {
      ++at;
    } else {
      forget_change(at->second);
      at = changed_.erase(at);
    }
  }
  changed_max_ = std::max(kChangedMin, 2 * changed_.size());
}

std::vector<std::uint32_t> RocksTable::changed_map_entries(const Space& space, std::uint32_t hash,
                                                           std::string_view key) {
  const std::uint32_t below = owner_.epochs().below.load(std::memory_order_acquire);
  std::vector<std::uint32_t> nodes;
  auto [at, end] = changed_.equal_range(hash);
  while (at != end) {
    if (!is_changed(at->second, hash, below)) {
      forget_change(at->second);
      at = changed_.erase(at);
      continue;
    }
    Node& node = cache_.node(at->second);
    if (node.space == space.id &&
        reinterpret_cast<const MapEntryKey*>(cache_.key_of(node))->is_of(key)) {
      nodes.push_back(at->second);
    }
    ++at;
  }
  // A node that was evicted and taken again is there more than once.
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  return nodes;
}

void* RocksTable::make_writable(Space& space, std::uint32_t id, Node& node) {
  mark(id, node);
  touch(node);
  if (!descriptor_.value->is_trivially_copyable) {
    written_.push_back(id);
  }
  void* value = cache_.value_of(node);
  if (node.kind == Kind::kAbsent) {
    make_value(value);
    cache_.set_live(node);
    ++space.size;
    space.groups.add(key_group_of(node.hash), 1);
  }
  return value;
}

void RocksTable::upsert(StateNamespace ns, const KeyColumn& column, void** values) {
  if (column.count == 0) {
    return;
  }
  begin_call(column.count, RocksTableOwner::CallKind::kChanges);
  Space& space = acquire_space(ns);
  find_cached(space, column);
  if (missing_.size() >= kMultiGetMin && !is_complete(space)) {
    load_missing(space, column, std::numeric_limits<std::size_t>::max());
  }
  for (const std::uint32_t i : missing_) {
    const void* key = column.data + i * column.stride;
    nodes_[i] = look_up(space, key, column.hashes[i]);
    if (nodes_[i] == ValueCache::kNone) {
      nodes_[i] = install(space, key, column.hashes[i], tag_of(space, column.hashes[i], key), {});
    }
  }
  for (std::size_t i = 0; i < column.count; ++i) {
    values[i] = make_writable(space, nodes_[i], cache_.node(nodes_[i]));
  }
}

void* RocksTable::find_or_create(StateNamespace ns, const void* key, std::uint32_t hash) {
  begin_call(1, RocksTableOwner::CallKind::kChanges);
  Space& space = acquire_space(ns);
  std::uint32_t id = look_up(space, key, hash);
  if (id == ValueCache::kNone) {
    id = install(space, key, hash, tag_of(space, hash, key), {});
  }
  return make_writable(space, id, cache_.node(id));
}

void* RocksTable::find_for_update(StateNamespace ns, const void* key, std::uint32_t hash) {
  begin_reading();
  Space* space = space_of(ns);
  if (space == nullptr) {
    return nullptr;
  }
  const std::uint32_t id = look_up(*space, key, hash);
  if (id == ValueCache::kNone || cache_.node(id).kind == Kind::kAbsent) {
    return nullptr;
  }
  return make_writable(*space, id, cache_.node(id));
}

bool RocksTable::erase(StateNamespace ns, const void* key, std::uint32_t hash) {
  begin_reading(RocksTableOwner::CallKind::kChanges);
  Space* space = space_of(ns);
  if (space == nullptr) {
    return false;
  }
  const std::uint32_t id = look_up(*space, key, hash);
  if (id == ValueCache::kNone || cache_.node(id).kind == Kind::kAbsent) {
    return false;
  }
  Node& node = cache_.node(id);
  mark(id, node);
  --space->size;
  space->groups.add(key_group_of(hash), -1);
  // What is noted as changed is not freed, lest it is noted once more when it comes back.
  if (node.is_below || layout_ == RocksLayout::kMapEntries) {
    cache_.destroy_value(node);
    cache_.set_more_bytes(node, bytes_elsewhere(node, 0));
  } else {
    cache_.remove(id);
  }
  return true;
}

void RocksTable::drop_namespace(StateNamespace ns) {
  const auto found = spaces_.find(ns);
  if (found == spaces_.end()) {
    return;
  }
  Space& space = cache_.space(found->second);
  space.dropped_epoch = owner_.epochs().current;
  dropped_.push_back(space.id);
  for (auto at = scans_.begin(); at != scans_.end();) {
    const auto scan = at++;
    if (is_of(*scan->second, space)) {
      forget_scan(scan);
    }
  }
  spaces_.erase(found);
  last_ = nullptr;
}

// --- Restore -----------------------------------------------------------------------------------

Status RocksTable::load(StateNamespace ns, const EncodedEntry& entry, bool may_replace) {
  ScratchValue key(*descriptor_.key);
  if (!decode_into(*descriptor_.key, entry.key, key.get())) {
    return Error{ErrorCode::kCorruption, "state '" + descriptor_.name + "': malformed key"};
  }
  begin_call(1, RocksTableOwner::CallKind::kChanges);
  Space& space = acquire_space(ns);
  std::uint32_t id = look_up(space, key.get(), entry.hash);
  if (id != ValueCache::kNone && cache_.node(id).kind == Kind::kLive && !may_replace) {
    return Error{ErrorCode::kCorruption, "state '" + descriptor_.name + "': a key is there twice"};
  }
  if (id == ValueCache::kNone) {
    id = install(space, key.get(), entry.hash, tag_of(space, entry.hash, key.get()), {});
  }
  Node& node = cache_.node(id);
  if (!decode_into(*descriptor_.value, entry.value, make_writable(space, id, node))) {
    return Error{ErrorCode::kCorruption, "state '" + descriptor_.name + "': malformed value"};
  }
  return {};
}

Status RocksTable::load_erased(StateNamespace ns, const EncodedEntry& entry) {
  ScratchValue key(*descriptor_.key);
  if (!decode_into(*descriptor_.key, entry.key, key.get())) {
    return Error{ErrorCode::kCorruption, "state '" + descriptor_.name + "': malformed key"};
  }
  erase(ns, key.get(), entry.hash);
  return {};
}

void RocksTable::load_dropped(StateNamespace ns, KeyGroupRange key_groups) {
  const auto first = static_cast<int>(groups_.first());
  const int last = first + static_cast<int>(groups_.count()) - 1;
  if (key_groups.first <= first && last <= key_groups.last) {
    drop_namespace(ns);
    return;
  }
  std::vector<std::unique_ptr<ScratchValue>> keys;
  std::vector<std::uint32_t> hashes;
  for_each(ns, [&](const void* key, std::uint32_t hash, const void* /*value*/) {
    if (key_groups.contains(static_cast<int>(key_group_of(hash)))) {
      std::string bytes;
      Encoder out(bytes);
      descriptor_.key->encode(key, out);
      keys.push_back(std::make_unique<ScratchValue>(*descriptor_.key));
      WEIR_CHECK(decode_into(*descriptor_.key, bytes, keys.back()->get()));
      hashes.push_back(hash);
    }
  });
  for (std::size_t i = 0; i < keys.size(); ++i) {
    erase(ns, keys[i]->get(), hashes[i]);
  }
}

std::uint64_t RocksTable::entry_count() const {
  std::uint64_t total = 0;
  for (const auto& [ns, id] : spaces_) {
    total += cache_.space(id).size;
  }
  return total;
}

std::vector<StateNamespace> RocksTable::namespaces() const {
  std::vector<StateNamespace> result;
  for (const auto& [ns, id] : spaces_) {
    if (cache_.space(id).size != 0) {
      result.push_back(ns);
    }
  }
  return result;
}

std::size_t RocksTable::size(StateNamespace ns) const {
  const auto found = spaces_.find(ns);
  return found == spaces_.end() ? 0 : cache_.space(found->second).size;
}

}  // namespace weir::state
