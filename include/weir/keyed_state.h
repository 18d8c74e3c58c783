#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "weir/aggregate_function.h"
#include "weir/check.h"
#include "weir/key_hash.h"
#include "weir/state_table.h"
#include "weir/state_ttl.h"

namespace weir {

namespace detail {

/// The key whose record or timer is being processed; shared by an operator's state handles.
struct CurrentKey {
  static constexpr std::size_t kNotInColumn = ~std::size_t{0};

  const void* key = nullptr;
  std::uint32_t hash = 0;
  /// Its place in the column that all tables of the operator prefetched last.
  std::size_t index = kNotInColumn;
};

/// The entry of the current key in one table. The way that most calls take, an entry that was
/// prefetched and does not expire, is short enough for the compiler to put it into the user's
/// function, and that into the loop over records; everything else is kept out of line for that.
class StateHandle {
 public:
  StateHandle() = default;
  /// `ttl` is null when values live for ever.
  StateHandle(StateTable* table, const CurrentKey* current, std::shared_ptr<TtlRule> ttl = nullptr)
      : table_(table), current_(current), ttl_(std::move(ttl)) {}

  void clear() { table_->erase(kNoNamespace, key(), current_->hash); }

 protected:
  template <class V>
  const V* find_stored() const {
    const void* found = table_->prefetched(current_->index);
    return static_cast<const V*>(found != nullptr ? found : look_up());
  }
  template <class V>
  V* find_stored_for_update() const {
    void* found = table_->prefetched_for_update(current_->index);
    return static_cast<V*>(found != nullptr ? found : look_up_for_update());
  }
  template <class V>
  V& find_or_create_stored() {
    void* found = table_->prefetched_for_update(current_->index);
    return *static_cast<V*>(found != nullptr ? found : look_up_or_create());
  }
  void erase_stored() const { table_->erase(kNoNamespace, key(), current_->hash); }
  bool does_backend_remove_expired() const { return table_->removes_expired(); }
  TtlRule* ttl() const { return ttl_.get(); }
  const CurrentKey& current() const { return *current_; }

  /// Of state whose parts expire one by one: whether there is anything to read, after what has
  /// expired is removed and, if reads do so, the rest is refreshed.
  template <class Stored, class Refresh>
  const Stored* find_unexpired(const Refresh& refresh) const {
    const auto* found = find_stored<Stored>();
    if (found == nullptr) {
      return nullptr;
    }
    const Expiry expiry = ttl_->hides_expired() ? expiry_of(*found, *ttl_) : Expiry::kNothing;
    if (expiry == Expiry::kAll) {
      erase_stored();
      return nullptr;
    }
    if (expiry == Expiry::kSome || ttl_->is_refreshed_by_reads()) {
      auto* value = find_stored_for_update<Stored>();
      if (expiry == Expiry::kSome) {
        remove_expired(*value, *ttl_);
      }
      if (ttl_->is_refreshed_by_reads()) {
        refresh(*value);
      }
      return value;
    }
    return found;
  }

 private:
  [[gnu::noinline]] const void* look_up() const {
    return table_->find(kNoNamespace, key(), current_->hash);
  }
  [[gnu::noinline]] void* look_up_for_update() const {
    return table_->find_for_update(kNoNamespace, key(), current_->hash);
  }
  [[gnu::noinline]] void* look_up_or_create() {
    return table_->find_or_create(kNoNamespace, key(), current_->hash);
  }
  const void* key() const {
    WEIR_CHECK_MESSAGE(current_->key != nullptr,
                       "keyed state was used where there is no key: outside of a record's or "
                       "timer's call, or for a broadcast record");
    return current_->key;
  }

  StateTable* table_ = nullptr;
  const CurrentKey* current_ = nullptr;
  std::shared_ptr<TtlRule> ttl_;
};

/// State that is one value, which expires as a whole.
template <class V>
class SingleValueHandle : public StateHandle {
 public:
  using StateHandle::StateHandle;

