#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

/// Compile-time reflection of aggregates: how many members, their names, references to them.
/// Technique: arity by brace initialisation, members by structured binding, names from the pretty
/// function name of a pointer template argument. Works with GCC 12+ and clang 14+.
namespace weir::reflect {

inline constexpr std::size_t kMaxFields = 24;

namespace detail {

struct Anything {
  template <class T>
  operator T() const;  // never defined: only used in unevaluated operands
};

template <class T, std::size_t... I>
concept InitializableFrom =
    requires { T{(static_cast<void>(I), Anything{})...}; };

template <class T, std::size_t N>
consteval bool initializable() {
  return []<std::size_t... I>(std::index_sequence<I...>) {
    return InitializableFrom<T, I...>;
  }(std::make_index_sequence<N>{});
}

template <class T, std::size_t... I>
concept InitializableInParentheses =
    requires { T((static_cast<void>(I), Anything{})...); };

template <class T, std::size_t N>
consteval bool initializable_in_parentheses() {
  return []<std::size_t... I>(std::index_sequence<I...>) {
    return InitializableInParentheses<T, I...>;
  }(std::make_index_sequence<N>{});
}

template <class T, std::size_t N = kMaxFields>
consteval std::size_t arity() {
  if constexpr (N == 0 || initializable<T, N>()) {
    return N;
  } else {
    return arity<T, N - 1>();
  }
}

template <class T>
struct Holder {
  T value;
};
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wundefined-var-template"
#pragma clang diagnostic ignored "-Wundefined-internal"
#pragma clang diagnostic ignored "-Wundefined-internal"  // types in unnamed namespaces
#endif
template <class T>
extern const Holder<T> kPhantom;  // declared, never defined: only its members' addresses are named

template <auto Pointer>
consteval std::string_view pretty() {
  return __PRETTY_FUNCTION__;
}

template <class P>
struct PointerBox {
  P pointer;
};
template <class P>
PointerBox(P) -> PointerBox<P>;

/// The member's name in the pretty function name: GCC writes "...::member)}; std::string_view = ...",
/// clang "...kPhantom.value.member}]".
consteval std::string_view last_identifier(std::string_view text) {
  std::size_t end = text.rfind(")}");
  end = end == std::string_view::npos ? text.size() : end;
  const auto is_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  while (end > 0 && !is_word(text[end - 1])) {
    --end;
  }
  std::size_t begin = end;
  while (begin > 0 && is_word(text[begin - 1])) {
    --begin;
  }
  return text.substr(begin, end - begin);
}

}  // namespace detail

namespace detail {

template <class T>
struct AnyBaseOf {
  template <class U>
    requires(std::is_base_of_v<U, T> && !std::is_same_v<U, T>)
  operator U() const;  // never defined
};
template <class T>
concept HasBase = requires { T{AnyBaseOf<T>{}}; };

/// In braces the elements of a C array count as members, in parentheses it cannot be initialised.
/// A lone array of one element is not noticed.
template <class T>
consteval bool has_c_array() {
#if defined(__cpp_aggregate_paren_init)
  constexpr std::size_t count = arity<T>();
  return count > 1 && !initializable_in_parentheses<T, count>();
#else
  return false;
#endif
}
template <class T>
consteval bool has_too_many_members() {
  return initializable<T, kMaxFields + 1>();
}

}  // namespace detail

/// A struct of ordinary public members without bases or constructors.
template <class T>
concept PlainStruct = std::is_class_v<T> && std::is_aggregate_v<T> && !std::is_empty_v<T> &&
                      !requires { typename std::tuple_size<T>::type; } && !detail::HasBase<T>;

/// A plain struct that can be taken apart: 1 to 24 members, none of them a C array.
template <class T>
concept Aggregate =
    PlainStruct<T> && (!detail::has_too_many_members<T>()) && (!detail::has_c_array<T>());

template <Aggregate T>
inline constexpr std::size_t kFieldCount = detail::arity<T>();

/// Tuple of references to the members, in declaration order.
template <class T>
constexpr auto fields(T& object) {
  constexpr std::size_t count = kFieldCount<std::remove_const_t<T>>;
  static_assert(count >= 1, "weir: a record type needs at least one member");
  if constexpr (count == 1) {
    auto& [a] = object;
    return std::tie(a);
  }
  else if constexpr (count == 2) {
    auto& [f0, f1] = object;
    return std::tie(f0, f1);
  }
  else if constexpr (count == 3) {
    auto& [f0, f1, f2] = object;
    return std::tie(f0, f1, f2);
  }
  else if constexpr (count == 4) {
    auto& [f0, f1, f2, f3] = object;
    return std::tie(f0, f1, f2, f3);
  }
  else if constexpr (count == 5) {
    auto& [f0, f1, f2, f3, f4] = object;
    return std::tie(f0, f1, f2, f3, f4);
  }
  else if constexpr (count == 6) {
    auto& [f0, f1, f2, f3, f4, f5] = object;
    return std::tie(f0, f1, f2, f3, f4, f5);
  }
  else if constexpr (count == 7) {
    auto& [f0, f1, f2, f3, f4, f5, f6] = object;
    return std::tie(f0, f1, f2, f3, f4, f5, f6);
  }
  else if constexpr (count == 8) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7] = object;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7);
  }
  else if constexpr (count == 9) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8] = object;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8);
  }
  else if constexpr (count == 10) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9] = object;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9);
  }
  else if constexpr (count == 11) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10] = object;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10);
  }
  else if constexpr (count == 12) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11] = object;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11);
  }
  else if constexpr (count == 13) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12] = object;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12);
  }
  else if constexpr (count == 14) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13] = object;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13);
  }
  else if constexpr (count == 15) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14] = object;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14);
  }
  else if constexpr (count == 16) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15] = object;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15);
  }
  else if constexpr (count == 17) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16] = object;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16);
  }
  else if constexpr (count == 18) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17] = object;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17);
  }
  else if constexpr (count == 19) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18] = object;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18);
  }
  else if constexpr (count == 20) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19] = object;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19);
  }
  else if constexpr (count == 21) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20] = object;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20);
  }
  else if constexpr (count == 22) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21] = object;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21);
  }
  else if constexpr (count == 23) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22] = object;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22);
  }
  else if constexpr (count == 24) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23] = object;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23);
  }
}

template <Aggregate T>
using FieldTuple = decltype(fields(std::declval<T&>()));

template <Aggregate T, std::size_t I>
using FieldType = std::remove_cvref_t<std::tuple_element_t<I, FieldTuple<T>>>;

/// Name of member I of T.
template <Aggregate T, std::size_t I>
consteval std::string_view field_name() {
  return detail::last_identifier(
      detail::pretty<detail::PointerBox{&std::get<I>(fields(detail::kPhantom<T>.value))}>());
}

/// Calls f(name, member) for every member of `object`, in declaration order.
template <class T, class F>
constexpr void for_each_field(T& object, F&& f) {
  auto members = fields(object);
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (f(field_name<std::remove_const_t<T>, I>(), std::get<I>(members)), ...);
  }(std::make_index_sequence<kFieldCount<std::remove_const_t<T>>>{});
}

}  // namespace weir::reflect

#if defined(__clang__)
#pragma clang diagnostic pop
#endif
