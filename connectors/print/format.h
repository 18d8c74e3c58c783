#pragma once

#include <iterator>
#include <string>
#include <string_view>
#include <type_traits>

#include <fmt/format.h>

#include "weir/reflect.h"

namespace weir::print {

/// Appends a record as text: numbers and strings as they are, `name=value` for the members of an
/// aggregate, in their order and in braces: {word=weir, count=3}.
template <class T>
void append_text(std::string& out, const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    out += value ? "true" : "false";
  } else if constexpr (std::is_enum_v<T>) {
    append_text(out, static_cast<std::underlying_type_t<T>>(value));
  } else if constexpr (std::is_arithmetic_v<T>) {
    fmt::format_to(std::back_inserter(out), "{}", value);
  } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
    out += std::string_view(value);
  } else {
    static_assert(reflect::Aggregate<T>,
                  "weir: print knows numbers, strings and aggregates of these; for other records "
                  "pass a function void(const T& record, std::string& out)");
    char separator = '{';
    reflect::for_each_field(value, [&](std::string_view name, const auto& member) {
      out += separator;
      out += separator == ',' ? " " : "";
      separator = ',';
      out.append(name).append("=");
      append_text(out, member);
    });
    out += '}';
  }
}

}  // namespace weir::print
