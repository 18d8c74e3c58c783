#include "kafka/wire.h"

#include "weir/check.h"

namespace weir::kafka {

void WireWriter::string(std::string_view value) {
  WEIR_CHECK(value.size() <= 32'767);
  integer(static_cast<std::int16_t>(value.size()));
  raw(value);
}

void WireWriter::nullable_string(const std::optional<std::string>& value) {
  if (value.has_value()) {
    string(*value);
  } else {
    integer(std::int16_t{-1});
  }
}

void WireWriter::bytes(std::string_view value) {
  integer(static_cast<std::int32_t>(value.size()));
  raw(value);
}

void WireWriter::compact_string(std::string_view value) {
  varint(static_cast<std::uint32_t>(value.size() + 1));
  raw(value);
}

std::string_view WireReader::raw(std::size_t size) {
  if (data_.size() < size) {
    fail();
    return {};
  }
  const std::string_view result = data_.substr(0, size);
  data_.remove_prefix(size);
  return result;
}

std::uint32_t WireReader::varint() {
  std::uint32_t value = 0;
  for (int shift = 0; shift < 35; shift += 7) {
    if (data_.empty()) {
      break;
    }
    const auto byte = static_cast<unsigned char>(data_.front());
    data_.remove_prefix(1);
    if (shift == 28 && byte > 0x0f) {
      break;
    }
    value |= static_cast<std::uint32_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) {
      return value;
    }
  }
  fail();
  return 0;
}

std::string WireReader::string() {
  const auto size = integer<std::int16_t>();
  if (size < 0) {
    fail();
    return {};
  }
  return std::string(raw(static_cast<std::size_t>(size)));
}

std::optional<std::string> WireReader::nullable_string() {
  const auto size = integer<std::int16_t>();
  if (size == -1 || !ok_) {
    return std::nullopt;
  }
  if (size < 0) {
    fail();
    return std::nullopt;
  }
  return std::string(raw(static_cast<std::size_t>(size)));
}

std::string WireReader::bytes() {
  const auto size = integer<std::int32_t>();
  if (size < 0) {
    return {};
  }
  return std::string(raw(static_cast<std::size_t>(size)));
}

std::size_t WireReader::checked_count(std::int64_t count, std::size_t element_size_min) {
  if (count <= 0) {
    return 0;
  }
  if (static_cast<std::uint64_t>(count) > data_.size() / element_size_min) {
    fail();
    return 0;
  }
  return static_cast<std::size_t>(count);
}

std::size_t WireReader::array(std::size_t element_size_min) {
  return checked_count(integer<std::int32_t>(), element_size_min);
}

std::size_t WireReader::compact_array(std::size_t element_size_min) {
  return checked_count(static_cast<std::int64_t>(varint()) - 1, element_size_min);
}

std::optional<std::string> WireReader::compact_nullable_string() {
  const std::uint32_t size_and_one = varint();
  if (size_and_one == 0) {
    return std::nullopt;
  }
  return std::string(raw(size_and_one - 1));
}

std::string WireReader::compact_string() {
  std::optional<std::string> value = compact_nullable_string();
  if (!value.has_value()) {
    fail();
    return {};
  }
  return *std::move(value);
}

void WireReader::skip_tags() {
  const std::uint32_t count = varint();
  for (std::uint32_t i = 0; i < count && ok_; ++i) {
    varint();
    raw(varint());
  }
}

}  // namespace weir::kafka
