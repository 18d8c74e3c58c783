#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/planted_bug.h"
#include "state/key_group_index.h"
#include "state/namespace_shards.h"
#include "state/restore_target.h"
#include "state/snapshot_writer.h"
#include "state/state_file.h"
#include "weir/state_table.h"

namespace weir::state {

class HeapTable;
class RunAppender;

/// A position in the walk of a snapshot over one namespace of one table.
struct WalkPosition {
  HeapTable* table = nullptr;
  NamespaceShards* shards = nullptr;
  std::uint32_t shard = 0;
};

/// A StateTable in hash tables on the heap: everything that does not depend on the kind of key.
/// KeyedHeapTable adds the probes.
///
/// Snapshot invariant: while a snapshot runs, an entry whose tag is not the current epoch, at or
/// behind its shard's `walked` slot, holds its barrier-time value and is not in the file yet.
/// Every writable access goes through mark() or copies the shard's rest first.
class HeapTable : public StateTable, public RestoreTarget {
 public:
  struct Options {
    StateKind kind = StateKind::kTable;
    int max_parallelism = kDefaultMaxParallelism;
    KeyGroupRange key_groups;
    ShardLimits limits;
    bool is_incremental = false;  ///< deltas will be asked for
  };

  ~HeapTable() override;

  std::vector<StateNamespace> namespaces() const override;
  std::size_t size(StateNamespace ns) const override;
  void for_each(StateNamespace ns, const Visitor& visit) override;
  void for_each_run(StateNamespace ns, const RunVisitor& visit) override;
  bool scan(StateNamespace ns, ScanPosition& position, std::size_t entries_max,
            const RunVisitor& visit) override;
  void drop_namespace(StateNamespace ns) override;

  const StateTableDescriptor& descriptor() const override { return descriptor_; }
  const StateSchema& schema() const override { return schema_; }
  std::size_t memory_bytes() const;
  std::uint64_t entry_count() const override;

  Status load(StateNamespace ns, const EncodedEntry& entry, bool may_replace) override;
  Status load_fixed(StateNamespace ns, std::string_view entries, bool may_replace) override;
  Status load_erased(StateNamespace ns, const EncodedEntry& entry) override;
  void load_dropped(StateNamespace ns, KeyGroupRange key_groups) override;
  /// See NamespaceShards::reserve.
  void reserve(StateNamespace ns, std::uint32_t group_index, std::uint64_t entries) override {
    acquire_namespace(ns).reserve(group_index, entries);
  }

  // The snapshot's side, called by HeapBackend.

  /// The table's part of a barrier: from now on writes belong to `epoch`, and `writer` gets what
  /// they overwrite. Appends all namespaces to `walk`. With `since`, a delta: only what was
  /// written, erased and dropped in later epochs, and every entry in the key groups `whole`.
  void start_snapshot(SnapshotWriter& writer, std::uint32_t epoch, std::vector<WalkPosition>& walk,
                      std::uint32_t since, KeyGroupRange whole);
  /// The snapshot that was just started is whole, and none builds upon it: if the state is
  /// configured so, it leaves out what has expired.
  void leave_out_expired(TimestampMs now) {
    encoding_.expiry = descriptor_.expiry.in_full_snapshots ? &descriptor_.expiry : nullptr;
    encoding_.now_ms = now;
  }
  /// No delta will begin before this epoch was closed: older tombstones may go.
  void set_needed_above(std::uint32_t epoch);
  /// Copies about `slots_max` slots from `position` on. Returns what was done, in slots;
  /// `position.shard == position.shards->count()` afterwards means that the namespace is done.
  std::size_t walk(WalkPosition& position, std::size_t slots_max);
  /// The snapshot needs nothing more of this namespace. `shards` may be gone afterwards.
  void release(NamespaceShards& shards);
  void end_snapshot() {
    writer_ = nullptr;
    encoding_.expiry = nullptr;
  }
  void set_epoch(std::uint32_t epoch) { epoch_ = epoch; }

 protected:
  HeapTable(StateTableDescriptor descriptor, const Options& options);

  NamespaceShards* find_namespace(StateNamespace ns) {
    if (last_ != nullptr && last_->ns == ns) [[likely]] {
      return last_;
    }
    return find_namespace_slow(ns);
  }
  NamespaceShards& acquire_namespace(StateNamespace ns) {
    NamespaceShards* shards = find_namespace(ns);
    return shards != nullptr ? *shards : add_namespace(ns);
  }

  /// Before an entry is written: keeps its barrier-time value if a snapshot still needs it, and
  /// tags it with the current epoch.
  void mark(NamespaceShards& shards, Shard& shard, std::byte* entry) {
    if (tag_of(entry) != epoch_) {
      if (shard.walked != Shard::kNotWalked) [[unlikely]] {
        copy_before_write(shards, shard, entry);
      }
      tag_of(entry) = epoch_;
      note_write(shards, shard, entry);
    }
  }
  /// The entry was written for the first time in this epoch.
  void note_write(NamespaceShards& shards, const Shard& shard, const std::byte* entry) {
    if (!tombstones_.keeps_keys) {
      return;
    }
    WrittenSlots& written = *shards.written_in(static_cast<std::uint32_t>(&shard - &shards[0]));
    if (written.takes(epoch_)) {
      const auto offset = static_cast<std::size_t>(entry - shard.slots);
      written.add(static_cast<std::uint32_t>(offset / layout_.stride), epoch_, shard.capacity,
                  tombstones_.needed_above);
    }
  }
  /// Creates an entry at `slot`, which is a tombstone or empty, and returns where it is: elsewhere
  /// if the shard had to be rebuilt, which shows in `rebuilds_` and `moved_`.
  std::byte* insert(NamespaceShards& shards, Shard* shard, std::byte* slot, const void* key,
                    std::uint32_t hash);
  void erase_entry(NamespaceShards& shards, Shard& shard, std::byte* entry);
  /// memcpy of a plain value, of usual sizes without a call.
  void copy_value(void* to, const void* from) const {
    switch (layout_.value->size) {
      case 8:
        std::memcpy(to, from, 8);
        break;
      case 16:
        std::memcpy(to, from, 16);
        break;
      default:
        std::memcpy(to, from, layout_.value->size);
    }
  }
  /// Makes a new value. REQUIRES: a trivially copyable value type.
  void init_value(std::byte* value) const { copy_value(value, value_image_at_); }

