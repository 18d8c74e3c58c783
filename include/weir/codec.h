#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "weir/reflect.h"
#include "weir/type_parts.h"

static_assert(std::endian::native == std::endian::little,
              "weir: encoded forms are little-endian and written by memcpy");

namespace weir {

/// Appends encoded values to a byte string. The binary form is described in docs/formats/codec.md.
class Encoder {
 public:
  explicit Encoder(std::string& out) : out_(out) {}

  void bytes(const void* data, std::size_t size) {
    out_.append(static_cast<const char*>(data), size);
  }
  /// Unsigned LEB128.
  void varint(std::uint64_t value) {
    while (value >= 0x80) {
      out_.push_back(static_cast<char>(value | 0x80));
      value >>= 7;
    }
    out_.push_back(static_cast<char>(value));
  }
  template <class T>
    requires std::is_trivially_copyable_v<T>
  void raw(const T& value) {
    bytes(&value, sizeof(T));
  }

 private:
  std::string& out_;
};

/// Reads encoded values. Never reads past the end: the first short or malformed value makes ok()
/// false for good, and every value read after that is empty or zero.
class Decoder {
 public:
  explicit Decoder(std::string_view data) : data_(data) {}

  bool ok() const { return ok_; }
  /// True when all bytes were consumed and nothing was malformed.
  bool exhausted() const { return ok_ && data_.empty(); }
  std::size_t remaining() const { return data_.size(); }
  /// What was not read yet.
  std::string_view rest() const { return data_; }
  void fail() {
    ok_ = false;
    data_ = {};
  }

  bool bytes(void* out, std::size_t size) {
    if (data_.size() < size) {
      fail();
      return false;
    }
    if (size != 0) {
      std::memcpy(out, data_.data(), size);
      data_.remove_prefix(size);
    }
    return true;
  }
  /// A view of the next `size` bytes, empty when there are fewer.
  std::string_view view(std::size_t size) {
    if (data_.size() < size) {
      fail();
      return {};
    }
    const std::string_view result = data_.substr(0, size);
    data_.remove_prefix(size);
    return result;
  }
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (data_.empty()) {
        break;
      }
      const auto byte = static_cast<unsigned char>(data_.front());
      data_.remove_prefix(1);
      if (shift == 63 && byte > 1) {
        break;  // more than 64 bits
      }
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) {
        return value;
      }
    }
    fail();
    return 0;
  }
  /// A count of things of at least one byte each: more than the bytes left is malformed.
  std::size_t count() {
    const std::uint64_t value = varint();
    if (value > data_.size()) {
      fail();
      return 0;
    }
    return static_cast<std::size_t>(value);
  }
  template <class T>
    requires std::is_trivially_copyable_v<T>
  T raw() {
    T value{};
    bytes(&value, sizeof(T));
    return value;
  }

 private:
  std::string_view data_;
  bool ok_ = true;
};

/// How a type is stored: its schema, and encode/decode. Specialise it for a type of your own with
/// static members `std::string schema()`, `void encode(const T&, Encoder&)` and
/// `void decode(Decoder&, T&)`, which takes what encode() wrote and leaves alone what follows it.
/// Arithmetic types, enums, strings, the usual containers, optional, pair, and aggregates of all
/// these work without that.
template <class T>
struct Codec;

template <class T>
concept Encodable = requires(const T& value, T& out, Encoder& encoder, Decoder& decoder) {
  { Codec<T>::schema() } -> std::convertible_to<std::string>;
  Codec<T>::encode(value, encoder);
  Codec<T>::decode(decoder, out);
};

namespace detail {

template <class T>
consteval std::string_view arithmetic_name() {
  if constexpr (std::is_same_v<T, bool>) {
    return "bool";
  } else if constexpr (std::is_floating_point_v<T>) {
    return sizeof(T) == 4 ? "f32" : "f64";
  } else if constexpr (std::is_signed_v<T>) {
    constexpr std::array<std::string_view, 9> names{"", "i8", "i16", "", "i32", "", "", "", "i64"};
    return names[sizeof(T)];
  } else {
    constexpr std::array<std::string_view, 9> names{"", "u8", "u16", "", "u32", "", "", "", "u64"};
    return names[sizeof(T)];
  }
}

}  // namespace detail

template <class T>
  requires(std::is_arithmetic_v<T> && sizeof(T) <= 8)
struct Codec<T> {
  static std::string schema() { return std::string(detail::arithmetic_name<T>()); }
  static void encode(const T& value, Encoder& out) { out.raw(value); }
  static void decode(Decoder& in, T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      const auto byte = in.raw<std::uint8_t>();
      if (byte > 1) {
        in.fail();
      }
      value = byte == 1;
    } else {
      value = in.raw<T>();
    }
  }
};

