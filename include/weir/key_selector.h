#pragma once

#include <functional>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "weir/batch.h"
#include "weir/key_hash.h"
#include "weir/state_table.h"

namespace weir {

/// Finds the keys of a batch's records; the erased form of key_by's argument. One erased call per
/// batch; immutable and shared by all subtasks.
class KeySelector {
 public:
  virtual ~KeySelector() = default;
  virtual const TypeOps& key_type() const = 0;
  /// Fills batch.key_hashes() and marks the batch as keyed.
  virtual void hash(Batch& batch) const = 0;
  /// Memory for the keys of one batch, kept by the caller from batch to batch.
  class Scratch {
   public:
    virtual ~Scratch() = default;
  };
  virtual std::unique_ptr<Scratch> make_scratch() const = 0;
  /// The keys of all records. They live in the records or in `scratch`, until either changes.
  /// REQUIRES: batch.is_keyed().
  virtual KeyColumn keys(const Batch& batch, Scratch& scratch) const = 0;
};

namespace detail {

template <class T, class F>
using KeyOf = std::remove_cvref_t<std::invoke_result_t<const F&, const T&>>;

template <class T, class F>
class TypedKeySelector final : public KeySelector {
 public:
  using K = KeyOf<T, F>;

  explicit TypedKeySelector(F function) : function_(std::move(function)) {}

  const TypeOps& key_type() const override { return type_ops<K>(); }

  void hash(Batch& batch) const override {
    const std::size_t size = batch.size();
    const T* const records = std::as_const(batch).template records<T>().data();
    std::uint32_t* const hashes = batch.key_hashes();
    for (std::size_t i = 0; i < size; ++i) {
      hashes[i] = key_hash(static_cast<const K&>(std::invoke(function_, records[i])));
    }
    batch.set_keyed(true);
  }

  std::unique_ptr<Scratch> make_scratch() const override {
    return std::make_unique<TypedScratch>();
  }

  KeyColumn keys(const Batch& batch, Scratch& scratch) const override {
    const auto records = batch.records<T>();
    KeyColumn column;
    column.hashes = batch.key_hashes();
    column.count = records.size();
    if (records.empty()) {
      return column;
    }
    if constexpr (std::is_member_object_pointer_v<F>) {
      // The keys lie in the records already.
      column.data = reinterpret_cast<const std::byte*>(&std::invoke(function_, records.front()));
      column.stride = sizeof(T);
    } else {
      auto& copies = static_cast<TypedScratch&>(scratch).keys;
      copies.clear();
      copies.reserve(records.size());
      for (const T& record : records) {
        copies.push_back(KeyBox{std::invoke(function_, record)});
      }
      column.data = reinterpret_cast<const std::byte*>(copies.data());
      column.stride = sizeof(KeyBox);
    }
    return column;
  }

 private:
  struct KeyBox {  // keeps vector<bool> out of it
    K key;
  };
  struct TypedScratch final : Scratch {
    std::vector<KeyBox> keys;
  };

  F function_;
};

}  // namespace detail
}  // namespace weir
