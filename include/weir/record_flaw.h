#pragma once

#include <type_traits>

#include "weir/codec.h"
#include "weir/reflect.h"
#include "weir/type_parts.h"

namespace weir::detail {

/// Why a struct, or a part of it, cannot be taken apart; each is told to the user.
enum class RecordFlaw { kNone, kCArray, kTooManyMembers, kContainsItself };

template <class T>
consteval RecordFlaw flaw_of();

template <class... Parts>
consteval RecordFlaw first_flaw_of(Types<Parts...> /*parts*/) {
  RecordFlaw first = RecordFlaw::kNone;
  ((first = first == RecordFlaw::kNone ? flaw_of<Parts>() : first), ...);
  return first;
}

template <class T>
consteval RecordFlaw flaw_of() {
  if constexpr (Encodable<T>) {
    return RecordFlaw::kNone;  // also a type with a Codec of its own, whatever it looks like
  } else if constexpr (std::is_array_v<T>) {
    return RecordFlaw::kCArray;
  } else if constexpr (reflect::PlainStruct<T>) {
    if constexpr (reflect::detail::has_c_array<T>()) {
      return RecordFlaw::kCArray;
    } else if constexpr (reflect::detail::has_too_many_members<T>()) {
      return RecordFlaw::kTooManyMembers;
    } else if constexpr (contains_itself<T>()) {
      return RecordFlaw::kContainsItself;
    } else {
      return first_flaw_of(parts_of<T>());
    }
  } else {
    return first_flaw_of(parts_of<T>());
  }
}

/// Refuses types whose values could neither be stored nor travel in a checkpoint.
template <class T>
constexpr void check_record_type() {
  constexpr RecordFlaw flaw = flaw_of<T>();
  static_assert(flaw != RecordFlaw::kCArray,
                "weir: C arrays cannot be members of records, keys or state; use std::array, "
                "std::string or std::vector");
  static_assert(flaw != RecordFlaw::kTooManyMembers,
                "weir: a record, key or state type has at most 24 members; put some of them into "
                "a struct of their own, or specialise weir::Codec for the type");
  static_assert(flaw != RecordFlaw::kContainsItself,
                "weir: a record, key or state type cannot contain itself, not even in a container; "
                "refer to parts by number, or specialise weir::Codec for the type");
}

}  // namespace weir::detail