 protected:
  const V* find() const { return ttl() == nullptr ? find_stored<V>() : find_expiring(); }
  /// Null when there is none, or none that has not expired.
  V* find_for_update() {
    return ttl() == nullptr ? find_stored_for_update<V>() : find_expiring_for_update();
  }
  V& find_or_create() {
    return ttl() == nullptr ? find_or_create_stored<V>() : find_or_create_expiring();
  }

 private:
  [[gnu::noinline]] const V* find_expiring() const {
    const auto* found = find_unexpired<Expiring<V>>(
        [this](Expiring<V>& stored) { stored.last_access_ms = ttl()->now; });
    return found == nullptr ? nullptr : &found->value;
  }
  [[gnu::noinline]] V* find_expiring_for_update() {
    auto* found = find_stored_for_update<Expiring<V>>();
    if (found == nullptr) {
      return nullptr;
    }
    if (ttl()->is_expired(*found)) {
      erase_stored();
      return nullptr;
    }
    found->last_access_ms = ttl()->now;
    return &found->value;
  }
  [[gnu::noinline]] V& find_or_create_expiring() {
    if (V* found = find_for_update()) {
      return *found;
    }
    auto& created = find_or_create_stored<Expiring<V>>();
    created.last_access_ms = ttl()->now;
    return created.value;
  }
};

/// Hash of map-state keys inside one key's map: not stored, so it may be anything good.
struct UserKeyHash {
  template <class K>
  std::size_t operator()(const K& key) const {
    return key_hash(key);
  }
};

}  // namespace detail

/// One value per key. All calls concern the key of the record or timer being processed.
template <class T>
class ValueState : public detail::SingleValueHandle<T> {
 public:
  using detail::SingleValueHandle<T>::SingleValueHandle;

  /// The value, or null when there is none. Valid until the next change of any state.
  const T* value() const { return this->find(); }
  T value_or(T otherwise) const {
    const T* found = this->find();
    return found == nullptr ? std::move(otherwise) : *found;
  }
  /// The value to change in place, default-constructed when there is none. Valid until the next
  /// change of any state.
  T& mutable_value() { return this->find_or_create(); }
  void update(T value) { this->find_or_create() = std::move(value); }
};

/// A list per key.
template <class T>
class ListState : public detail::StateHandle {
  using List = std::vector<T>;
  using Element = detail::Expiring<T>;

 public:
  using detail::StateHandle::StateHandle;

  /// The elements in insertion order; null when there are none. Valid until the next change of any
  /// state, and with a time to live until the next call.
  const List* get() const {
    if (ttl() == nullptr) {
      return find_stored<List>();
    }
    const auto* found = find_unexpired<std::vector<Element>>([this](std::vector<Element>& list) {
      for (Element& element : list) {
        element.last_access_ms = ttl()->now;
      }
    });
    if (found == nullptr) {
      return nullptr;
    }
    unexpired_.clear();
    for (const Element& element : *found) {
      unexpired_.push_back(element.value);
    }
    return &unexpired_;
  }
  void add(T element) {
    if (ttl() == nullptr) {
      find_or_create_stored<List>().push_back(std::move(element));
    } else {
      auto& list = find_or_create_stored<std::vector<Element>>();
      trim(list);
      list.push_back({std::move(element), ttl()->now});
    }
  }
  void add_all(const List& elements) {
    for (const auto& element : elements) {
      add(element);
    }
  }
  /// Replaces the list.
  void update(List elements) {
    clear();
    if (ttl() != nullptr) {
      add_all(elements);
    } else if (!elements.empty()) {
      find_or_create_stored<List>() = std::move(elements);
    }
  }

 private:
  /// A backend's own clean-up never comes by a list that is added to all the time. Elements lie
  /// nearly in the order of their times: once half of them have expired they are worth the work.
  void trim(std::vector<Element>& list) const {
    if (!list.empty() && ttl()->is_expired(list[list.size() / 2]) &&
        does_backend_remove_expired()) {
      remove_expired(list, *ttl());
    }
  }

  mutable List unexpired_;
};

/// A map per key. In RocksDB its entries are kept one by one: what is not asked for is not read.
template <class K, class V>
class MapState : public detail::StateHandle {
  using Entry = detail::Expiring<V>;