template <class T>
  requires std::is_enum_v<T>
struct Codec<T> {
  static constexpr bool kIsOfUnderlying = true;
  using Underlying = std::underlying_type_t<T>;
  static std::string schema() { return "enum<" + Codec<Underlying>::schema() + ">"; }
  static void encode(const T& value, Encoder& out) { out.raw(static_cast<Underlying>(value)); }
  static void decode(Decoder& in, T& value) {
    Underlying number{};
    Codec<Underlying>::decode(in, number);
    value = static_cast<T>(number);
  }
};

template <>
struct Codec<std::string> {
  static std::string schema() { return "string"; }
  static void encode(const std::string& value, Encoder& out) {
    out.varint(value.size());
    out.bytes(value.data(), value.size());
  }
  static void decode(Decoder& in, std::string& value) { value = in.view(in.count()); }
};

template <Encodable T, std::size_t N>
struct Codec<std::array<T, N>> {
  static std::string schema() {
    return "array<" + Codec<T>::schema() + "," + std::to_string(N) + ">";
  }
  static void encode(const std::array<T, N>& value, Encoder& out) {
    for (const T& element : value) {
      Codec<T>::encode(element, out);
    }
  }
  static void decode(Decoder& in, std::array<T, N>& value) {
    for (T& element : value) {
      Codec<T>::decode(in, element);
    }
  }
};

template <Encodable T>
struct Codec<std::optional<T>> {
  static std::string schema() { return "optional<" + Codec<T>::schema() + ">"; }
  static void encode(const std::optional<T>& value, Encoder& out) {
    out.raw(static_cast<std::uint8_t>(value.has_value() ? 1 : 0));
    if (value.has_value()) {
      Codec<T>::encode(*value, out);
    }
  }
  static void decode(Decoder& in, std::optional<T>& value) {
    bool present = false;
    Codec<bool>::decode(in, present);
    value.reset();
    if (present) {
      Codec<T>::decode(in, value.emplace());
    }
  }
};

template <Encodable A, Encodable B>
struct Codec<std::pair<A, B>> {
  static std::string schema() {
    return "struct{first:" + Codec<A>::schema() + ",second:" + Codec<B>::schema() + "}";
  }
  static void encode(const std::pair<A, B>& value, Encoder& out) {
    Codec<A>::encode(value.first, out);
    Codec<B>::encode(value.second, out);
  }
  static void decode(Decoder& in, std::pair<A, B>& value) {
    Codec<A>::decode(in, value.first);
    Codec<B>::decode(in, value.second);
  }
};

template <Encodable T>
struct Codec<std::vector<T>> {
  static std::string schema() { return "list<" + Codec<T>::schema() + ">"; }
  static void encode(const std::vector<T>& value, Encoder& out) {
    out.varint(value.size());
    for (const T& element : value) {
      Codec<T>::encode(element, out);
    }
  }
  static void decode(Decoder& in, std::vector<T>& value) {
    const std::size_t count = in.count();
    value.clear();
    // The count is not to be trusted: elements may be far larger than the byte each that it means.
    constexpr std::size_t kReservedBytesMax = 1 << 20;
    value.reserve(std::min(count, kReservedBytesMax / sizeof(T) + 1));
    for (std::size_t i = 0; i < count && in.ok(); ++i) {
      T element{};
      Codec<T>::decode(in, element);
      value.push_back(std::move(element));
    }
  }
};

namespace detail {

template <class Map>
struct MapCodec {
  using K = typename Map::key_type;
  using V = typename Map::mapped_type;
  static std::string schema() {
    return "map<" + Codec<K>::schema() + "," + Codec<V>::schema() + ">";
  }
  static void encode(const Map& value, Encoder& out) {
    out.varint(value.size());
    for (const auto& [key, mapped] : value) {
      Codec<K>::encode(key, out);
      Codec<V>::encode(mapped, out);
    }
  }
  static void decode(Decoder& in, Map& value) {
    const std::size_t count = in.count();
    value.clear();
    for (std::size_t i = 0; i < count && in.ok(); ++i) {
      K key{};
      V mapped{};
      Codec<K>::decode(in, key);
      Codec<V>::decode(in, mapped);
      value.emplace(std::move(key), std::move(mapped));
    }
  }
};

template <class Set>
struct SetCodec {
  using K = typename Set::key_type;
  static std::string schema() { return "set<" + Codec<K>::schema() + ">"; }
  static void encode(const Set& value, Encoder& out) {
    out.varint(value.size());
    for (const K& key : value) {
      Codec<K>::encode(key, out);
    }
  }
  static void decode(Decoder& in, Set& value) {
    const std::size_t count = in.count();
    value.clear();
    for (std::size_t i = 0; i < count && in.ok(); ++i) {
      K key{};
      Codec<K>::decode(in, key);
      value.insert(std::move(key));
    }
  }
};

}  // namespace detail

