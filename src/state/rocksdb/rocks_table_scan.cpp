#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include <rocksdb/iterator.h>

#include "state/rocksdb/rocks_key.h"
#include "state/rocksdb/rocks_map_layout.h"
#include "state/rocksdb/rocks_table.h"
#include "state/rocksdb/scratch_value.h"
#include "weir/check.h"

namespace weir::state {
namespace {

constexpr std::size_t kEntriesPerRun = 256;
/// Scans that nobody finished are forgotten when there are more.
constexpr std::size_t kScansMax = 64;

/// The first key that does not begin with `prefix`, which does not consist of 0xff alone.
std::string end_of_prefix(std::string prefix) {
  while (prefix.back() == '\xff') {
    prefix.pop_back();
  }
  ++prefix.back();
  return prefix;
}

}  // namespace

/// A walk over one namespace: first what RocksDB has, in its order and with what the cache knows
/// better, then what only the cache had when the walk began.
///
/// Between the portions of a scan nodes may be evicted and files replaced. So it remembers keys,
/// not nodes, and reads what RocksDB has by now. Only where RocksDB has nothing of the namespace,
/// as of a new window, the nodes are remembered and stay: there is nothing to be evicted, at first.
struct RocksTable::Scan {
  struct Key {
    std::size_t at;
    std::uint32_t bytes;
    std::uint32_t hash;
  };
  std::uint32_t space = 0;
  StateNamespace ns = 0;
  bool is_by_keys = false;
  bool holds_nodes = false;
  std::uint32_t below = 0;            ///< RocksDB has these epochs, as far as the walk sees
  std::vector<std::uint32_t> groups;  ///< to be read from RocksDB
  std::size_t next_group = 0;
  bool is_in_group = false;
  std::string resume_at;  ///< the next key of the group
  std::map<RocksStore::Family*, std::unique_ptr<rocksdb::Iterator>> iterators;
  // What only the cache had: keys, sorted, or nodes.
  std::string key_bytes;
  std::vector<Key> keys;
  std::vector<std::uint32_t> nodes;
  std::size_t next_cached = 0;

  std::string_view bytes_of(const Key& key) const {
    return std::string_view(key_bytes).substr(key.at, key.bytes);
  }
  bool has_key(std::string_view key) const {
    const auto at =
        std::lower_bound(keys.begin(), keys.end(), key,
                         [this](const Key& one, std::string_view k) { return bytes_of(one) < k; });
    return at != keys.end() && bytes_of(*at) == key;
  }
  std::size_t memory_bytes() const { return key_bytes.capacity() + keys.capacity() * sizeof(Key); }
};

/// Collects entries and hands them over as runs. Those that are not in the cache are decoded into
/// memory of its own.
class RocksTable::RunBuffer {
 public:
  RunBuffer(const StateTableDescriptor& descriptor, const RunVisitor& visit)
      : descriptor_(descriptor), visit_(visit) {}

  void add(const void* key, std::uint32_t hash, const void* value) {
    keys_[count_] = key;
    hashes_[count_] = hash;
    values_[count_] = value;
    ++visited_;
    if (++count_ == kEntriesPerRun) {
      flush();
    }
  }
  /// Makes scratch_key() and scratch_value(), which stay as they are until the run is handed over.
  void reserve() {
    while (scratch_keys_.size() <= count_) {
      scratch_keys_.push_back(std::make_unique<ScratchValue>(*descriptor_.key));
      scratch_values_.push_back(std::make_unique<ScratchValue>(*descriptor_.value));
    }
  }
  void* scratch_key() { return scratch_keys_[count_]->get(); }
  void* scratch_value() { return scratch_values_[count_]->get(); }
  void flush() {
    if (count_ != 0) {
      visit_(std::exchange(count_, 0), keys_, hashes_, values_);
    }
  }
  std::size_t visited() const { return visited_; }