  /// The memory that the last rebuilt shard left: pointers into it are void.
  struct MovedSlots {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    bool holds(const void* pointer) const {
      return reinterpret_cast<std::uintptr_t>(pointer) - begin < end - begin;
    }
  };

  const StateTableDescriptor descriptor_;
  const EntryLayout layout_;
  const KeyGroupIndex key_groups_;
  const ShardLimits limits_;
  std::uint32_t epoch_ = kFirstEpoch;
  /// Rises with every rebuilt shard and dropped namespace: slots found before are void.
  std::uint64_t rebuilds_ = 0;
  MovedSlots moved_;
  bool has_garbage_ = false;  ///< collect_garbage() has something to do
  TombstoneRule tombstones_;

  void collect_garbage();

 private:
  static constexpr std::size_t kRecentNamespaces = 16;

  virtual void* load_entry(StateNamespace ns, const void* key, std::uint32_t hash,
                           bool& is_new) = 0;
  /// Whether keys may be looked up where they lie in a file, whatever their alignment.
  virtual bool takes_keys_anywhere() const = 0;

  NamespaceShards* find_namespace_slow(StateNamespace ns);
  NamespaceShards& add_namespace(StateNamespace ns);
  /// Takes a namespace out of reach and recycles it, now or when the snapshot is done with it.
  void remove_namespace(NamespaceShards& shards);
  void recycle(std::unique_ptr<NamespaceShards> shards);
  void rebuild(NamespaceShards& shards, Shard& shard);
  void construct(std::byte* slot, const void* key);
  Error twice_there() const;
  /// Into load_key_.
  Status decode_key(std::string_view bytes);
  void copy_before_write(NamespaceShards& shards, Shard& shard, const std::byte* entry);
  /// How many of a shard's key groups the running snapshot is whole in.
  enum class Whole { kNone, kSome, kAll };
  Whole whole_in(const NamespaceShards& shards, std::uint32_t shard) const {
    if (whole_count_ == 0 || whole_count_ == key_groups_.count()) {
      return whole_count_ == 0 ? Whole::kNone : Whole::kAll;
    }
    if (!shards.is_split()) {
      return Whole::kSome;
    }
    return shard - whole_first_ < whole_count_ ? Whole::kAll : Whole::kNone;
  }
  bool is_whole(Whole of_shard, const std::byte* entry) const {
    return of_shard == Whole::kAll ||
           (of_shard == Whole::kSome &&
            key_groups_.of(hash_of(entry)) - whole_first_ < whole_count_);
  }
  /// The running snapshot has to hold what a slot with this tag holds.
  bool is_wanted(std::uint32_t tag, bool is_whole) const {
    const std::uint32_t epoch = epoch_of_tag(tag);
    return epoch != epoch_ &&
           (is_live_tag(tag) ? is_whole || epoch > since_
                             : since_ != 0 && epoch > since_ && !planted_bug("S3"));
  }
  std::size_t append(SnapshotWriter::Stream stream, const RunHeader& run, const std::byte* entry);
  std::size_t walk_shard(NamespaceShards& shards, std::uint32_t index, std::size_t slots_max);
  /// The same where entries are stored as they lie in memory.
  std::size_t walk_images(Shard& shard, Whole whole, RunAppender& to, std::size_t slots_max);
  /// The same where it is known which slots were written.
  std::size_t walk_written(Shard& shard, WrittenSlots& written, const RunHeader& run,
                           std::size_t slots_max);
  NamespaceShards*& recent(StateNamespace ns);

  const StateSchema schema_;
  EntryEncoding encoding_;
  std::vector<std::byte> value_image_;  ///< of a new value, when values are plain
  std::byte* value_image_at_ = nullptr;

  std::map<StateNamespace, std::unique_ptr<NamespaceShards>> namespaces_;
  NamespaceShards* last_ = nullptr;
  std::array<NamespaceShards*, kRecentNamespaces> recent_{};
  std::vector<std::unique_ptr<NamespaceShards>> pool_;
  std::size_t pool_bytes_ = 0;
  /// Kept for the running snapshot.
  std::unordered_map<NamespaceShards*, std::unique_ptr<NamespaceShards>> dropped_;
  void* load_key_ = nullptr;  ///< a constructed key to decode into

  SnapshotWriter* writer_ = nullptr;
  std::uint32_t state_number_ = 0;  ///< in the running snapshot
  std::uint32_t since_ = 0;         ///< the running snapshot is a delta of what came later; 0 = all
  std::uint32_t whole_first_ = 0;   ///< index of the first key group that it is whole in
  std::uint32_t whole_count_ = 0;
  struct Dropped {
    StateNamespace ns;
    std::uint32_t epoch;
  };
  std::vector<Dropped> dropped_since_;  ///< in later epochs than TombstoneRule::needed_above
};

/// A table for this kind of key. REQUIRES: check_descriptor(descriptor).ok().
std::unique_ptr<HeapTable> make_heap_table(StateTableDescriptor descriptor,
                                           const HeapTable::Options& options);
/// Whether the types can be stored at all.
Status check_descriptor(const StateTableDescriptor& descriptor);

}  // namespace weir::state
