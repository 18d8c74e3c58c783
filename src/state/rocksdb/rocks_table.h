#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "state/key_group_index.h"
#include "state/rocksdb/rocks_index.h"
#include "state/rocksdb/rocks_layout.h"
#include "state/rocksdb/rocks_store.h"
#include "state/rocksdb/sorted_run.h"
#include "state/rocksdb/value_cache.h"
#include "state/state_file.h"
#include "state/state_restore.h"
#include "weir/state_table.h"

namespace weir::state {

/// Changes are counted in epochs. When one is closed its changes become a run: they are encoded by
/// the owner of the state, in slices, then sorted, written and handed to RocksDB by an I/O thread.
struct RocksEpochs {
  std::uint32_t current = 2;            ///< of writes from now on
  std::uint32_t encoded = 1;            ///< of this one and earlier ones everything is encoded
  std::atomic<std::uint32_t> below{1};  ///< of this one and earlier ones RocksDB has everything
};

class RocksTable;
struct MapEntryKey;

/// One table's part of a run.
struct RocksTablePart {
  RocksTable* table = nullptr;
  std::uint32_t epoch = 0;
  std::vector<std::uint32_t> nodes;  ///< that were written; some may be encoded already
  std::size_t next = 0;
  SortedRun run;
  std::vector<RocksIndex::Namespace> namespaces;  ///< as of the end of the epoch, if asked for
};

/// What a table needs of the backend it is part of.
class RocksTableOwner {
 public:
  virtual ~RocksTableOwner() = default;
  virtual RocksEpochs& epochs() = 0;
  /// Before `entries` may be created: makes room for them and goes on with what is under way.
  virtual void before_create(RocksTable& table, std::size_t entries) = 0;
  virtual void on_dirty(std::size_t bytes) = 0;
  /// The part of a run whose epoch is closed and not encoded yet.
  virtual RocksTablePart& part_of(const RocksTable& table, std::uint32_t epoch) = 0;
  /// Remembers the failure and throws it: nothing must go on with what could not be read.
  [[noreturn]] virtual void fail(Error error) = 0;
};

/// A StateTable in RocksDB behind a cache of values. What is written stays in the cache until its
/// run is below; only then may it be evicted. So a key that the cache does not know is exactly what
/// RocksDB says.
///
/// Pointers are valid as StateTable promises, find() included: it evicts nothing that was given out
/// by one of the last few thousand calls.
class RocksTable final : public StateTable, public RestoreTarget {
 public:
  struct Options {
    int max_parallelism = kDefaultMaxParallelism;
    KeyGroupRange key_groups;
    RocksLayout layout = RocksLayout::kAsInStateFiles;  ///< keys of kMapEntries: MapEntryKey
    StateSchema schema;                                 ///< that state files have
  };
  /// `families`: ascending by key group, together all of this subtask's.
  RocksTable(RocksTableOwner& owner, RocksStore& store, StateTableDescriptor descriptor,
             const Options& options, std::vector<RocksStore::Family*> families,
             const std::vector<RocksIndex::Namespace>& namespaces);
  ~RocksTable() override;

  void upsert(StateNamespace ns, const KeyColumn& column, void** values) override;
  const void* find(StateNamespace ns, const void* key, std::uint32_t hash) override;
  void* find_for_update(StateNamespace ns, const void* key, std::uint32_t hash) override;
  void* find_or_create(StateNamespace ns, const void* key, std::uint32_t hash) override;
  bool erase(StateNamespace ns, const void* key, std::uint32_t hash) override;
  void prefetch(StateNamespace ns, const KeyColumn& column) override;
  std::vector<StateNamespace> namespaces() const override;
  std::size_t size(StateNamespace ns) const override;
  void for_each(StateNamespace ns, const Visitor& visit) override;
  void for_each_run(StateNamespace ns, const RunVisitor& visit) override;
  bool scan(StateNamespace ns, ScanPosition& position, std::size_t entries_max,
            const RunVisitor& visit) override;
  void drop_namespace(StateNamespace ns) override;
  /// Of kMapEntries: calls visit(key, value) for the entries whose keys begin with `key`, encoded,
  /// of this hash, until it says false. `visit` must not change this table.
  using MapEntryVisitor = std::function<bool(const MapEntryKey& key, const void* value)>;
  void for_each_map_entry(StateNamespace ns, std::uint32_t hash, std::string_view key,
                          const MapEntryVisitor& visit);
  bool removes_expired() const override { return descriptor_.expiry.in_compactions; }

  const StateSchema& schema() const override { return schema_; }
  const StateTableDescriptor& descriptor() const override { return descriptor_; }
  Status load(StateNamespace ns, const EncodedEntry& entry, bool may_replace) override;
  Status load_erased(StateNamespace ns, const EncodedEntry& entry) override;
  void load_dropped(StateNamespace ns, KeyGroupRange key_groups) override;
  void reserve(StateNamespace /*ns*/, std::uint32_t /*group*/, std::uint64_t /*n*/) override {}
  std::uint64_t entry_count() const override;

  // The backend's side.

