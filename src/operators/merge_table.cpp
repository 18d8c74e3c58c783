#include "operators/merge_table.h"

#include <bit>
#include <new>

#include "weir/check.h"

namespace weir::operators {

MergeTable::MergeTable(const TypeOps& key, const WindowFunctions& functions, std::size_t expected)
    : key_(key),
      functions_(functions),
      type_(functions.accumulator_type()),
      slots_(std::bit_ceil(expected * 2 + 1)),
      key_storage_(make_storage(key, expected + 1)),
      storage_(make_storage(type_, expected + 1)) {
  WEIR_CHECK(key.equals != nullptr && type_.copy_construct != nullptr);
  keys_.reserve(expected);
  hashes_.reserve(expected);
}

std::byte* MergeTable::make_storage(const TypeOps& type, std::size_t count) {
  return static_cast<std::byte*>(
      ::operator new(type.size * count, std::align_val_t{type.alignment}));
}

MergeTable::~MergeTable() {
  if (!key_.is_trivially_copyable) {
    for (std::size_t i = 0; i < keys_.size(); ++i) {
      key_.destroy(key_storage_ + i * key_.size);
    }
  }
  ::operator delete(key_storage_, std::align_val_t{key_.alignment});
  if (!type_.is_trivially_copyable) {
    for (std::size_t i = 0; i < keys_.size(); ++i) {
      type_.destroy(storage_ + i * type_.size);
    }
  }
  ::operator delete(storage_, std::align_val_t{type_.alignment});
}

void MergeTable::add(const void* key, std::uint32_t hash, const void* accumulator) {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t slot = hash & mask;; slot = (slot + 1) & mask) {
    const std::uint32_t entry = slots_[slot];
    if (entry == 0) {
      type_.copy_construct(storage_ + keys_.size() * type_.size, accumulator);
      std::byte* const own_key = key_storage_ + keys_.size() * key_.size;
      key_.copy_construct(own_key, key);
      keys_.push_back(own_key);
      hashes_.push_back(hash);
      slots_[slot] = static_cast<std::uint32_t>(keys_.size());
      return;
    }
    const std::size_t index = entry - 1;
    if (hashes_[index] == hash && key_.equals(keys_[index], key)) {
      functions_.merge(storage_ + index * type_.size, accumulator);
      return;
    }
  }
}

}  // namespace weir::operators
