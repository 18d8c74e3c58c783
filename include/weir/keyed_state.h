#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "weir/key_hash.h"
#include "weir/state_table.h"

namespace weir {

namespace detail {

/// The key whose record or timer is being processed; shared by an operator's state handles.
struct CurrentKey {
  const void* key = nullptr;
  std::uint32_t hash = 0;
};

template <class V>
class StateHandle {
 public:
  StateHandle() = default;
  StateHandle(StateTable* table, const CurrentKey* current) : table_(table), current_(current) {}

 protected:
  const V* find() const {
    return static_cast<const V*>(table_->find(kNoNamespace, current_->key, current_->hash));
  }
  V* find_for_update() {
    return static_cast<V*>(
        table_->find_for_update(kNoNamespace, current_->key, current_->hash));
  }
  V& find_or_create() {
    return *static_cast<V*>(
        table_->find_or_create(kNoNamespace, current_->key, current_->hash));
  }
  void erase() { table_->erase(kNoNamespace, current_->key, current_->hash); }

 private:
  StateTable* table_ = nullptr;
  const CurrentKey* current_ = nullptr;
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
class ValueState : public detail::StateHandle<T> {
  using Base = detail::StateHandle<T>;

 public:
  using Base::Base;
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
  void clear() { this->erase(); }
};

/// A list per key.
template <class T>
class ListState : public detail::StateHandle<std::vector<T>> {
  using Base = detail::StateHandle<std::vector<T>>;

 public:
  using Base::Base;
  /// The elements in insertion order; null when there are none.
  const std::vector<T>* get() const { return this->find(); }
  void add(T element) { this->find_or_create().push_back(std::move(element)); }
  void add_all(const std::vector<T>& elements) {
    if (!elements.empty()) {
      auto& list = this->find_or_create();
      list.insert(list.end(), elements.begin(), elements.end());
    }
  }
  /// Replaces the list.
  void update(std::vector<T> elements) {
    if (elements.empty()) {
      clear();
    } else {
      this->find_or_create() = std::move(elements);
    }
  }
  void clear() { this->erase(); }
};

/// A map per key.
template <class K, class V>
class MapState : public detail::StateHandle<std::unordered_map<K, V, detail::UserKeyHash>> {
 public:
  using Map = std::unordered_map<K, V, detail::UserKeyHash>;
  using detail::StateHandle<Map>::StateHandle;

  /// The entry's value, or null. Valid until the next change of any state.
  const V* get(const K& key) const {
    const Map* map = this->find();
    if (map == nullptr) {
      return nullptr;
    }
    const auto entry = map->find(key);
    return entry == map->end() ? nullptr : &entry->second;
  }
  bool contains(const K& key) const { return get(key) != nullptr; }
  void put(const K& key, V value) { this->find_or_create()[key] = std::move(value); }
  /// The entry's value to change in place, default-constructed when absent.
  V& mutable_value(const K& key) { return this->find_or_create()[key]; }
  void remove(const K& key) {
    if (!contains(key)) {
      return;
    }
    Map* map = this->find_for_update();
    map->erase(key);
    if (map->empty()) {
      clear();
    }
  }
  bool empty() const { return this->find() == nullptr; }
  /// All entries; null when there are none.
  const Map* entries() const { return this->find(); }
  void clear() { this->erase(); }
};

template <Encodable K, Encodable V>
struct Codec<std::unordered_map<K, V, detail::UserKeyHash>>
    : detail::MapCodec<std::unordered_map<K, V, detail::UserKeyHash>> {};

}  // namespace weir
