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
  /// What a call on a table is about to do: whether pointers given out before must stay valid.
  enum class CallKind { kReads, kChanges };
  /// Before a call that may add so many entries to the cache: makes room for them and goes on with
  /// what is under way.
  virtual void before_call(RocksTable& table, std::size_t entries, CallKind kind) = 0;
  /// About so much of what was given out by reads is not evicted.
  virtual std::size_t protected_bytes_max() const = 0;
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
/// Pointers are valid as StateTable promises. Of those that reads gave out that is the last few
/// thousand, or fewer where values are large: the last 64 and an eighth of the memory in any case.
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
  /// Evicts entries that are below until the cache has become smaller by `excess` and has room for
  /// `reserve` more, or a bounded search is over.
  void evict(std::size_t excess, std::size_t reserve, std::size_t steps_max,
             RocksTableOwner::CallKind kind);
  /// Frees some entries of dropped namespaces.
  void collect_garbage(std::size_t entries_max);
  std::size_t memory_bytes() const { return cache_.bytes() + scan_bytes_; }
  /// Keys that were looked for in RocksDB: by themselves, each of which waits, and together.
  struct Reads {
    std::uint64_t single = 0;
    std::uint64_t together = 0;
  };
  const Reads& reads() const { return reads_; }
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
                        std::string_view stored);
  /// Looks all keys up in the cache: nodes_, and in missing_ the numbers of those it does not know.
  void find_cached(const Space& space, const KeyColumn& column);
  /// Reads the keys numbered in missing_, until values of about so many bytes have come.
  void load_missing(Space& space, const KeyColumn& column, std::size_t bytes_max);
  /// Before a write: a run that still needs the old value gets it.
  void mark(std::uint32_t id, Node& node);
  void* make_writable(Space& space, std::uint32_t id, Node& node);
  std::uint32_t tag_of(const Space& space, std::uint32_t hash, const void* key) const {
    return cache_.tag_of(space.id, hash, key);
  }
  /// The node is not below as it is now, and has this hash.
  bool is_changed(std::uint32_t id, std::uint32_t hash, std::uint32_t below) {
    if (!cache_.is_used(id)) {
      return false;
    }
    const Node& node = cache_.node(id);
    return node.hash == hash && node.dirty_epoch > below;
  }
  /// Looks again at what the last call gave out to be written.
  void settle();
  void measure(Node& node);
  /// About what key and value take outside the node; `encoded`: of the value, 0 if not known.
  std::size_t bytes_elsewhere(Node& node, std::size_t encoded);
  void note_changed(std::uint32_t id, Node& node);
  /// Forgets what is not changed any more.
  void sweep_changed();
  /// Nodes of an encoded key's map that are not below as they are now.
  std::vector<std::uint32_t> changed_map_entries(const Space& space, std::uint32_t hash,
                                                 std::string_view key);
  void forget_change(std::uint32_t id) {
    if (cache_.is_used(id)) {
      cache_.node(id).is_noted = false;
    }
  }
  void touch(Node& node) {
    node.is_referenced = true;
    if (node.last_given != generation_) {
      prefetch_used_ += node.last_given == prefetch_generation_ ? 1 : 0;
      node.last_given = generation_;
      ++given_;
      given_bytes_ += cache_.node_bytes() + node.more_bytes;
    }
  }
  bool is_protected(const Node& node, RocksTableOwner::CallKind kind) const {
    return node.last_given == prefetch_generation_ ||
           (kind == RocksTableOwner::CallKind::kReads && generation_ - node.last_given <= 1);
  }
  void next_generation();
  /// The same as for_each_map_entry, of those that RocksDB has, but without the nodes in `except`,
  /// which are sorted. False if `visit` said so.
  bool visit_map_entries_below(const Space& space, std::uint32_t hash, std::string_view key,
                               const std::vector<std::uint32_t>& except,
                               const MapEntryVisitor& visit);
  void make_value(void* to) const;
  void begin_call(std::size_t entries, RocksTableOwner::CallKind kind);
  void begin_reading(RocksTableOwner::CallKind kind = RocksTableOwner::CallKind::kReads);
  std::shared_ptr<Scan> start_scan(Space& space, bool is_in_portions);
  /// False when no entry is left.
  bool advance(Scan& scan, std::size_t entries_max, const RunVisitor& visit);
  bool visit_below(Scan& scan, std::size_t entries_max, RunBuffer& buffer);
  bool visit_cached(Scan& scan, std::size_t entries_max, RunBuffer& buffer);
  static bool is_of(const Scan& scan, const Space& space);
  void forget_scan(std::map<std::uint32_t, std::shared_ptr<Scan>>::iterator at);

  static constexpr std::size_t kBlockKeys = 64;
  /// So few keys are not worth a look at several at once.
  static constexpr std::size_t kMultiGetMin = 4;
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
  std::uint32_t hand_ = 0;              ///< of the clock
  std::uint32_t drain_ = 0;             ///< down to here chunks were emptied
  // Nodes that were given out, in two generations; the one before is the older of them.
  std::uint32_t generation_ = 3;
  std::size_t given_ = 0;
  std::size_t given_bytes_ = 0;
  std::uint32_t prefetch_generation_ = 1;  ///< of what the last prefetch() has found
  std::size_t prefetch_found_ = 0;         ///< nodes
  std::size_t prefetch_used_ = 0;          ///< of them, by calls since
  std::size_t prefetch_pause_ = 0;         ///< that many are in vain, probably
  std::size_t prefetch_paused_ = 0;        ///< how many of those are left
  // Since room was made:
  std::size_t loaded_ = 0;        ///< nodes
  std::size_t loaded_bytes_ = 0;  ///< of them, and by how much others grew
  std::uint32_t reads_since_room_ = 0;
  Reads reads_;
  std::vector<std::uint32_t> written_;  ///< what the last call gave out to be written
  std::uint32_t chance_ = 1;
  std::uint32_t hidden_bytes_ = 0;  ///< of values that own what heap_bytes() does not see: encoded
  std::uint32_t hidden_looks_ = 0;
  std::size_t scan_bytes_ = 0;
  std::string scratch_key_;
  std::string scratch_value_;
  std::vector<std::uint32_t> missing_;                    ///< of an upsert
  std::vector<std::uint32_t> nodes_;                      ///< of an upsert
  std::map<std::uint32_t, std::shared_ptr<Scan>> scans_;  ///< by ScanPosition::part
  std::uint32_t next_scan_ = 1;
};

}  // namespace weir::state