 public:
  using Map = std::unordered_map<K, V, detail::UserKeyHash>;
  using ExpiringMap = std::unordered_map<K, Entry, detail::UserKeyHash>;
  using detail::StateHandle::StateHandle;
  /// Of entries that are kept one by one.
  MapState(MapTable* table, const detail::CurrentKey* current,
           std::shared_ptr<detail::TtlRule> ttl = nullptr)
      : StateHandle(nullptr, current, std::move(ttl)), table_(table) {}

  /// The entry's value, or null. Valid until the next change of any state.
  const V* get(const K& key) const {
    if (ttl() == nullptr) {
      return find_entry<V>(key);
    }
    const Entry* entry = find_entry<Entry>(key);
    if (entry == nullptr) {
      return nullptr;
    }
    if (ttl()->is_expired(*entry) && ttl()->hides_expired()) {
      erase_entry<Entry>(key);
      return nullptr;
    }
    if (ttl()->is_refreshed_by_reads()) {
      Entry* refreshed = find_entry_for_update<Entry>(key);
      refreshed->last_access_ms = ttl()->now;
      return &refreshed->value;
    }
    return &entry->value;
  }
  bool contains(const K& key) const { return get(key) != nullptr; }
  void put(const K& key, V value) { mutable_value(key) = std::move(value); }
  /// The entry's value to change in place, default-constructed when absent.
  V& mutable_value(const K& key) {
    if (ttl() == nullptr) {
      return find_or_create_entry<V>(key);
    }
    Entry& entry = find_or_create_entry<Entry>(key);
    if (ttl()->is_expired(entry)) {
      entry.value = V{};
    }
    entry.last_access_ms = ttl()->now;
    return entry.value;
  }
  void remove(const K& key) {
    if (ttl() == nullptr) {
      erase_entry<V>(key);
    } else {
      erase_entry<Entry>(key);
    }
  }
  void clear() {
    if (table_ != nullptr) {
      table_->clear(current().key, current().hash);
    } else {
      StateHandle::clear();
    }
  }
  bool empty() const {
    if (table_ == nullptr || is_refreshed_by_reads()) {
      return entries() == nullptr;
    }
    bool is_empty = true;
    for_each_unexpired([&](const K& /*key*/, const V& /*value*/) {
      is_empty = false;
      return false;
    });
    return is_empty;
  }
  /// Calls visit(key, value) for each entry, in no order. `visit` must not change this state.
  template <class F>
  void for_each(F&& visit) const {
    if (table_ == nullptr || is_refreshed_by_reads()) {
      if (const Map* all = entries()) {
        for (const auto& [key, value] : *all) {
          visit(key, value);
        }
      }
      return;
    }
    for_each_unexpired([&](const K& key, const V& value) {
      visit(key, value);
      return true;
    });
  }
  /// All entries at once; null when there are none. With a time to live, and in RocksDB, a copy
  /// that is valid until the next call.
  const Map* entries() const {
    if (table_ == nullptr && ttl() == nullptr) {
      return find_stored<Map>();
    }
    copied_.clear();
    if (table_ != nullptr) {
      for_each_unexpired([&](const K& key, const V& value) {
        copied_.emplace(key, value);
        return true;
      });
      if (is_refreshed_by_reads()) {
        for (const auto& entry : copied_) {
          // A compaction may have removed it by now.
          if (Entry* stored = find_entry_for_update<Entry>(entry.first)) {
            stored->last_access_ms = ttl()->now;
          }
        }
      }
    } else if (const auto* found = find_unexpired<ExpiringMap>([this](ExpiringMap& map) {
                 for (auto& entry : map) {
                   entry.second.last_access_ms = ttl()->now;
                 }
               })) {
      for (const auto& [key, stored] : *found) {
        copied_.emplace(key, stored.value);
      }
    }
    return copied_.empty() ? nullptr : &copied_;
  }

 private:
  template <class Stored>
  using MapOf = std::unordered_map<K, Stored, detail::UserKeyHash>;

  bool is_refreshed_by_reads() const { return ttl() != nullptr && ttl()->is_refreshed_by_reads(); }

