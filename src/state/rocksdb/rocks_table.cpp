#include "state/rocksdb/rocks_table.h"

#include <algorithm>
#include <utility>

#include "base/planted_bug.h"
#include "state/rocksdb/rocks_key.h"
#include "state/rocksdb/rocks_map_layout.h"
#include "state/rocksdb/scratch_value.h"
#include "weir/check.h"
#include "weir/codec.h"

namespace weir::state {
namespace {

/// Creates that come with so few entries are not worth a look at several keys at once.
constexpr std::size_t kMultiGetMin = 4;

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

void RocksTable::encode_value(Node& node, std::string& out) {
  Encoder encoder(out);
  encoder.raw(node.hash);
  if (descriptor_.value->encodes_raw) {
    encoder.bytes(cache_.value_of(node), descriptor_.value->size);
  } else {
    descriptor_.value->encode(cache_.value_of(node), encoder);
  }
  if (out.size() > kItemBytesMax) {
    owner_.fail(Error{ErrorCode::kUser, "a value of type " + std::string(descriptor_.value->name) +
                                            " takes " + std::to_string(out.size()) +
                                            " bytes, more than " + std::to_string(kItemBytesMax)});
  }
}

void RocksTable::make_value(void* to) const {
  if (descriptor_.initial_value != nullptr) {
    descriptor_.value->copy_construct(to, descriptor_.initial_value.get());
  } else {
    descriptor_.value->default_construct(to);
  }
}

// --- Look-up -----------------------------------------------------------------------------------

/// `stored`: what RocksDB has, hash first; empty when it has nothing.
std::uint32_t RocksTable::install(Space& space, const void* key, std::uint32_t hash,
                                  std::uint32_t tag, std::string_view stored,
                                  std::size_t key_bytes) {
  const std::uint32_t id = cache_.insert(space, hash, tag, key);
  Node& node = cache_.node(id);
  std::size_t more_bytes = descriptor_.key->is_trivially_copyable ? 0 : key_bytes;
  if (!stored.empty()) {
    void* value = cache_.value_of(node);
    descriptor_.value->default_construct(value);
    cache_.set_live(node);
    if (stored.size() < kRocksValuePrefix || hash_of_rocks_value(stored) != hash ||
        !decode_into(*descriptor_.value, stored.substr(kRocksValuePrefix), value)) {
      owner_.fail(Error{ErrorCode::kCorruption,
                        "state '" + descriptor_.name + "': a value in RocksDB does not decode"});
    }
    node.is_below = true;
    more_bytes += descriptor_.value->is_trivially_copyable ? 0 : stored.size();
  }
  cache_.set_more_bytes(node, more_bytes);
  return id;
}

std::uint32_t RocksTable::look_up(Space& space, const void* key, std::uint32_t hash) {
  const std::uint32_t tag = tag_of(space, hash, key);
  const std::uint32_t id = cache_.find(space.id, hash, tag, key);
  if (id != ValueCache::kNone || is_complete(space)) {
    return id;
  }
  scratch_key_.clear();
  encode_key(space.ns, hash, key, scratch_key_);
  rocksdb::PinnableSlice stored;
  const rocksdb::Status status =
      store_.db().Get(rocksdb::ReadOptions(), family_of(key_group_of(hash)).handle,
                      slice_of(scratch_key_), &stored);
  if (!status.ok() && !status.IsNotFound()) {
    owner_.fail(store_.error(status, "reading state '" + descriptor_.name + "' from"));
  }
  return install(space, key, hash, tag, status.ok() ? view_of(stored) : std::string_view(),
                 scratch_key_.size());
}

/// Reads the keys numbered in missing_, all at once: sorted, so that neighbours share a block.
void RocksTable::load_missing(Space& space, const KeyColumn& column) {
  struct Wanted {
    std::uint32_t number;
    std::size_t at;
    std::size_t bytes;
  };
  std::vector<Wanted> wanted;
  wanted.reserve(missing_.size());
  std::string keys;
  for (const std::uint32_t i : missing_) {
    const std::size_t at = keys.size();
    encode_key(space.ns, column.hashes[i], column.data + i * column.stride, keys);
    wanted.push_back({i, at, keys.size() - at});
  }
  const auto key_of = [&](const Wanted& one) {
    return std::string_view(keys).substr(one.at, one.bytes);
  };
  std::sort(wanted.begin(), wanted.end(),
            [&](const Wanted& a, const Wanted& b) { return key_of(a) < key_of(b); });
  wanted.erase(
      std::unique(wanted.begin(), wanted.end(),
                  [&](const Wanted& a, const Wanted& b) { return key_of(a) == key_of(b); }),
      wanted.end());
  std::vector<rocksdb::Slice> slices;
  std::vector<rocksdb::PinnableSlice> values(wanted.size());
  std::vector<rocksdb::Status> statuses(wanted.size());
  slices.reserve(wanted.size());
  for (const Wanted& one : wanted) {
    slices.push_back(slice_of(key_of(one)));
  }
  for (std::size_t begin = 0; begin < wanted.size();) {
    RocksStore::Family& family = family_of(key_group_of(column.hashes[wanted[begin].number]));
    std::size_t end = begin + 1;
    while (end < wanted.size() &&
           &family_of(key_group_of(column.hashes[wanted[end].number])) == &family) {
      ++end;
    }
    store_.db().MultiGet(rocksdb::ReadOptions(), family.handle, end - begin, slices.data() + begin,
                         values.data() + begin, statuses.data() + begin, true);
    begin = end;
  }
  for (std::size_t n = 0; n < wanted.size(); ++n) {
    const std::uint32_t i = wanted[n].number;
    if (!statuses[n].ok() && !statuses[n].IsNotFound()) {
      owner_.fail(store_.error(statuses[n], "reading state '" + descriptor_.name + "' from"));
    }
    const std::byte* const key = column.data + i * column.stride;
    install(space, key, column.hashes[i], tag_of(space, column.hashes[i], key),
            statuses[n].ok() ? view_of(values[n]) : std::string_view(), wanted[n].bytes);
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
      cache_.node(at->second).is_noted = false;
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
      cache_.node(at->second).is_noted = false;
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
  owner_.before_create(*this, column.count);
  ++calls_;
  Space& space = acquire_space(ns);
  nodes_.resize(column.count);
  missing_.clear();
  for (std::size_t begin = 0; begin < column.count; begin += kBlockKeys) {
    const std::size_t end = std::min(begin + kBlockKeys, column.count);
    std::uint32_t tags[kBlockKeys];
    for (std::size_t i = begin; i < end; ++i) {
      tags[i - begin] = tag_of(space, column.hashes[i], column.data + i * column.stride);
      cache_.prefetch(tags[i - begin]);
    }
    for (std::size_t i = begin; i < end; ++i) {
      cache_.prefetch_node(cache_.candidate(tags[i - begin]));
    }
    for (std::size_t i = begin; i < end; ++i) {
      nodes_[i] =
          cache_.find(space.id, column.hashes[i], tags[i - begin], column.data + i * column.stride);
      if (nodes_[i] == ValueCache::kNone) {
        missing_.push_back(static_cast<std::uint32_t>(i));
      }
    }
  }
  if (missing_.size() >= kMultiGetMin && !is_complete(space)) {
    load_missing(space, column);
  }
  for (const std::uint32_t i : missing_) {
    const void* key = column.data + i * column.stride;
    nodes_[i] = look_up(space, key, column.hashes[i]);
    if (nodes_[i] == ValueCache::kNone) {
      nodes_[i] =
          install(space, key, column.hashes[i], tag_of(space, column.hashes[i], key), {}, 0);
    }
  }
  for (std::size_t i = 0; i < column.count; ++i) {
    values[i] = make_writable(space, nodes_[i], cache_.node(nodes_[i]));
  }
}

void* RocksTable::find_or_create(StateNamespace ns, const void* key, std::uint32_t hash) {
  owner_.before_create(*this, 1);
  ++calls_;
  Space& space = acquire_space(ns);
  std::uint32_t id = look_up(space, key, hash);
  if (id == ValueCache::kNone) {
    id = install(space, key, hash, tag_of(space, hash, key), {}, 0);
  }
  return make_writable(space, id, cache_.node(id));
}

void RocksTable::begin_reading() {
  ++calls_;
  // A table that is only read has to stay within its memory, too.
  if (calls_ % 256 == 0) {
    owner_.before_create(*this, 0);
  }
}

const void* RocksTable::find(StateNamespace ns, const void* key, std::uint32_t hash) {
  begin_reading();
  Space* space = space_of(ns);
  if (space == nullptr) {
    return nullptr;
  }
  const std::uint32_t id = look_up(*space, key, hash);
  if (id == ValueCache::kNone) {
    return nullptr;
  }
  Node& node = cache_.node(id);
  touch(node);
  return node.kind == Kind::kLive ? cache_.value_of(node) : nullptr;
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
  ++calls_;
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
  } else {
    cache_.remove(id);
  }
  return true;
}

void RocksTable::prefetch(StateNamespace ns, const KeyColumn& column) {
  const Space* space = space_of(ns);
  if (space == nullptr) {
    return;
  }
  for (std::size_t i = 0; i < column.count; ++i) {
    cache_.prefetch(tag_of(*space, column.hashes[i], column.data + i * column.stride));
  }
}

void RocksTable::drop_namespace(StateNamespace ns) {
  ++calls_;
  const auto found = spaces_.find(ns);
  if (found == spaces_.end()) {
    return;
  }
  Space& space = cache_.space(found->second);
  space.dropped_epoch = owner_.epochs().current;
  dropped_.push_back(space.id);
  spaces_.erase(found);
  last_ = nullptr;
}

// --- What goes down ----------------------------------------------------------------------------

RocksTablePart RocksTable::close_epoch(bool with_counts) {
  RocksTablePart part;
  part.table = this;
  part.epoch = owner_.epochs().current;
  part.nodes = std::exchange(dirty_, {});
  const bool is_all_encoded = owner_.epochs().encoded + 1 == part.epoch;
  for (const std::uint32_t id : std::exchange(dropped_, {})) {
    const Space& space = cache_.space(id);
    // An earlier run that is still to be encoded may bring something of it down.
    if (space.first_down != 0 || !is_all_encoded) {
      SortedRun::Dropped dropped{space.ns, {}};
      for (const GroupCounts::Count& count : space.groups.all()) {
        dropped.key_groups.push_back(count.key_group);
      }
      part.run.add_dropped(std::move(dropped));
    }
    garbage_.push_back(id);
  }
  if (with_counts) {
    for (const auto& [ns, id] : spaces_) {
      part.namespaces.push_back({ns, cache_.space(id).groups.all()});
    }
  }
  return part;
}

void RocksTable::encode_node(Node& node, RocksTablePart& part) {
  node.is_listed = false;
  Space& space = cache_.space(node.space);
  if (space.dropped_epoch != 0 && space.dropped_epoch <= part.epoch) {
    return;  // The run says that all of the namespace is gone.
  }
  if (node.kind == Kind::kAbsent && !node.is_below) {
    return;
  }
  scratch_key_.clear();
  encode_key(space.ns, node.hash, cache_.key_of(node), scratch_key_);
  if (node.kind == Kind::kAbsent) {
    part.run.add_erased(scratch_key_);
    return;
  }
  scratch_value_.clear();
  encode_value(node, scratch_value_);
  part.run.add(scratch_key_, scratch_value_);
  node.is_below = true;
  space.first_down = space.first_down == 0 ? part.epoch : space.first_down;
  const std::size_t more_bytes =
      (descriptor_.key->is_trivially_copyable ? 0 : scratch_key_.size()) +
      (descriptor_.value->is_trivially_copyable ? 0 : scratch_value_.size());
  cache_.set_more_bytes(node, more_bytes);
}

std::size_t RocksTable::encode(RocksTablePart& part, std::size_t entries_max) {
  const std::size_t end = std::min(part.nodes.size(), part.next + entries_max);
  const std::size_t begin = part.next;
  for (; part.next < end; ++part.next) {
    if (part.next + 8 < part.nodes.size()) {
      cache_.prefetch_node(part.nodes[part.next + 8]);
    }
    Node& node = cache_.node(part.nodes[part.next]);
    if (node.kind != Kind::kFree && node.is_listed && node.dirty_epoch == part.epoch) {
      encode_node(node, part);
    }
  }
  return end - begin;
}

void RocksTable::collect_garbage(std::size_t entries_max) {
  while (!garbage_.empty() && entries_max > 0) {
    Space& space = cache_.space(garbage_.back());
    if (space.dropped_epoch > owner_.epochs().encoded + 1 || space.scans != 0) {
      return;  // A run is still to be encoded in which its entries are.
    }
    for (; entries_max > 0 && space.head != ValueCache::kNone; --entries_max) {
      cache_.remove(space.head);
    }
    if (space.head == ValueCache::kNone) {
      const std::uint32_t id = space.id;
      garbage_.pop_back();
      cache_.free_space(id);
      entries_max -= entries_max == 0 ? 0 : 1;
    }
  }
}

void RocksTable::evict(std::size_t bytes, std::size_t steps_max, bool is_creating) {
  const std::uint32_t below = owner_.epochs().below.load(std::memory_order_acquire);
  const std::uint32_t limit = cache_.node_limit();
  const std::size_t wanted = cache_.bytes() > bytes ? cache_.bytes() - bytes : 0;
  // Twice around, because of those that were referenced.
  const std::size_t steps = std::min(steps_max, std::size_t{2} * limit);
  for (std::size_t step = 0; step < steps && cache_.bytes() > wanted; ++step) {
    hand_ = hand_ + 1 >= limit ? 0 : hand_ + 1;
    cache_.prefetch_node((hand_ + 16) % limit);
    Node& node = cache_.node(hand_);
    if (node.kind == Kind::kFree || node.is_listed ||
        (node.dirty_epoch > below && !planted_bug("S7")) ||
        (!is_creating && calls_ - node.last_call <= kCallsProtected) ||
        cache_.space(node.space).scans != 0) {
      continue;
    }
    if (node.is_referenced) {
      node.is_referenced = false;
      continue;
    }
    cache_.remove(hand_);
  }
}

// --- Restore -----------------------------------------------------------------------------------

Status RocksTable::load(StateNamespace ns, const EncodedEntry& entry, bool may_replace) {
  ScratchValue key(*descriptor_.key);
  if (!decode_into(*descriptor_.key, entry.key, key.get())) {
    return Error{ErrorCode::kCorruption, "state '" + descriptor_.name + "': malformed key"};
  }
  owner_.before_create(*this, 1);
  ++calls_;
  Space& space = acquire_space(ns);
  std::uint32_t id = look_up(space, key.get(), entry.hash);
  if (id != ValueCache::kNone && cache_.node(id).kind == Kind::kLive && !may_replace) {
    return Error{ErrorCode::kCorruption, "state '" + descriptor_.name + "': a key is there twice"};
  }
  if (id == ValueCache::kNone) {
    id = install(space, key.get(), entry.hash, tag_of(space, entry.hash, key.get()), {},
                 entry.key.size());
  }
  Node& node = cache_.node(id);
  if (!decode_into(*descriptor_.value, entry.value, make_writable(space, id, node))) {
    return Error{ErrorCode::kCorruption, "state '" + descriptor_.name + "': malformed value"};
  }
  if (!descriptor_.value->is_trivially_copyable) {
    cache_.set_more_bytes(node, entry.key.size() + entry.value.size());
  }
  return {};
}

Status RocksTable::load_erased(StateNamespace ns, const EncodedEntry& entry) {
  ScratchValue key(*descriptor_.key);
  if (!decode_into(*descriptor_.key, entry.key, key.get())) {
    return Error{ErrorCode::kCorruption, "state '" + descriptor_.name + "': malformed key"};
  }
  owner_.before_create(*this, 0);
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
