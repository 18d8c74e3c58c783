#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "weir/key_hash.h"
#include "weir/keyed_state.h"
#include "weir/operator_state_backend.h"

/// State of an operator instance as a whole, not of a key: lists, union lists, broadcast state. It
/// lives in memory and in the manifest of each checkpoint, so it is meant to be small.
namespace weir {

namespace detail {

/// What a handle of operator state points to; it goes into the backend at each barrier.
class StoredOperatorState {
 public:
  explicit StoredOperatorState(std::string name) : name_(std::move(name)) {}
  virtual ~StoredOperatorState() = default;
  virtual const TypeOps* key_type() const { return nullptr; }
  virtual const TypeOps& value_type() const = 0;
  /// kCorruption: an item is not of its type.
  virtual Status restore(const OperatorStateBackend::Restored& restored) = 0;
  virtual std::vector<std::string> items() const = 0;

  const std::string& name() const { return name_; }
  void mark_changed() { is_changed_ = true; }
  bool take_changed() { return std::exchange(is_changed_, false); }

 protected:
  Error malformed() const {
    return {ErrorCode::kCorruption, "operator state '" + name_ + "': an item cannot be decoded"};
  }

 private:
  const std::string name_;
  bool is_changed_ = false;
};

template <class T>
class StoredList final : public StoredOperatorState {
 public:
  using StoredOperatorState::StoredOperatorState;
  const TypeOps& value_type() const override { return type_ops<T>(); }
  Status restore(const OperatorStateBackend::Restored& restored) override {
    others = restored.others;
    for (const std::string& item : restored.items) {
      auto value = decode_value<T>(item);
      if (!value.has_value()) {
        return malformed();
      }
      list.push_back(*std::move(value));
    }
    return {};
  }
  std::vector<std::string> items() const override {
    std::vector<std::string> items;
    for (std::size_t i = others; i < list.size(); ++i) {
      items.push_back(encode_value<T>(list[i]));
    }
    return items;
  }

  std::vector<T> list;
  std::size_t others = 0;  ///< so many at the front are stored by other subtasks
};

template <class K, class V>
class StoredMap final : public StoredOperatorState {
 public:
  using StoredOperatorState::StoredOperatorState;
  const TypeOps* key_type() const override { return &type_ops<K>(); }
  const TypeOps& value_type() const override { return type_ops<V>(); }
  Status restore(const OperatorStateBackend::Restored& restored) override {
    for (const std::string& item : restored.items) {
      Decoder in(item);
      auto key = decode_value<K>(in.view(in.count()));
      auto value = decode_value<V>(in.rest());
      if (!in.ok() || !key.has_value() || !value.has_value()) {
        return malformed();
      }
      map.insert_or_assign(*std::move(key), *std::move(value));
    }
    return {};
  }
  std::vector<std::string> items() const override {
    std::vector<std::string> items;
    for (const auto& [key, value] : map) {
      std::string& item = items.emplace_back();
      Encoder out(item);
      const std::string encoded = encode_value<K>(key);
      out.varint(encoded.size());
      out.bytes(encoded.data(), encoded.size());
      Codec<V>::encode(value, out);
    }
    return items;
  }

  std::unordered_map<K, V, UserKeyHash> map;
};

template <class T>
constexpr void check_operator_state() {
  static_assert(Encodable<T> && std::is_default_constructible_v<T>,
                "weir: operator state holds values that can be stored: numbers, enums, strings, "
                "standard containers, and structs of these without bases; or a "
                "default-constructible type with a weir::Codec");
}

}  // namespace detail

/// A list of one subtask. After a restore with another parallelism, the items of list state are
/// dealt out to the subtasks; those of union list state go to all of them.
template <class T>
class OperatorListState {
 public:
  OperatorListState() = default;
  explicit OperatorListState(std::shared_ptr<detail::StoredList<T>> stored)
      : stored_(std::move(stored)) {}

  /// Of union list state after a restore: the items of all subtasks, this one's last. Valid until
  /// the next change.
  const std::vector<T>& get() const { return stored_->list; }
  void add(T item) {
    stored_->list.push_back(std::move(item));
    stored_->mark_changed();
  }
  void add_all(const std::vector<T>& items) {
    stored_->list.insert(stored_->list.end(), items.begin(), items.end());
    stored_->mark_changed();
  }
  /// Replaces the list. Of union list state, what the other subtasks store stays theirs.
  void update(std::vector<T> items) {
    stored_->list = std::move(items);
    stored_->others = 0;
    stored_->mark_changed();
  }
  void clear() { update({}); }

