#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "weir/reflect.h"

namespace weir {

/// Bytes that a value owns outside itself: what its strings and containers have allocated. An
/// estimate, exact to the allocator's and the containers' own overhead; 0 for what a type with a
/// Codec of its own hides.
template <class T>
std::size_t heap_bytes(const T& value);

namespace detail {

/// What a node of a standard tree or hash table takes besides its element: pointers, a colour or a
/// hash, a bucket.
inline constexpr std::size_t kNodeBytes = 4 * sizeof(void*);

template <class T>
inline constexpr bool kIsVector = false;
template <class T>
inline constexpr bool kIsVector<std::vector<T>> = true;

template <class T>
inline constexpr bool kIsNodeContainer = false;
template <class K, class V, class... Rest>
inline constexpr bool kIsNodeContainer<std::map<K, V, Rest...>> = true;
template <class K, class V, class... Rest>
inline constexpr bool kIsNodeContainer<std::unordered_map<K, V, Rest...>> = true;
template <class K, class... Rest>
inline constexpr bool kIsNodeContainer<std::set<K, Rest...>> = true;
template <class K, class... Rest>
inline constexpr bool kIsNodeContainer<std::unordered_set<K, Rest...>> = true;

template <class T>
std::size_t heap_bytes_of_elements(const T& elements) {
  std::size_t total = 0;
  if constexpr (!std::is_trivially_copyable_v<typename T::value_type>) {
    for (const auto& element : elements) {
      total += heap_bytes<typename T::value_type>(element);
    }
  }
  return total;
}

}  // namespace detail

template <class T>
std::size_t heap_bytes(const T& value) {
  if constexpr (std::is_trivially_copyable_v<T>) {
    return 0;
  } else if constexpr (std::is_same_v<T, std::string>) {
    return value.capacity() > std::string().capacity() ? value.capacity() + 1 : 0;
  } else if constexpr (std::is_same_v<T, std::vector<bool>>) {
    return value.capacity() / 8;
  } else if constexpr (detail::kIsVector<T>) {
    return value.capacity() * sizeof(typename T::value_type) +
           detail::heap_bytes_of_elements(value);
  } else if constexpr (detail::kIsNodeContainer<T>) {
    return value.size() * (sizeof(typename T::value_type) + detail::kNodeBytes) +
           detail::heap_bytes_of_elements(value);
  } else if constexpr (requires { value.has_value(), *value; }) {
    return value.has_value() ? heap_bytes(*value) : 0;
  } else if constexpr (requires { value.SpaceUsedLong(); }) {  // a Protobuf message
    return value.SpaceUsedLong() - sizeof(T);
  } else if constexpr (requires { std::tuple_size<T>::value; }) {  // pairs and arrays
    return std::apply([](const auto&... part) { return (std::size_t{0} + ... + heap_bytes(part)); },
                      value);
  } else if constexpr (reflect::Aggregate<T>) {
    return std::apply([](const auto&... part) { return (std::size_t{0} + ... + heap_bytes(part)); },
                      reflect::fields(value));
  } else {
    return 0;
  }
}

}  // namespace weir
