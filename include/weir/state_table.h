#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "weir/result.h"
#include "weir/time.h"
#include "weir/type_ops.h"

namespace weir {

/// Groups the entries of one state of one key: the window a value belongs to, say. States that
/// are not scoped further use kNoNamespace.
using StateNamespace = std::int64_t;
inline constexpr StateNamespace kNoNamespace = 0;

/// What a clean-up finds in one stored value: of a list or a map, some or all of its parts may have
/// expired.
enum class Expiry { kNothing, kSome, kAll };

/// How values expire, for backends that remove them by themselves.
struct ValueExpiry {
  /// Looks at an encoded value at `now`; of kSome, `rest` becomes what is left, encoded. Called on
  /// any thread; empty: values live for ever.
  std::function<Expiry(std::string_view encoded, TimestampMs now, std::string& rest)> of;
  bool in_compactions = false;      ///< they leave out what has expired
  DurationMs compaction_period{0};  ///< and look at everything so often; 0: at what changes
  bool in_full_snapshots = false;   ///< savepoints, and checkpoints that none builds upon, do
};

/// What a keyed state holds.
struct StateTableDescriptor {
  std::string name;  ///< unique within its operator
  const TypeOps* key = nullptr;
  const TypeOps* value = nullptr;
  /// Copied into a value when its entry is created; null = default-constructed.
  std::shared_ptr<const void> initial_value;
  ValueExpiry expiry;
};

/// A run of keys of one type: key i starts at `data + i * stride` and hashes to `hashes[i]`
/// (key_hash.h).
struct KeyColumn {
  const std::byte* data = nullptr;
  std::size_t stride = 0;
  const std::uint32_t* hashes = nullptr;
  std::size_t count = 0;

  /// Keys [begin, begin + part_count). REQUIRES: they are there.
  KeyColumn part(std::size_t begin, std::size_t part_count) const {
    return {data + begin * stride, stride, hashes + begin, part_count};
  }
};

/// The keyed state of one name in one subtask: (namespace, key) -> value. Owned by a state backend
/// and used by one thread only.
///
/// Pointers to values stay valid until the next call that may create, erase or drop an entry.
/// Whoever gets a writable pointer may write through it until then: the backend has already kept
/// what a running snapshot still needs of the old value. A backend that fails (disk full, damaged
/// file) remembers its first error, see KeyedStateBackend::status(), and answers as if the entry
/// were absent.
class StateTable {
 public:
  virtual ~StateTable() = default;

  /// Finds or creates the entries of all keys in `column`; `values[i]` points to the value of key
  /// i, ready to be written. All `count` pointers are valid together. Equal keys get equal
  /// pointers.
  virtual void upsert(StateNamespace ns, const KeyColumn& column, void** values) = 0;

  /// The value to read, or null when there is none.
  virtual const void* find(StateNamespace ns, const void* key, std::uint32_t hash) = 0;
  /// The value to write, or null when there is none.
  virtual void* find_for_update(StateNamespace ns, const void* key, std::uint32_t hash) = 0;
  /// The value to write, created when absent.
  virtual void* find_or_create(StateNamespace ns, const void* key, std::uint32_t hash) = 0;
  /// True when there was an entry.
  virtual bool erase(StateNamespace ns, const void* key, std::uint32_t hash) = 0;

  /// Starts loading what find and upsert of these keys will touch, and may find their entries for
  /// prefetched(). Changes nothing.
  virtual void prefetch(StateNamespace ns, const KeyColumn& column) = 0;

  // Key by key, for whoever works through the column of the last prefetch() in any order, without a
  // call where the entry was found: `index` is the key's place in that column.

  /// The value to read, or null: find() knows.
  const void* prefetched(std::size_t index) const {
    return index < found_.count ? found_.values[index] : nullptr;
  }
  /// The value to write, or null: find_for_update() or find_or_create() knows.
  void* prefetched_for_update(std::size_t index) {
    void* const value = index < found_.count ? found_.values[index] : nullptr;
    if (value == nullptr) {
      return nullptr;
    }
    const void* const tag = static_cast<const std::byte*>(value) - found_.tag_distance;
    if (*static_cast<const std::uint32_t*>(tag) == found_.written_tag) [[likely]] {
      return value;
    }
    return mark_prefetched(index);
  }

  /// Namespaces that have entries, ascending.
  virtual std::vector<StateNamespace> namespaces() const = 0;
  virtual std::size_t size(StateNamespace ns) const = 0;
  /// Calls visit(key, hash, value) for every entry. `visit` must not change this table.
  using Visitor = std::function<void(const void* key, std::uint32_t hash, const void* value)>;
  virtual void for_each(StateNamespace ns, const Visitor& visit) = 0;
  /// The same in runs of up to a few hundred entries: `keys[i]`, `hashes[i]`, `values[i]`.
  using RunVisitor = std::function<void(std::size_t count, const void* const* keys,
                                        const std::uint32_t* hashes, const void* const* values)>;
  virtual void for_each_run(StateNamespace ns, const RunVisitor& visit) = 0;
  /// Where a scan stands; default-constructed: at the beginning.
  struct ScanPosition {
    std::uint32_t part = 0;
    std::uint32_t entry = 0;
  };
  /// for_each_run in portions: visits about `entries_max` entries and moves `position` behind them.
  /// False when no entry is left. Visits every entry once, if none of this namespace is created or
  /// erased before the last portion.
  virtual bool scan(StateNamespace ns, ScanPosition& position, std::size_t entries_max,
                    const RunVisitor& visit) = 0;
  /// Forgets all entries of a namespace, in a time that does not depend on their number.
  virtual void drop_namespace(StateNamespace ns) = 0;
  /// The backend removes what StateTableDescriptor::expiry says. Until it did, expired values are
  /// found, and size() may count them even longer.
  virtual bool removes_expired() const { return false; }

