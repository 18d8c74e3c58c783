#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace weir::kafka {

/// Appends values in Kafka's wire form: big-endian, and for "flexible" request versions the compact
/// forms with unsigned varints (https://kafka.apache.org/protocol). Pure.
class WireWriter {
 public:
  explicit WireWriter(std::string& out) : out_(out) {}

  template <std::integral T>
  void integer(T value) {
    using Unsigned = std::make_unsigned_t<T>;
    const auto bits = static_cast<Unsigned>(value);
    for (std::size_t i = sizeof(T); i-- > 0;) {
      out_.push_back(static_cast<char>(static_cast<std::uint64_t>(bits) >> (8 * i)));
    }
  }
  void boolean(bool value) { out_.push_back(value ? '\1' : '\0'); }
  void raw(std::string_view bytes) { out_.append(bytes); }
  void varint(std::uint32_t value) {
    while (value >= 0x80) {
      out_.push_back(static_cast<char>(value | 0x80));
      value >>= 7;
    }
    out_.push_back(static_cast<char>(value));
  }

  /// REQUIRES: at most 32,767 bytes; callers check ids and names before they get here.
  void string(std::string_view value);
  void nullable_string(const std::optional<std::string>& value);
  void bytes(std::string_view value);
  void array(std::size_t count) { integer(static_cast<std::int32_t>(count)); }

  void compact_string(std::string_view value);
  void compact_array(std::size_t count) { varint(static_cast<std::uint32_t>(count + 1)); }
  /// An empty section of tagged fields.
  void no_tags() { varint(0); }

 private:
  std::string& out_;
};

/// Reads values in Kafka's wire form. Never reads past the end and never trusts a count: the first
/// short or malformed value makes ok() false for good, and all that is read after it is empty or 0.
class WireReader {
 public:
  explicit WireReader(std::string_view data) : data_(data) {}
  explicit WireReader(std::string&&) = delete;  // it would be gone by the first read

  bool ok() const { return ok_; }
  std::size_t remaining() const { return data_.size(); }
  void fail() {
    ok_ = false;
    data_ = {};
  }

  template <std::integral T>
  T integer() {
    if (data_.size() < sizeof(T)) {
      fail();
      return 0;
    }
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      value = (value << 8) | static_cast<unsigned char>(data_[i]);
    }
    data_.remove_prefix(sizeof(T));
    return static_cast<T>(value);
  }
  bool boolean() { return integer<std::int8_t>() != 0; }
  std::string_view raw(std::size_t size);
  std::uint32_t varint();

  std::string string();
  std::optional<std::string> nullable_string();
  std::string bytes();
  /// Number of elements, each of at least `element_size_min` bytes. Null counts as empty.
  std::size_t array(std::size_t element_size_min = 1);

  std::string compact_string();
  std::optional<std::string> compact_nullable_string();
  std::size_t compact_array(std::size_t element_size_min = 1);
  void skip_tags();

 private:
  std::size_t checked_count(std::int64_t count, std::size_t element_size_min);

  std::string_view data_;
  bool ok_ = true;
};

}  // namespace weir::kafka