  // Stored: what an entry is stored as, V or Expiring<V>.
  template <class Stored>
  const Stored* find_entry(const K& key) const {
    if (table_ != nullptr) {
      return static_cast<const Stored*>(table_->find(current().key, current().hash, &key));
    }
    const auto* map = find_stored<MapOf<Stored>>();
    if (map == nullptr) {
      return nullptr;
    }
    const auto entry = map->find(key);
    return entry == map->end() ? nullptr : &entry->second;
  }
  template <class Stored>
  Stored* find_entry_for_update(const K& key) const {
    if (table_ != nullptr) {
      return static_cast<Stored*>(table_->find_for_update(current().key, current().hash, &key));
    }
    auto* map = find_stored_for_update<MapOf<Stored>>();
    if (map == nullptr) {
      return nullptr;
    }
    const auto entry = map->find(key);
    return entry == map->end() ? nullptr : &entry->second;
  }
  template <class Stored>
  Stored& find_or_create_entry(const K& key) {
    if (table_ != nullptr) {
      return *static_cast<Stored*>(table_->find_or_create(current().key, current().hash, &key));
    }
    return find_or_create_stored<MapOf<Stored>>()[key];
  }
  template <class Stored>
  void erase_entry(const K& key) const {
    if (table_ != nullptr) {
      table_->erase(current().key, current().hash, &key);
      return;
    }
    const auto* found = find_stored<MapOf<Stored>>();
    if (found == nullptr || !found->contains(key)) {
      return;
    }
    auto* map = find_stored_for_update<MapOf<Stored>>();
    map->erase(key);
    if (map->empty()) {
      erase_stored();
    }
  }
  /// Of entries that are kept one by one, until `visit` says false.
  template <class F>
  void for_each_unexpired(const F& visit) const {
    table_->for_each(current().key, current().hash, [&](const void* key, const void* stored) {
      const K& map_key = *static_cast<const K*>(key);
      if (ttl() == nullptr) {
        return visit(map_key, *static_cast<const V*>(stored));
      }
      const auto& entry = *static_cast<const Entry*>(stored);
      return ttl()->is_expired(entry) && ttl()->hides_expired() ? true
                                                                : visit(map_key, entry.value);
    });
  }

  MapTable* table_ = nullptr;
  mutable Map copied_;
};

/// One value per key that every added one is folded into by a reduce function T(const T&, const
/// T&).
template <class T>
class ReducingState : public detail::SingleValueHandle<T> {
 public:
  using ReduceFunction = std::function<T(const T&, const T&)>;

  ReducingState() = default;
  ReducingState(detail::SingleValueHandle<T> handle, ReduceFunction reduce)
      : detail::SingleValueHandle<T>(std::move(handle)), reduce_(std::move(reduce)) {}

  /// What was added so far, reduced; null when nothing was. Valid until the next change of any
  /// state.
  const T* get() const { return this->find(); }
  void add(T value) {
    if (T* found = this->find_for_update()) {
      *found = reduce_(std::as_const(*found), std::as_const(value));
    } else {
      this->find_or_create() = std::move(value);
    }
  }

 private:
  ReduceFunction reduce_;
};

/// The accumulator of an AggregateFunction per key; In: what is added to it.
template <class In, class A>
  requires AggregateFunction<A, In>
class AggregatingState : public detail::SingleValueHandle<typename A::Accumulator> {
  using Base = detail::SingleValueHandle<typename A::Accumulator>;

 public:
  AggregatingState() = default;
  AggregatingState(Base handle, A function)
      : Base(std::move(handle)), function_(std::move(function)) {}

  /// The result for what was added so far; nothing when nothing was.
  std::optional<AggregateResult<A>> get() const {
    const auto* found = this->find();
    return found == nullptr ? std::nullopt : std::optional(function_->get_result(*found));
  }
  void add(const In& value) {
    auto* found = this->find_for_update();
    if (found == nullptr) {
      found = &this->find_or_create();
      *found = function_->create_accumulator();
    }
    function_->add(*found, value);
  }

 private:
  std::optional<A> function_;
};

template <Encodable K, Encodable V>
struct Codec<std::unordered_map<K, V, detail::UserKeyHash>>
    : detail::MapCodec<std::unordered_map<K, V, detail::UserKeyHash>> {};

}  // namespace weir
