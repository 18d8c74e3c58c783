#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "weir/check.h"
#include "weir/time.h"
#include "weir/type_ops.h"

namespace weir {

class Batch;
/// Batches move between operators and tasks by pointer; nobody shares one.
using BatchPtr = std::unique_ptr<Batch>;

/// A run of records of one type with an event time each and, downstream of key_by, a key hash each.
/// Columns: records()[i], timestamps()[i], key_hashes()[i] belong together.
///
/// Invariant: records [0, size()) are constructed objects of type(); the rest is raw memory.
class Batch {
 public:
  /// Records per batch that keep its live columns within the first cache levels.
  static std::size_t default_capacity(const TypeOps& type);

  static BatchPtr make(const TypeOps& type, std::size_t capacity);
  template <class T>
  static BatchPtr make() {
    return make(type_ops<T>(), default_capacity(type_ops<T>()));
  }
  ~Batch();
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
  static void operator delete(void* memory);

  const TypeOps& type() const { return *type_; }
  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }
  bool full() const { return size_ == capacity_; }
  /// True when key_hashes() are filled in.
  bool is_keyed() const { return is_keyed_; }
  void set_keyed(bool is_keyed) { is_keyed_ = is_keyed; }

  std::byte* data() { return records_; }
  const std::byte* data() const { return records_; }
  void* record_at(std::size_t i) { return records_ + i * type_->size; }
  const void* record_at(std::size_t i) const { return records_ + i * type_->size; }
  TimestampMs* timestamps() { return timestamps_; }
  const TimestampMs* timestamps() const { return timestamps_; }
  std::uint32_t* key_hashes() { return key_hashes_; }
  const std::uint32_t* key_hashes() const { return key_hashes_; }

  template <class T>
  std::span<T> records() {
    return {reinterpret_cast<T*>(records_), size_};
  }
  template <class T>
  std::span<const T> records() const {
    return {reinterpret_cast<const T*>(records_), size_};
  }

  /// REQUIRES: !full(), and T is the batch's type.
  template <class T>
  void push_back(T&& record, TimestampMs timestamp) {
    using Record = std::remove_cvref_t<T>;
    ::new (static_cast<void*>(reinterpret_cast<Record*>(records_) + size_))
        Record(std::forward<T>(record));
    timestamps_[size_++] = timestamp;
  }

  /// Declares records [0, size) constructed; whoever writes the columns directly calls this last.
  void set_size(std::size_t size) { size_ = static_cast<std::uint32_t>(size); }

  /// Appends a copy of row `i` of `from`, with its time and hash. REQUIRES: !full(), equal types.
  void append_copy(const Batch& from, std::size_t i);
  /// Moves row `i` of `from` here, with its time and hash. What is left of it is raw memory, which
  /// the caller keeps `from` from destroying: by set_size(), once its rows are gone.
  /// REQUIRES: !full(), equal types.
  void append_moved(Batch& from, std::size_t i) {
    type_->relocate(record_at(size_), from.record_at(i));
    timestamps_[size_] = from.timestamps_[i];
    key_hashes_[size_] = from.key_hashes_[i];
    ++size_;
  }
  /// A copy of all columns. REQUIRES: a copyable record type.
  BatchPtr clone() const;
  void clear();

  /// What the batch takes, with what its records own; an estimate.
  std::size_t memory_bytes() const;

  /// The greatest event time. REQUIRES: !empty().
  TimestampMs max_timestamp() const;

 private:
  Batch(const TypeOps& type, std::size_t capacity)
      : type_(&type), capacity_(static_cast<std::uint32_t>(capacity)) {}

  const TypeOps* type_;
  std::uint32_t size_ = 0;
  std::uint32_t capacity_;
  bool is_keyed_ = false;
  std::byte* records_ = nullptr;
  TimestampMs* timestamps_ = nullptr;
  std::uint32_t* key_hashes_ = nullptr;
};

}  // namespace weir