 private:
  const StateTableDescriptor& descriptor_;
  const RunVisitor& visit_;
  std::size_t count_ = 0;
  std::size_t visited_ = 0;
  const void* keys_[kEntriesPerRun];
  std::uint32_t hashes_[kEntriesPerRun];
  const void* values_[kEntriesPerRun];
  std::vector<std::unique_ptr<ScratchValue>> scratch_keys_;
  std::vector<std::unique_ptr<ScratchValue>> scratch_values_;
};

RocksTable::~RocksTable() = default;

std::shared_ptr<RocksTable::Scan> RocksTable::start_scan(Space& space, bool is_in_portions) {
  auto scan = std::make_shared<Scan>();
  scan->space = space.id;
  scan->ns = space.ns;
  const bool is_all_cached = is_complete(space);
  scan->is_by_keys = is_in_portions && !is_all_cached;
  scan->holds_nodes = is_in_portions && is_all_cached;
  space.scans += scan->holds_nodes ? 1 : 0;
  scan->below = owner_.epochs().below.load(std::memory_order_acquire);
  for (std::uint32_t id = space.head; id != ValueCache::kNone; id = cache_.node(id).next) {
    Node& node = cache_.node(id);
    const bool is_below = node.dirty_epoch <= scan->below && !is_all_cached;
    if (is_below || node.kind != Kind::kLive) {
      continue;
    }
    if (!scan->is_by_keys) {
      scan->nodes.push_back(id);
      continue;
    }
    const std::size_t at = scan->key_bytes.size();
    encode_key(space.ns, node.hash, cache_.key_of(node), scan->key_bytes);
    scan->keys.push_back({at, static_cast<std::uint32_t>(scan->key_bytes.size() - at), node.hash});
  }
  std::sort(scan->keys.begin(), scan->keys.end(), [&](const Scan::Key& a, const Scan::Key& b) {
    return scan->bytes_of(a) < scan->bytes_of(b);
  });
  if (!is_all_cached) {
    for (const GroupCounts::Count& count : space.groups.all()) {
      scan->groups.push_back(count.key_group);
    }
  }
  return scan;
}

bool RocksTable::is_of(const Scan& scan, const Space& space) { return scan.space == space.id; }

void RocksTable::forget_scan(std::map<std::uint32_t, std::shared_ptr<Scan>>::iterator at) {
  Scan& scan = *at->second;
  scan_bytes_ -= scan.memory_bytes();
  cache_.space(scan.space).scans -= scan.holds_nodes ? 1 : 0;
  scans_.erase(at);
}

/// What RocksDB has and is not to come later. True when there is more of it.
bool RocksTable::visit_below(Scan& scan, std::size_t entries_max, RunBuffer& buffer) {
  std::string prefix;
  for (; scan.next_group < scan.groups.size(); ++scan.next_group) {
    const std::uint32_t group = scan.groups[scan.next_group];
    RocksStore::Family& family = family_of(group);
    prefix.clear();
    append_rocks_prefix(prefix, group, scan.ns);
    auto& iterator = scan.iterators[&family];
    const bool is_new = iterator == nullptr;
    if (is_new) {
      rocksdb::ReadOptions options;
      options.fill_cache = false;
      iterator.reset(store_.db().NewIterator(options, family.handle));
    }
    rocksdb::Iterator& at = *iterator;
    if (!std::exchange(scan.is_in_group, true)) {
      at.Seek(prefix);
    } else if (is_new) {
      at.Seek(scan.resume_at);
    }
    for (; at.Valid() && at.key().starts_with(prefix); at.Next()) {
      if (buffer.visited() >= entries_max) {
        scan.resume_at = at.key().ToString();
        return true;
      }
      const std::string_view key = view_of(at.key());
      const std::string_view stored = view_of(at.value());
      if (stored.size() < kRocksValuePrefix || scan.has_key(key)) {
        continue;
      }
      buffer.reserve();
      const std::uint32_t hash = hash_of_rocks_value(stored);
      const bool has_key =
          decode_into(*descriptor_.key, key.substr(kRocksKeyPrefix), buffer.scratch_key());
      if (has_key) {
        // The cache may have got to know it since, or know it better.
        const std::uint32_t id =
            cache_.find(scan.space, hash, cache_.tag_of(scan.space, hash, buffer.scratch_key()),
                        buffer.scratch_key());
        if (id != ValueCache::kNone) {
          Node& node = cache_.node(id);
          const bool comes_later = !scan.is_by_keys && node.dirty_epoch > scan.below;
          if (node.kind == Kind::kLive && !comes_later) {
            buffer.add(cache_.key_of(node), hash, cache_.value_of(node));
          }
          continue;
        }
      }
      if (!has_key || !decode_into(*descriptor_.value, stored.substr(kRocksValuePrefix),
                                   buffer.scratch_value())) {
        owner_.fail(Error{ErrorCode::kCorruption,
                          "state '" + descriptor_.name + "': an entry in RocksDB does not decode"});
      }
      buffer.add(buffer.scratch_key(), hash, buffer.scratch_value());
    }
    if (!at.status().ok()) {
      owner_.fail(store_.error(at.status(), "reading state '" + descriptor_.name + "' from"));
    }
    scan.is_in_group = false;
  }
  return false;
}

/// What only the cache had. True when there is more of it.
bool RocksTable::visit_cached(Scan& scan, std::size_t entries_max, RunBuffer& buffer) {
  const std::size_t count = scan.is_by_keys ? scan.keys.size() : scan.nodes.size();
  for (; scan.next_cached < count; ++scan.next_cached) {
    if (buffer.visited() >= entries_max) {
      return true;
    }
    std::uint32_t id = ValueCache::kNone;
    if (scan.is_by_keys) {
      const Scan::Key& key = scan.keys[scan.next_cached];
      buffer.reserve();
      WEIR_CHECK(decode_into(*descriptor_.key, scan.bytes_of(key).substr(kRocksKeyPrefix),
                             buffer.scratch_key()));
      id = look_up(cache_.space(scan.space), buffer.scratch_key(), key.hash);
    } else {
      id = scan.nodes[scan.next_cached];
      if (scan.next_cached + 8 < count) {
        cache_.prefetch_node(scan.nodes[scan.next_cached + 8]);
      }
    }
    if (id == ValueCache::kNone || !cache_.is_used(id)) {
      continue;
    }
    Node& node = cache_.node(id);
    if (node.kind == Kind::kLive && node.space == scan.space) {
      buffer.add(cache_.key_of(node), node.hash, cache_.value_of(node));
    }
  }
  return false;
}

bool RocksTable::advance(Scan& scan, std::size_t entries_max, const RunVisitor& visit) {
  const std::uint32_t below = owner_.epochs().below.load(std::memory_order_acquire);
  if (scan.is_by_keys && below != scan.below) {
    scan.below = below;
    scan.iterators.clear();  // What they do not see may be evicted by now.
  }
  // What `visit` gets stays while it looks, whatever else it asks for.
  struct Hold {
    explicit Hold(std::uint32_t& held) : scans(held) { ++scans; }
    ~Hold() { --scans; }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    std::uint32_t& scans;
  };
  const Hold hold(cache_.space(scan.space).scans);
  RunBuffer buffer(descriptor_, visit);
  const bool has_more =
      visit_below(scan, entries_max, buffer) || visit_cached(scan, entries_max, buffer);
  buffer.flush();
  return has_more;
}

bool RocksTable::scan(StateNamespace ns, ScanPosition& position, std::size_t entries_max,
                      const RunVisitor& visit) {
  begin_reading();
  auto found = scans_.find(position.part);
  if (position.part == 0) {
    Space* space = space_of(ns);
    if (space == nullptr) {
      return false;
    }
    if (scans_.size() >= kScansMax) {
      forget_scan(scans_.begin());
    }
    position.part = next_scan_++;
    found = scans_.emplace(position.part, start_scan(*space, true)).first;
    scan_bytes_ += found->second->memory_bytes();
  }
  if (found == scans_.end()) {
    return false;
  }
  if (advance(*found->second, entries_max, visit)) {
    return true;
  }
  forget_scan(found);
  return false;
}

void RocksTable::for_each_run(StateNamespace ns, const RunVisitor& visit) {
  begin_reading();
  Space* space = space_of(ns);
  if (space == nullptr) {
    return;
  }
  const std::shared_ptr<Scan> scan = start_scan(*space, false);
  advance(*scan, std::numeric_limits<std::size_t>::max(), visit);
}

bool RocksTable::visit_map_entries_below(const Space& space, std::uint32_t hash,
                                         std::string_view key,
                                         const std::vector<std::uint32_t>& except,
                                         const MapEntryVisitor& visit) {
  std::string begin;
  append_rocks_prefix(begin, key_group_of(hash), space.ns);
  begin += key;
  const std::string end = end_of_prefix(begin);
  const rocksdb::Slice upper_bound(end);
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &upper_bound;
  const std::unique_ptr<rocksdb::Iterator> at(
      store_.db().NewIterator(options, family_of(key_group_of(hash)).handle));
  ScratchValue value(*descriptor_.value);
  for (at->Seek(begin); at->Valid(); at->Next()) {
    const std::string_view stored = view_of(at->value());
    const MapEntryKey entry(std::string(view_of(at->key()).substr(kRocksKeyPrefix)));
    if (!entry.is_of(key)) {
      continue;
    }
    // What the cache knows is not older.
    const std::uint32_t id = cache_.find(space.id, hash, tag_of(space, hash, &entry), &entry);
    if (id != ValueCache::kNone) {
      Node& node = cache_.node(id);
      if (node.kind == Kind::kLive && !std::binary_search(except.begin(), except.end(), id) &&
          !visit(entry, cache_.value_of(node))) {
        return false;
      }
      continue;
    }
    if (stored.size() < kRocksValuePrefix ||
        !decode_into(*descriptor_.value, stored.substr(kRocksValuePrefix), value.get())) {
      owner_.fail(Error{ErrorCode::kCorruption,
                        "state '" + descriptor_.name + "': an entry in RocksDB does not decode"});
    }
    if (!visit(entry, value.get())) {
      return false;
    }
  }
  if (!at->status().ok()) {
    owner_.fail(store_.error(at->status(), "reading state '" + descriptor_.name + "' from"));
  }
  return true;
}

void RocksTable::for_each_map_entry(StateNamespace ns, std::uint32_t hash, std::string_view key,
                                    const MapEntryVisitor& visit) {
  begin_reading();
  Space* const space = space_of(ns);
  if (space == nullptr) {
    return;
  }
  const std::vector<std::uint32_t> changed = changed_map_entries(*space, hash, key);
  ++space->scans;  // what `visit` gets must stay
  bool goes_on = is_complete(*space) || visit_map_entries_below(*space, hash, key, changed, visit);
  for (std::size_t i = 0; goes_on && i < changed.size(); ++i) {
    Node& node = cache_.node(changed[i]);
    goes_on =
        node.kind != Kind::kLive ||
        visit(*reinterpret_cast<const MapEntryKey*>(cache_.key_of(node)), cache_.value_of(node));
  }
  --space->scans;
}

void RocksTable::for_each(StateNamespace ns, const Visitor& visit) {
  for_each_run(ns, [&](std::size_t count, const void* const* keys, const std::uint32_t* hashes,
                       const void* const* values) {
    for (std::size_t i = 0; i < count; ++i) {
      visit(keys[i], hashes[i], values[i]);
    }
  });
}

}  // namespace weir::state
