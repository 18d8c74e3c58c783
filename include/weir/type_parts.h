#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "weir/reflect.h"

/// What a type is made of, found out before anything asks how it is encoded: a struct that contains
/// itself would send that question round in circles.
namespace weir::detail {

template <class... T>
struct Types {};

template <class T>
struct ElementTypes {
  using List = Types<>;
};
template <class T>
struct ElementTypes<std::vector<T>> {
  using List = Types<T>;
};
template <class T>
struct ElementTypes<std::optional<T>> {
  using List = Types<T>;
};
template <class T, std::size_t N>
struct ElementTypes<std::array<T, N>> {
  using List = Types<T>;
};
template <class A, class B>
struct ElementTypes<std::pair<A, B>> {
  using List = Types<A, B>;
};
template <class K, class V, class... Rest>
struct ElementTypes<std::map<K, V, Rest...>> {
  using List = Types<K, V>;
};
template <class K, class V, class... Rest>
struct ElementTypes<std::unordered_map<K, V, Rest...>> {
  using List = Types<K, V>;
};
template <class K, class... Rest>
struct ElementTypes<std::set<K, Rest...>> {
  using List = Types<K>;
};
template <class K, class... Rest>
struct ElementTypes<std::unordered_set<K, Rest...>> {
  using List = Types<K>;
};

/// The types of a struct's members or a container's elements; none for all other types.
template <class T>
consteval auto parts_of() {
  if constexpr (reflect::Aggregate<T>) {
    return []<std::size_t... I>(std::index_sequence<I...>) {
      return Types<reflect::FieldType<T, I>...>();
    }(std::make_index_sequence<reflect::kFieldCount<T>>{});
  } else {
    return typename ElementTypes<T>::List();
  }
}

template <class Whole, class... Path, class... Parts>
consteval bool is_among(Types<Path...> path, Types<Parts...> parts);

template <class Whole, class Part, class... Path>
consteval bool is_within(Types<Path...> /*path*/) {
  if constexpr (std::is_same_v<Part, Whole>) {
    return true;
  } else if constexpr ((std::is_same_v<Part, Path> || ...) || std::is_trivially_copyable_v<Part>) {
    return false;  // seen already; or no containers, hence no way round
  } else {
    return is_among<Whole>(Types<Path..., Part>(), parts_of<Part>());
  }
}

template <class Whole, class... Path, class... Parts>
consteval bool is_among(Types<Path...> /*path*/, Types<Parts...> /*parts*/) {
  return (is_within<Whole, Parts>(Types<Path...>()) || ...);
}

/// True for struct Node { std::vector<Node> children; } and the like.
template <class T>
consteval bool contains_itself() {
  if constexpr (std::is_trivially_copyable_v<T>) {
    return false;
  } else {
    return is_among<T>(Types<>(), parts_of<T>());
  }
}

}  // namespace weir::detail