 private:
  std::shared_ptr<detail::StoredList<T>> stored_;
};

/// Declares broadcast state: a map of one name that every subtask holds an equal copy of.
template <class K, class V>
class MapStateDescriptor {
  static_assert(Key<K>, "weir: the keys of broadcast state must be what key_by() takes as a key");

 public:
  explicit MapStateDescriptor(std::string name) : name_(std::move(name)) {
    detail::check_operator_state<V>();
  }
  const std::string& name() const { return name_; }

 private:
  std::string name_;
};

/// Broadcast state as records see it that are not broadcast.
template <class K, class V>
class ReadOnlyBroadcastState {
 public:
  using Map = std::unordered_map<K, V, detail::UserKeyHash>;
  explicit ReadOnlyBroadcastState(detail::StoredMap<K, V>& stored) : stored_(&stored) {}

  /// The entry's value, or null. Valid until the next change.
  const V* get(const K& key) const {
    const auto found = stored_->map.find(key);
    return found == stored_->map.end() ? nullptr : &found->second;
  }
  bool contains(const K& key) const { return stored_->map.contains(key); }
  bool empty() const { return stored_->map.empty(); }
  /// In no order, which differs between subtasks.
  const Map& entries() const { return stored_->map; }

 protected:
  detail::StoredMap<K, V>& stored() const { return *stored_; }

 private:
  detail::StoredMap<K, V>* stored_;
};

/// Broadcast state as broadcast records see it. Every subtask must make the same of the same
/// records: their order may differ between subtasks if they come from several.
template <class K, class V>
class BroadcastState : public ReadOnlyBroadcastState<K, V> {
 public:
  using ReadOnlyBroadcastState<K, V>::ReadOnlyBroadcastState;

  void put(const K& key, V value) { mutable_value(key) = std::move(value); }
  /// The entry's value to change in place, default-constructed when absent. Valid during the call
  /// of the process function.
  V& mutable_value(const K& key) {
    this->stored().mark_changed();
    return this->stored().map[key];
  }
  void remove(const K& key) {
    this->stored().mark_changed();
    this->stored().map.erase(key);
  }
  void clear() {
    this->stored().mark_changed();
    this->stored().map.clear();
  }
};

/// The operator state of one operator in one subtask; offered to process functions when they open.
class OperatorStateStore {
 public:
  explicit OperatorStateStore(OperatorStateBackend& backend) : backend_(backend) {}

  template <class T>
  OperatorListState<T> list_state(const std::string& name) {
    return open_list<T>(name, OperatorStateBackend::Redistribution::kSplit);
  }
  template <class T>
  OperatorListState<T> union_list_state(const std::string& name) {
    return open_list<T>(name, OperatorStateBackend::Redistribution::kUnion);
  }

  /// For the runtime: opens what broadcast() declared.
  template <class K, class V>
  void open_broadcast_state(const std::string& name) {
    open(std::make_shared<detail::StoredMap<K, V>>(name),
         OperatorStateBackend::Redistribution::kBroadcast);
  }
  /// For the runtime. Throws std::invalid_argument when there is none of this name and type.
  template <class K, class V>
  detail::StoredMap<K, V>& broadcast_state(const std::string& name) const {
    for (const auto& state : states_) {
      if (state->name() == name && state->key_type() == &type_ops<K>() &&
          &state->value_type() == &type_ops<V>()) {
        return static_cast<detail::StoredMap<K, V>&>(*state);
      }
    }
    throw std::invalid_argument("broadcast state '" + name +
                                "' was not given to broadcast() with these types");
  }
  /// For the runtime: hands what has changed to the backend.
  void snapshot() {
    for (const auto& state : states_) {
      if (state->take_changed()) {
        backend_.set(state->name(), state->items());
      }
    }
  }
  /// First failure of a declaration.
  const Status& status() const { return status_; }

 private:
  template <class T>
  OperatorListState<T> open_list(const std::string& name,
                                 OperatorStateBackend::Redistribution redistribution) {
    detail::check_operator_state<T>();
    auto list = std::make_shared<detail::StoredList<T>>(name);
    open(list, redistribution);
    return OperatorListState<T>(std::move(list));
  }
  void open(const std::shared_ptr<detail::StoredOperatorState>& state,
            OperatorStateBackend::Redistribution redistribution) {
    const auto restored =
        backend_.open({state->name(), redistribution, state->key_type(), &state->value_type()});
    const Status opened = restored.ok() ? state->restore(restored.value()) : restored.status();
    if (!opened.ok()) {
      status_ = status_.ok() ? opened : status_;
      return;  // The handle works on an empty state until the operator is let go.
    }
    states_.push_back(state);
  }

  OperatorStateBackend& backend_;
  std::vector<std::shared_ptr<detail::StoredOperatorState>> states_;
  Status status_;
};

}  // namespace weir