  /// Closes the current epoch for this table. `with_counts`: a checkpoint wants to know them.
  RocksTablePart close_epoch(bool with_counts);
  /// Encodes up to so many entries; returns how many. Done when part.next reaches the end.
  std::size_t encode(RocksTablePart& part, std::size_t entries_max);
  /// Evicts entries that are below until `bytes` are free or a bounded search is over.
  /// `is_creating`: no pointer that was given out is valid any more.
  void evict(std::size_t bytes, std::size_t steps_max, bool is_creating);
  /// Frees some entries of dropped namespaces.
  void collect_garbage(std::size_t entries_max);
  std::size_t memory_bytes() const { return cache_.bytes(); }
  const std::vector<RocksStore::Family*>& families() const { return families_; }
  RocksLayout layout() const { return layout_; }

 private:
  using Node = ValueCache::Node;
  using Space = ValueCache::Space;
  using Kind = ValueCache::Kind;
  struct Scan;
  class RunBuffer;

  Space* space_of(StateNamespace ns);
  Space& acquire_space(StateNamespace ns);
  /// Nothing of it is below: what the cache does not know does not exist.
  bool is_complete(const Space& space) const {
    return space.first_down == 0 ||
           space.first_down > owner_.epochs().below.load(std::memory_order_acquire);
  }
  std::uint32_t key_group_of(std::uint32_t hash) const;
  RocksStore::Family& family_of(std::uint32_t key_group) const {
    return *family_of_group_[key_group - groups_.first()];
  }
  void encode_key(StateNamespace ns, std::uint32_t hash, const void* key, std::string& out) const;
  void encode_value(Node& node, std::string& out);
  void encode_node(Node& node, RocksTablePart& part);

  /// The key's node, read from RocksDB if need be; kNone: there is neither node nor entry.
  std::uint32_t look_up(Space& space, const void* key, std::uint32_t hash);
  std::uint32_t install(Space& space, const void* key, std::uint32_t hash, std::uint32_t tag,
                        std::string_view stored, std::size_t key_bytes);
  void load_missing(Space& space, const KeyColumn& column);
  /// Before a write: a run that still needs the old value gets it.
  void mark(std::uint32_t id, Node& node);
  void* make_writable(Space& space, std::uint32_t id, Node& node);
  std::uint32_t tag_of(const Space& space, std::uint32_t hash, const void* key) const {
    return cache_.tag_of(space.id, hash, key);
  }
  /// The node is not below as it is now, and has this hash.
  bool is_changed(std::uint32_t id, std::uint32_t hash, std::uint32_t below) {
    const Node& node = cache_.node(id);
    return node.kind != Kind::kFree && node.hash == hash && node.dirty_epoch > below;
  }
  void note_changed(std::uint32_t id, Node& node);
  /// Forgets what is not changed any more.
  void sweep_changed();
  /// Nodes of an encoded key's map that are not below as they are now.
  std::vector<std::uint32_t> changed_map_entries(const Space& space, std::uint32_t hash,
                                                 std::string_view key);
  void touch(Node& node) {
    node.last_call = calls_;
    node.is_referenced = true;
  }
  /// The same as for_each_map_entry, of those that RocksDB has, but without the nodes in `except`,
  /// which are sorted. False if `visit` said so.
  bool visit_map_entries_below(const Space& space, std::uint32_t hash, std::string_view key,
                               const std::vector<std::uint32_t>& except,
                               const MapEntryVisitor& visit);
  void make_value(void* to) const;
  void begin_reading();
  std::shared_ptr<Scan> start_scan(Space& space);
  /// False when no entry is left.
  bool advance(Scan& scan, std::size_t entries_max, const RunVisitor& visit);
  void end_scan(Scan& scan);

  static constexpr std::uint32_t kCallsProtected = 4096;
  static constexpr std::size_t kBlockKeys = 64;
  static constexpr std::size_t kChangedMin = 1024;

  RocksTableOwner& owner_;
  RocksStore& store_;
  const StateTableDescriptor descriptor_;
  const RocksLayout layout_;
  const StateSchema schema_;
  const KeyGroupIndex groups_;
  const std::vector<RocksStore::Family*> families_;
  std::vector<RocksStore::Family*> family_of_group_;
  ValueCache cache_;
  std::map<StateNamespace, std::uint32_t> spaces_;
  Space* last_ = nullptr;
  std::vector<std::uint32_t> dirty_;  ///< nodes written in the current epoch
  /// Of kMapEntries: nodes by hash; those that is_changed() is true of, and some that it was true
  /// of once.
  std::unordered_multimap<std::uint32_t, std::uint32_t> changed_;
  std::size_t changed_max_ = kChangedMin;
  std::vector<std::uint32_t> dropped_;  ///< spaces dropped in the current epoch
  std::vector<std::uint32_t> garbage_;  ///< dropped spaces whose nodes are still to be freed
  std::uint32_t calls_ = kCallsProtected + 1;
  std::uint32_t hand_ = 0;  ///< of the clock
  std::string scratch_key_;
  std::string scratch_value_;
  std::vector<std::uint32_t> missing_;                    ///< of an upsert
  std::vector<std::uint32_t> nodes_;                      ///< of an upsert
  std::map<std::uint32_t, std::shared_ptr<Scan>> scans_;  ///< by ScanPosition::part
  std::uint32_t next_scan_ = 1;
};

}  // namespace weir::state
