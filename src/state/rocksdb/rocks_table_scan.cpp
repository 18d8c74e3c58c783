#include <algorithm>
#include <string>
#include <unordered_set>
#include <utility>

#include <rocksdb/iterator.h>

#include "state/rocksdb/rocks_key.h"
#include "state/rocksdb/rocks_map_layout.h"
#include "state/rocksdb/rocks_table.h"
#include "state/rocksdb/scratch_value.h"

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

/// A walk over one namespace: first what RocksDB had when it began, in its order and with what the
/// cache knows better, then what only the cache had.
struct RocksTable::Scan {
  std::uint32_t space = 0;
  StateNamespace ns = 0;
  std::vector<std::uint32_t> groups;  ///< to be read from RocksDB
  std::size_t next_group = 0;
  bool is_in_group = false;
  std::map<RocksStore::Family*, std::unique_ptr<rocksdb::Iterator>> iterators;
  std::unordered_set<std::string> only_cached;  ///< keys that come in the second part, or never
  std::vector<std::uint32_t> nodes;             ///< of the second part
  std::size_t next_node = 0;
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

std::shared_ptr<RocksTable::Scan> RocksTable::start_scan(Space& space) {
  auto scan = std::make_shared<Scan>();
  scan->space = space.id;
  scan->ns = space.ns;
  ++space.scans;
  const bool is_all_cached = is_complete(space);
  const std::uint32_t below = owner_.epochs().below.load(std::memory_order_acquire);
  for (std::uint32_t id = space.head; id != ValueCache::kNone; id = cache_.node(id).next) {
    Node& node = cache_.node(id);
    if (node.dirty_epoch <= below && !is_all_cached) {
      continue;  // RocksDB has the same.
    }
    if (node.kind == Kind::kLive) {
      scan->nodes.push_back(id);
    }
    if (!is_all_cached) {
      std::string key;
      encode_key(space.ns, node.hash, cache_.key_of(node), key);
      scan->only_cached.insert(std::move(key));
    }
  }
  if (!is_all_cached) {
    for (const GroupCounts::Count& count : space.groups.all()) {
      scan->groups.push_back(count.key_group);
      RocksStore::Family& family = family_of(count.key_group);
      auto& iterator = scan->iterators[&family];
      if (iterator == nullptr) {
        rocksdb::ReadOptions options;
        options.fill_cache = false;
        iterator.reset(store_.db().NewIterator(options, family.handle));
      }
    }
  }
  return scan;
}

void RocksTable::end_scan(Scan& scan) { --cache_.space(scan.space).scans; }

bool RocksTable::advance(Scan& scan, std::size_t entries_max, const RunVisitor& visit) {
  RunBuffer buffer(descriptor_, visit);
  std::string prefix;
  while (scan.next_group < scan.groups.size()) {
    const std::uint32_t group = scan.groups[scan.next_group];
    rocksdb::Iterator& at = *scan.iterators.at(&family_of(group));
    prefix.clear();
    append_rocks_prefix(prefix, group, scan.ns);
    if (!std::exchange(scan.is_in_group, true)) {
      at.Seek(prefix);
    }
    for (; at.Valid() && at.key().starts_with(prefix); at.Next()) {
      if (buffer.visited() >= entries_max) {
        buffer.flush();
        return true;
      }
      const std::string key = at.key().ToString();
      const std::string_view stored = view_of(at.value());
      if (scan.only_cached.contains(key) || stored.size() < kRocksValuePrefix) {
        continue;
      }
      buffer.reserve();
      const std::uint32_t hash = hash_of_rocks_value(stored);
      const bool has_key = decode_into(
          *descriptor_.key, std::string_view(key).substr(kRocksKeyPrefix), buffer.scratch_key());
      if (has_key) {
        // The cache may have got to know it since, or know it better.
        const std::uint32_t id =
            cache_.find(scan.space, hash, cache_.tag_of(scan.space, hash, buffer.scratch_key()),
                        buffer.scratch_key());
        if (id != ValueCache::kNone) {
          Node& node = cache_.node(id);
          if (node.kind == Kind::kLive) {
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
    ++scan.next_group;
  }
  for (; scan.next_node < scan.nodes.size(); ++scan.next_node) {
    if (buffer.visited() >= entries_max) {
      buffer.flush();
      return true;
    }
    if (scan.next_node + 8 < scan.nodes.size()) {
      cache_.prefetch_node(scan.nodes[scan.next_node + 8]);
    }
    Node& node = cache_.node(scan.nodes[scan.next_node]);
    if (node.kind == Kind::kLive && node.space == scan.space) {
      buffer.add(cache_.key_of(node), node.hash, cache_.value_of(node));
    }
  }
  buffer.flush();
  return false;
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
      end_scan(*scans_.begin()->second);
      scans_.erase(scans_.begin());
    }
    position.part = next_scan_++;
    found = scans_.emplace(position.part, start_scan(*space)).first;
  }
  if (found == scans_.end()) {
    return false;
  }
  if (advance(*found->second, entries_max, visit)) {
    return true;
  }
  end_scan(*found->second);
  scans_.erase(found);
  return false;
}

void RocksTable::for_each_run(StateNamespace ns, const RunVisitor& visit) {
  begin_reading();
  Space* space = space_of(ns);
  if (space == nullptr) {
    return;
  }
  const std::shared_ptr<Scan> scan = start_scan(*space);
  advance(*scan, std::numeric_limits<std::size_t>::max(), visit);
  end_scan(*scan);
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