 protected:
  /// The entries that prefetch() found. None are valid any more, and `count` is 0, once an entry
  /// was erased or moved or a barrier came.
  struct FoundEntries {
    void* const* values = nullptr;  ///< of key i at i; null where the key was not found
    std::size_t count = 0;
    /// A word that lies so many bytes before a value has this value once a write needs no more
    /// preparation.
    std::size_t tag_distance = 0;
    std::uint32_t written_tag = 0;
  };
  FoundEntries found_;

 private:
  /// Prepares the write of a value that was found. REQUIRES: prefetched(index) != nullptr.
  virtual void* mark_prefetched(std::size_t /*index*/) { return nullptr; }
};

/// What the values of a state of maps are made of.
struct MapParts {
  const TypeOps* key = nullptr;
  const TypeOps* value = nullptr;
  ValueExpiry expiry;  ///< of one entry's value
};

/// A state of maps whose entries a backend keeps one by one: (key, map key) -> value. Pointers to
/// values and failures are as StateTable's.
class MapTable {
 public:
  virtual ~MapTable() = default;
  /// The value to read, or null when there is none.
  virtual const void* find(const void* key, std::uint32_t hash, const void* map_key) = 0;
  /// The value to write, or null when there is none.
  virtual void* find_for_update(const void* key, std::uint32_t hash, const void* map_key) = 0;
  /// The value to write, created when absent.
  virtual void* find_or_create(const void* key, std::uint32_t hash, const void* map_key) = 0;
  /// True when there was an entry.
  virtual bool erase(const void* key, std::uint32_t hash, const void* map_key) = 0;
  /// Calls visit(map_key, value) for the entries of one key, in no order, until it says false.
  /// `visit` must not change this state, and keeps neither pointer.
  using Visitor = std::function<bool(const void* map_key, const void* value)>;
  virtual void for_each(const void* key, std::uint32_t hash, const Visitor& visit) = 0;
  /// Erases all entries of one key.
  virtual void clear(const void* key, std::uint32_t hash) = 0;
  /// StateTable::scan over the entries of all keys, erasing those whose values `is_expired` says
  /// have expired.
  using ExpiryCheck = std::function<bool(const void* value)>;
  virtual bool clean(StateTable::ScanPosition& position, std::size_t entries_max,
                     const ExpiryCheck& is_expired) = 0;
  /// As StateTable::removes_expired().
  virtual bool removes_expired() const = 0;
};

/// Event-time or processing-time timers of one operator in one subtask. A timer is (key,
/// namespace, timestamp); registering it twice fires it once. Timers are keyed state.
class TimerQueue {
 public:
  virtual ~TimerQueue() = default;
  virtual void add(std::int64_t timestamp, StateNamespace ns, const void* key,
                   std::uint32_t hash) = 0;
  virtual void remove(std::int64_t timestamp, StateNamespace ns, const void* key,
                      std::uint32_t hash) = 0;
  /// Timestamp of the first timer, or kMaxTimestamp when there is none.
  virtual std::int64_t next_timestamp() = 0;
  struct Timer {
    std::int64_t timestamp;
    StateNamespace ns;
    const void* key;  ///< valid until the next call
    std::uint32_t hash;
  };
  /// Takes the first timer out if its timestamp is at most `now`. Order: by timestamp.
  virtual bool pop(std::int64_t now, Timer& timer) = 0;
  virtual std::size_t size() const = 0;
};

/// The keyed state of one operator in one subtask.
class KeyedStateBackend {
 public:
  virtual ~KeyedStateBackend() = default;
  /// Opens a state; restored entries are in it already. Errors: the name is taken by another key
  /// or value type, or the restored schema does not fit.
  virtual Result<StateTable*> open_table(StateTableDescriptor descriptor) = 0;
  virtual Result<TimerQueue*> open_timers(std::string name, const TypeOps& key) = 0;
  /// Opens a state whose values are maps of `parts`, of a backend that keeps their entries one by
  /// one. Null: this one keeps a key's map as one value, for open_table(). Stored, both are the
  /// same.
  virtual Result<MapTable*> open_map(StateTableDescriptor /*descriptor*/, MapParts /*parts*/) {
    return static_cast<MapTable*>(nullptr);
  }
  /// First failure of the backend; sticky.
  virtual Status status() const = 0;
};

}  // namespace weir
