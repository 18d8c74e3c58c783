#include "state/timestamp_set.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "weir/check.h"

namespace weir::state {

TimestampSet::TimestampSet(const TimestampSet& other)
    : size_(other.size_), capacity_(other.capacity_), one_(other.one_) {
  if (capacity_ != 0) {
    many_ = new std::int64_t[capacity_];
    std::copy(other.begin(), other.end(), many_);
  }
}

TimestampSet::TimestampSet(TimestampSet&& other) noexcept
    : size_(std::exchange(other.size_, 0)), capacity_(std::exchange(other.capacity_, 0)) {
  if (capacity_ == 0) {
    one_ = other.one_;
  } else {
    many_ = other.many_;
  }
}

TimestampSet& TimestampSet::operator=(TimestampSet other) noexcept {
  if (capacity_ != 0) {
    delete[] many_;
  }
  size_ = std::exchange(other.size_, 0);
  capacity_ = std::exchange(other.capacity_, 0);
  if (capacity_ == 0) {
    one_ = other.one_;
  } else {
    many_ = other.many_;
  }
  return *this;
}

TimestampSet::~TimestampSet() {
  if (capacity_ != 0) {
    delete[] many_;
  }
}

bool TimestampSet::contains(std::int64_t timestamp) const {
  return std::binary_search(begin(), end(), timestamp);
}

void TimestampSet::grow() {
  const std::uint32_t room = capacity_ == 0 ? 1 : capacity_;
  if (size_ < room) {
    return;
  }
  WEIR_CHECK(room <= std::numeric_limits<std::uint32_t>::max() / 2);
  const std::uint32_t capacity = std::max(4U, room * 2);
  auto* grown = new std::int64_t[capacity];
  std::copy(begin(), end(), grown);
  if (capacity_ != 0) {
    delete[] many_;
  }
  many_ = grown;
  capacity_ = capacity;
}

bool TimestampSet::insert(std::int64_t timestamp) {
  const std::int64_t* found = std::lower_bound(begin(), end(), timestamp);
  if (found != end() && *found == timestamp) {
    return false;
  }
  const std::ptrdiff_t at = found - begin();
  grow();
  std::int64_t* timestamps = data();
  std::copy_backward(timestamps + at, timestamps + size_, timestamps + size_ + 1);
  timestamps[at] = timestamp;
  ++size_;
  return true;
}

bool TimestampSet::erase(std::int64_t timestamp) {
  const std::int64_t* found = std::lower_bound(begin(), end(), timestamp);
  if (found == end() || *found != timestamp) {
    return false;
  }
  const std::ptrdiff_t at = found - begin();
  std::int64_t* timestamps = data();
  std::copy(timestamps + at + 1, timestamps + size_, timestamps + at);
  --size_;
  return true;
}

}  // namespace weir::state
