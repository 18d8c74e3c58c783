#include "weir/batch.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace weir {
namespace {

constexpr std::size_t kColumnAlignment = 64;

constexpr std::size_t round_up(std::size_t size) {
  return (size + kColumnAlignment - 1) / kColumnAlignment * kColumnAlignment;
}

}  // namespace

std::size_t Batch::default_capacity(const TypeOps& type) {
  constexpr std::size_t kRecordBytesMax = 32 * 1024;
  return std::clamp<std::size_t>(kRecordBytesMax / type.size, 32, 1024);
}

BatchPtr Batch::make(const TypeOps& type, std::size_t capacity) {
  WEIR_CHECK(capacity > 0 && type.alignment <= kColumnAlignment);
  const std::size_t header = round_up(sizeof(Batch));
  const std::size_t records = round_up(capacity * type.size);
  const std::size_t timestamps = round_up(capacity * sizeof(TimestampMs));
  const std::size_t hashes = round_up(capacity * sizeof(std::uint32_t));
  auto* memory = static_cast<std::byte*>(
      ::operator new(header + records + timestamps + hashes, std::align_val_t{kColumnAlignment}));
  BatchPtr batch(::new (static_cast<void*>(memory)) Batch(type, capacity));
  batch->records_ = memory + header;
  batch->timestamps_ = reinterpret_cast<TimestampMs*>(memory + header + records);
  batch->key_hashes_ = reinterpret_cast<std::uint32_t*>(memory + header + records + timestamps);
  return batch;
}

void Batch::operator delete(void* memory) {
  ::operator delete(memory, std::align_val_t{kColumnAlignment});
}

Batch::~Batch() { clear(); }

void Batch::clear() {
  if (!type_->is_trivially_copyable) {
    for (std::size_t i = 0; i < size_; ++i) {
      type_->destroy(record_at(i));
    }
  }
  size_ = 0;
  is_keyed_ = false;
}

std::size_t Batch::memory_bytes() const {
  const std::size_t columns =
      capacity_ * (type_->size + sizeof(TimestampMs) + sizeof(std::uint32_t));
  return sizeof(Batch) + columns +
         (type_->heap_bytes == nullptr ? 0 : type_->heap_bytes(records_, size_));
}

void Batch::append_copy(const Batch& from, std::size_t i) {
  WEIR_CHECK(size_ < capacity_);
  if (type_->is_trivially_copyable) {
    std::memcpy(record_at(size_), from.record_at(i), type_->size);
  } else {
    WEIR_CHECK(type_->copy_construct != nullptr);
    type_->copy_construct(record_at(size_), from.record_at(i));
  }
  timestamps_[size_] = from.timestamps_[i];
  key_hashes_[size_] = from.key_hashes_[i];
  ++size_;
}

BatchPtr Batch::clone() const {
  BatchPtr copy = make(*type_, std::max<std::size_t>(size_, 1));
  if (type_->is_trivially_copyable) {
    std::memcpy(copy->records_, records_, size_ * type_->size);
  } else {
    WEIR_CHECK_MESSAGE(type_->copy_construct != nullptr, type_->name);
    for (std::size_t i = 0; i < size_; ++i) {
      type_->copy_construct(copy->record_at(i), record_at(i));
      copy->size_ = static_cast<std::uint32_t>(i + 1);
    }
  }
  std::memcpy(copy->timestamps_, timestamps_, size_ * sizeof(TimestampMs));
  if (is_keyed_) {
    std::memcpy(copy->key_hashes_, key_hashes_, size_ * sizeof(std::uint32_t));
  }
  copy->size_ = size_;
  copy->is_keyed_ = is_keyed_;
  return copy;
}

TimestampMs Batch::max_timestamp() const {
  WEIR_CHECK(size_ > 0);
  return *std::max_element(timestamps_, timestamps_ + size_);
}

}  // namespace weir
