#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "weir/codec.h"

namespace weir::state {

/// The timestamps of the timers of one (key, namespace): a sorted set that holds a single one, the
/// usual case, without an allocation.
class TimestampSet {
 public:
  TimestampSet() = default;
  TimestampSet(const TimestampSet& other);
  TimestampSet(TimestampSet&& other) noexcept;
  TimestampSet& operator=(TimestampSet other) noexcept;
  ~TimestampSet();

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  const std::int64_t* begin() const { return capacity_ == 0 ? &one_ : many_; }
  const std::int64_t* end() const { return begin() + size_; }

  bool contains(std::int64_t timestamp) const;
  /// False if it was there.
  bool insert(std::int64_t timestamp);
  /// False if it was not there.
  bool erase(std::int64_t timestamp);

 private:
  std::int64_t* data() { return capacity_ == 0 ? &one_ : many_; }
  void grow();

  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = 0;  ///< of many_; 0: one_ is the storage
  union {
    std::int64_t one_ = 0;
    std::int64_t* many_;
  };
};

}  // namespace weir::state

/// Count, then the timestamps in strictly ascending order as i64. Never empty.
template <>
struct weir::Codec<weir::state::TimestampSet> {
  static std::string schema() { return "timers"; }
  static void encode(const state::TimestampSet& value, Encoder& out) {
    out.varint(value.size());
    for (const std::int64_t timestamp : value) {
      out.raw(timestamp);
    }
  }
  static void decode(Decoder& in, state::TimestampSet& value) {
    const std::size_t count = in.count();
    value = state::TimestampSet();
    if (count == 0 || count > in.remaining() / sizeof(std::int64_t)) {
      in.fail();
      return;
    }
    for (std::size_t i = 0; i < count; ++i) {
      const auto timestamp = in.raw<std::int64_t>();
      if (i != 0 && timestamp <= value.end()[-1]) {
        in.fail();
        return;
      }
      value.insert(timestamp);
    }
  }
};