template <Encodable K, Encodable V>
struct Codec<std::map<K, V>> : detail::MapCodec<std::map<K, V>> {};
template <Encodable K, Encodable V>
struct Codec<std::unordered_map<K, V>> : detail::MapCodec<std::unordered_map<K, V>> {};
template <Encodable K>
struct Codec<std::set<K>> : detail::SetCodec<std::set<K>> {};
template <Encodable K>
struct Codec<std::unordered_set<K>> : detail::SetCodec<std::unordered_set<K>> {};

namespace detail {

template <reflect::Aggregate T>
consteval bool are_members_encodable() {
  return []<std::size_t... I>(std::index_sequence<I...>) {
    return (Encodable<reflect::FieldType<T, I>> && ...);
  }(std::make_index_sequence<reflect::kFieldCount<T>>{});
}

}  // namespace detail

/// Aggregates: their members in declaration order; the schema carries the members' names.
template <reflect::Aggregate T>
  requires(!detail::contains_itself<T>()) && (detail::are_members_encodable<T>())
struct Codec<T> {
  static constexpr bool kIsOfMembers = true;
  static std::string schema() {
    std::string text = "struct{";
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      ((text += (I == 0 ? "" : ","), text += reflect::field_name<T, I>(), text += ":",
        text += Codec<reflect::FieldType<T, I>>::schema()),
       ...);
    }(std::make_index_sequence<reflect::kFieldCount<T>>{});
    return text + "}";
  }
  static void encode(const T& value, Encoder& out) {
    std::apply(
        [&](const auto&... member) {
          (Codec<std::remove_cvref_t<decltype(member)>>::encode(member, out), ...);
        },
        reflect::fields(value));
  }
  static void decode(Decoder& in, T& value) {
    std::apply(
        [&](auto&... member) {
          (Codec<std::remove_cvref_t<decltype(member)>>::decode(in, member), ...);
        },
        reflect::fields(value));
  }
};

namespace detail {

/// Bytes of the encoded form where it is the members' memory one after the other, else 0. Types
/// with a Codec of their own are 0, and so is bool, whose bytes must be checked.
template <class T>
inline constexpr std::size_t kRawEncodedSize = 0;
template <class T>
  requires(std::is_arithmetic_v<T> && !std::is_same_v<T, bool> && sizeof(T) <= 8)
inline constexpr std::size_t kRawEncodedSize<T> = sizeof(T);
template <class T>
  requires(std::is_enum_v<T> && requires { Codec<T>::kIsOfUnderlying; })
inline constexpr std::size_t kRawEncodedSize<T> = kRawEncodedSize<std::underlying_type_t<T>>;
template <class T, std::size_t N>
inline constexpr std::size_t kRawEncodedSize<std::array<T, N>> = N * kRawEncodedSize<T>;

template <class T>
consteval std::size_t aggregate_raw_size() {
  return []<std::size_t... I>(std::index_sequence<I...>) -> std::size_t {
    if (((kRawEncodedSize<reflect::FieldType<T, I>> == 0) || ...)) {
      return 0;
    }
    return (kRawEncodedSize<reflect::FieldType<T, I>> + ...);
  }(std::make_index_sequence<reflect::kFieldCount<T>>{});
}
template <reflect::Aggregate T>
  requires(std::is_trivially_copyable_v<T> && requires { Codec<T>::kIsOfMembers; })
inline constexpr std::size_t kRawEncodedSize<T> = aggregate_raw_size<T>();

}  // namespace detail

/// True when the encoded form of T is its memory image, so that a memcpy encodes it.
template <class T>
inline constexpr bool kEncodesRaw =
    std::is_trivially_copyable_v<T> && detail::kRawEncodedSize<T> == sizeof(T);

/// The encoded form of one value.
template <Encodable T>
std::string encode_value(const T& value) {
  std::string out;
  Encoder encoder(out);
  Codec<T>::encode(value, encoder);
  return out;
}

/// The value, or nothing when the bytes are malformed or too many.
template <Encodable T>
std::optional<T> decode_value(std::string_view data) {
  Decoder decoder(data);
  T value{};
  Codec<T>::decode(decoder, value);
  if (!decoder.exhausted()) {
    return std::nullopt;
  }
  return value;
}

}  // namespace weir
