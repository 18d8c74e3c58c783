#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "weir/codec.h"
#include "weir/key_hash.h"

namespace weir {

/// 32-bit hash of everything a value holds, for sums that two ends of an edge compare (the edge
/// balance). Unlike key_hash() it is defined for all types that can be encoded, and nothing may
/// rely on its value: it can change with every release.
/// `scratch` spares allocations: any string, its contents are lost.
template <Encodable T>
std::uint32_t content_hash(const T& value, std::string& scratch);

namespace detail {

inline constexpr std::uint64_t kContentFactor = 0x9E3779B97F4A7C15ULL;

/// The memory of a type without padding, in words of up to 8 bytes.
template <class T>
std::uint32_t hash_memory(const T& value) {
  constexpr std::size_t kInlineBytesMax = 64;
  if constexpr (sizeof(T) > kInlineBytesMax) {
    return hash_key_bytes(&value, sizeof(T));
  } else {
    const auto* const bytes = reinterpret_cast<const std::byte*>(&value);
    std::uint64_t hash = 0;
    for (std::size_t at = 0; at < sizeof(T); at += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes + at, std::min<std::size_t>(8, sizeof(T) - at));
      hash = (hash ^ word) * kContentFactor;
      hash ^= hash >> 32;  // the upper bits depend on all of the word: let them take part again
    }
    return static_cast<std::uint32_t>(hash);
  }
}

template <class T>
inline constexpr bool kIsVectorOfMemory = false;
template <class T>
  requires(kEncodesRaw<T>)
inline constexpr bool kIsVectorOfMemory<std::vector<T>> = true;

}  // namespace detail

template <Encodable T>
std::uint32_t content_hash(const T& value, std::string& scratch) {
  if constexpr (kEncodesRaw<T> || std::is_arithmetic_v<T> || std::is_enum_v<T>) {
    return detail::hash_memory(value);
  } else if constexpr (std::is_same_v<T, std::string>) {
    return hash_key_bytes(value.data(), value.size());
  } else if constexpr (detail::kIsVectorOfMemory<T>) {
    return hash_key_bytes(value.data(), value.size() * sizeof(typename T::value_type));
  } else if constexpr (requires { Codec<T>::kIsOfMembers; }) {
    std::uint32_t hash = 0;
    std::apply(
        [&](const auto&... member) {
          ((hash = detail::mix_key_bits(std::uint64_t{hash} << 32 | content_hash(member, scratch))),
           ...);
        },
        reflect::fields(value));
    return hash;
  } else {
    scratch.clear();
    Encoder encoder(scratch);
    Codec<T>::encode(value, encoder);
    return hash_key_bytes(scratch.data(), scratch.size());
  }
}

}  // namespace weir
