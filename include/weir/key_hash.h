#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "weir/reflect.h"

namespace weir {

/// Upper 32 bits of XXH3-64 (seed 0) of the bytes.
std::uint32_t hash_key_bytes(const void* data, std::size_t size);

/// The 32-bit key hash: stable over builds, machines and releases, because it decides the key
/// group a key's state is stored under (docs/formats/key-hash.md).
/// Integers, bools and enums: x := sign- or zero-extended to 64 bits; x ^= x >> 32;
/// hash = upper 32 bits of x * 0x9E3779B97F4A7C15. Strings: hash_key_bytes. Aggregates and pairs:
/// h := 0, then per member h := mix(31 * h + hash(member)), mix as for integers.
/// Floating-point keys are refused: 0.0 and -0.0 are equal but differ in their bytes.
template <class K>
constexpr std::uint32_t key_hash(const K& key);

namespace detail {

constexpr std::uint32_t mix_key_bits(std::uint64_t x) {
  x ^= x >> 32;
  return static_cast<std::uint32_t>((x * 0x9E3779B97F4A7C15ULL) >> 32);
}

template <class K>
inline constexpr bool kIsPair = false;
template <class A, class B>
inline constexpr bool kIsPair<std::pair<A, B>> = true;

template <class K>
consteval bool hashable_key();

template <class K, std::size_t... I>
consteval bool all_fields_hashable(std::index_sequence<I...>) {
  return (hashable_key<reflect::FieldType<K, I>>() && ...);
}

template <class K>
consteval bool hashable_key() {
  if constexpr (std::is_integral_v<K> || std::is_enum_v<K> || std::is_same_v<K, std::string>) {
    return true;
  } else if constexpr (kIsPair<K>) {
    return hashable_key<typename K::first_type>() && hashable_key<typename K::second_type>();
  } else if constexpr (reflect::Aggregate<K>) {
    return all_fields_hashable<K>(std::make_index_sequence<reflect::kFieldCount<K>>{});
  } else {
    return false;
  }
}

}  // namespace detail

/// A type that key_by can use: integers, enums, strings, and pairs or aggregates of these that
/// have an operator==.
template <class K>
concept Key = detail::hashable_key<K>() && std::equality_comparable<K> &&
              std::is_default_constructible_v<K> && std::is_copy_constructible_v<K>;

template <class K>
constexpr std::uint32_t key_hash(const K& key) {
  if constexpr (std::is_enum_v<K>) {
    return key_hash(static_cast<std::underlying_type_t<K>>(key));
  } else if constexpr (std::is_integral_v<K>) {
    if constexpr (std::is_signed_v<K>) {
      return detail::mix_key_bits(static_cast<std::uint64_t>(static_cast<std::int64_t>(key)));
    } else {
      return detail::mix_key_bits(static_cast<std::uint64_t>(key));
    }
  } else if constexpr (std::is_same_v<K, std::string>) {
    return hash_key_bytes(key.data(), key.size());
  } else if constexpr (detail::kIsPair<K>) {
    const std::uint32_t first = detail::mix_key_bits(key_hash(key.first));
    return detail::mix_key_bits(31ULL * first + key_hash(key.second));
  } else {
    std::uint32_t hash = 0;
    std::apply(
        [&](const auto&... member) {
          ((hash = detail::mix_key_bits(31ULL * hash + key_hash(member))), ...);
        },
        reflect::fields(key));
    return hash;
  }
}

}  // namespace weir
