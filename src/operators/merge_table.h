#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "weir/type_ops.h"
#include "weir/window_operator.h"

namespace weir::operators {

/// Merges the accumulators of equal keys out of several slices while one window fires. Both are
/// copied: a table hands them out for the time of a call.
class MergeTable {
 public:
  /// `functions` must outlive the table. `expected` = upper bound of the number of distinct keys.
  MergeTable(const TypeOps& key, const WindowFunctions& functions, std::size_t expected);
  ~MergeTable();
  MergeTable(const MergeTable&) = delete;
  MergeTable& operator=(const MergeTable&) = delete;

  void add(const void* key, std::uint32_t hash, const void* accumulator);

  std::size_t size() const { return keys_.size(); }
  const void* const* keys() const { return keys_.data(); }
  const std::uint32_t* hashes() const { return hashes_.data(); }
  const void* accumulator(std::size_t i) const { return storage_ + i * type_.size; }

 private:
  /// Where its keys and accumulators are.
  static std::byte* make_storage(const TypeOps& type, std::size_t count);

  const TypeOps& key_;
  const WindowFunctions& functions_;
  const TypeOps& type_;
  std::vector<std::uint32_t> slots_;  // index + 1; 0 = empty; size is a power of two
  std::vector<const void*> keys_;
  std::vector<std::uint32_t> hashes_;
  std::byte* key_storage_;
  std::byte* storage_;
};

}  // namespace weir::operators
