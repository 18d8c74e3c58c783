#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "weir/codec.h"
#include "weir/content_hash.h"
#include "weir/heap_bytes.h"
#include "weir/migration.h"
#include "weir/record_flaw.h"
#include "weir/type_parts.h"

namespace weir {

/// What stored values of other types need to become a T. Of its parts, a struct's members or a
/// container's elements in the order of the schema, the same.
struct TypeEvolution {
  std::string default_value;  ///< encoded: of a field that stored values do not have
  std::vector<detail::ExplicitMigration> migrations;
  std::vector<TypeEvolution> parts;
};

/// What compiled code needs to know of a type to hold, move and store its values: the erased side
/// of record, key and state types. One instance per type, from type_ops<T>().
struct TypeOps {
  std::string_view name;
  std::size_t size = 0;       ///< bytes
  std::size_t alignment = 1;  ///< bytes
  bool is_trivially_copyable = false;
  /// The encoded form is the memory image.
  bool encodes_raw = false;

  void (*default_construct)(void* to) = nullptr;  ///< null if T has no default constructor
  void (*copy_construct)(void* to, const void* from) = nullptr;
  /// Moves the value to raw memory at `to` and destroys the one at `from`.
  void (*relocate)(void* to, void* from) = nullptr;
  void (*destroy)(void* object) = nullptr;
  bool (*equals)(const void* a, const void* b) = nullptr;     ///< null if T has no ==
  void (*encode)(const void* value, Encoder& out) = nullptr;  ///< null if T is not Encodable
  void (*decode)(Decoder& in, void* value) = nullptr;         ///< `value` is a constructed T
  std::string (*schema)() = nullptr;
  TypeEvolution (*evolution)() = nullptr;  ///< null if T is not Encodable
  /// content_hash() of `count` values that lie one after the other; null if T is not Encodable.
  void (*content_hashes)(const void* values, std::size_t count, std::uint32_t* hashes) = nullptr;
  /// Sum of heap_bytes() over `count` values that lie one after the other; null if T is trivially
  /// copyable, and so owns nothing.
  std::size_t (*heap_bytes)(const void* values, std::size_t count) = nullptr;
};

namespace detail {

template <class T>
consteval std::string_view type_name() {
  const std::string_view text = __PRETTY_FUNCTION__;
  const std::size_t begin = text.find("T = ") + 4;
  const std::size_t end = text.find_first_of(";]", begin);
  return text.substr(begin, end - begin);
}

template <class T>
consteval bool has_equality();

template <class... Elements>
consteval bool all_have_equality(Types<Elements...> /*elements*/) {
  return (has_equality<Elements>() && ...);
}

/// Standard containers claim to have an operator== even if their elements have none.
template <class T>
consteval bool has_equality() {
  if constexpr (std::equality_comparable<T>) {
    return all_have_equality(typename ElementTypes<T>::List());
  } else {
    return false;
  }
}

/// False for what is no struct of encodable members, such as one with a Codec of its own.
template <class T>
consteval bool are_members_encodable_of() {
  if constexpr (reflect::Aggregate<T>) {
    return are_members_encodable<T>();
  } else {
    return false;
  }
}

template <class T>
TypeEvolution evolution_of();

template <class... Parts>
std::vector<TypeEvolution> evolutions_of(Types<Parts...> /*parts*/) {
  return {evolution_of<Parts>()...};
}

template <class T>
TypeEvolution evolution_of() {
  TypeEvolution result;
  if constexpr (Encodable<T> && std::is_default_constructible_v<T>) {
    const T whole{};
    result.default_value = encode_value(whole);
    result.parts = evolutions_of(parts_of<T>());
    if constexpr (are_members_encodable_of<T>()) {
      // A member has what its initializer in the struct says.
      std::size_t i = 0;
      std::apply(
          [&](const auto&... member) {
            ((result.parts[i++].default_value = encode_value(member)), ...);
          },
          reflect::fields(whole));
    }
    if constexpr (requires { typename Migration<T>::From; }) {
      result.migrations = ExplicitMigrations<T, typename Migration<T>::From>::list();
    }
  }
  return result;
}

template <class T>
TypeOps make_type_ops() {
  check_record_type<T>();
  TypeOps ops;
  ops.name = type_name<T>();
  ops.size = sizeof(T);
  ops.alignment = alignof(T);
  ops.is_trivially_copyable = std::is_trivially_copyable_v<T>;
  if constexpr (std::is_default_constructible_v<T>) {
    ops.default_construct = [](void* to) { ::new (to) T(); };
  }
  if constexpr (std::is_copy_constructible_v<T>) {
    ops.copy_construct = [](void* to, const void* from) {
      ::new (to) T(*static_cast<const T*>(from));
    };
  }
  ops.relocate = [](void* to, void* from) {
    T* source = static_cast<T*>(from);
    ::new (to) T(std::move(*source));
    source->~T();
  };
  ops.destroy = [](void* object) { static_cast<T*>(object)->~T(); };
  if constexpr (has_equality<T>()) {
    ops.equals = [](const void* a, const void* b) {
      return *static_cast<const T*>(a) == *static_cast<const T*>(b);
    };
  } else if constexpr (kEncodesRaw<T>) {
    ops.equals = [](const void* a, const void* b) { return std::memcmp(a, b, sizeof(T)) == 0; };
  }
  if constexpr (!std::is_trivially_copyable_v<T>) {
    ops.heap_bytes = [](const void* values, std::size_t count) {
      std::size_t total = 0;
      for (std::size_t i = 0; i < count; ++i) {
        total += weir::heap_bytes(static_cast<const T*>(values)[i]);
      }
      return total;
    };
  }
  if constexpr (Encodable<T> && std::is_default_constructible_v<T>) {
    ops.encodes_raw = kEncodesRaw<T>;
    ops.encode = [](const void* value, Encoder& out) {
      Codec<T>::encode(*static_cast<const T*>(value), out);
    };
    ops.decode = [](Decoder& in, void* value) { Codec<T>::decode(in, *static_cast<T*>(value)); };
    ops.schema = [] { return Codec<T>::schema(); };
    ops.evolution = &evolution_of<T>;
    ops.content_hashes = [](const void* values, std::size_t count, std::uint32_t* hashes) {
      std::string scratch;
      for (std::size_t i = 0; i < count; ++i) {
        hashes[i] = content_hash(static_cast<const T*>(values)[i], scratch);
      }
    };
  }
  return ops;
}

}  // namespace detail

/// The operations of T; lives for ever.
template <class T>
const TypeOps& type_ops() {
  static const TypeOps ops = detail::make_type_ops<T>();
  return ops;
}

}  // namespace weir
