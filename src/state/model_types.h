#pragma once

#include <compare>
#include <concepts>
#include <cstdint>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "weir/migration.h"

/// Keys and values of the models of keyed state, and what later versions of a job make of them.
namespace weir::state::test {

namespace model_types {
struct Sum {
  std::int64_t sum = 0;
  std::int64_t count = 0;
  friend bool operator==(const Sum&, const Sum&) = default;
};
/// A Sum as a later version of the job has it: in another order, and with a member more.
struct LaterSum {
  std::int64_t count = 0;
  std::int32_t version = 7;
  std::int64_t sum = 0;
  friend bool operator==(const LaterSum&, const LaterSum&) = default;
};
/// The version after that computes it from the former one, and of another size.
struct SumInCents {
  std::int64_t cents = 0;
  std::string count;
  friend bool operator==(const SumInCents&, const SumInCents&) = default;
};
/// What once was a plain string.
struct Text {
  std::string text;
  friend bool operator==(const Text&, const Text&) = default;
};
struct Point {
  std::uint64_t x = 0;
  std::uint64_t y = 0;
  friend auto operator<=>(const Point&, const Point&) = default;
};
struct Triple {
  std::uint16_t a = 0;
  std::uint16_t b = 0;
  std::uint16_t c = 0;
  friend auto operator<=>(const Triple&, const Triple&) = default;
};
}  // namespace model_types

using namespace model_types;

template <class K>
K make_key(std::uint64_t n) {
  if constexpr (std::is_integral_v<K>) {
    return static_cast<K>(n);
  } else if constexpr (std::is_same_v<K, std::string>) {
    return (n % 3 == 0 ? "" : "a key too long for the small buffer ") + std::to_string(n);
  } else if constexpr (std::is_same_v<K, Triple>) {
    return Triple{static_cast<std::uint16_t>(n), 7, static_cast<std::uint16_t>(n >> 3)};
  } else {
    return K{n, n / 2};
  }
}

inline void change(Sum& value, std::uint64_t n) {
  value.sum += static_cast<std::int64_t>(n);
  ++value.count;
}
inline void change(LaterSum& value, std::uint64_t n) {
  value.sum += static_cast<std::int64_t>(n);
  value.version = static_cast<std::int32_t>(n % 10);
  ++value.count;
}
inline void change(SumInCents& value, std::uint64_t n) {
  value.cents += static_cast<std::int64_t>(n);
  value.count = std::to_string(n % 1000);
}
inline void change(std::string& value, std::uint64_t n) {
  if (value.size() > 200) {
    value.clear();
  }
  value += std::to_string(n) + ",";
}
inline void change(Text& value, std::uint64_t n) { change(value.text, n); }
inline void change(std::vector<std::string>& value, std::uint64_t n) {
  value.resize(n % 5, "x");
  value.push_back(std::to_string(n));
}

/// What a later version of the job makes of a value.
inline LaterSum evolved(const Sum& value) { return {value.count, 7, value.sum}; }
inline SumInCents evolved(const LaterSum& value) {
  return {value.sum * 100, std::to_string(value.count)};
}
inline Text evolved(const std::string& value) { return {value + "!"}; }
template <class V>
concept Evolving = requires(const V& value) { evolved(value); };

}  // namespace weir::state::test

template <>
struct weir::Migration<weir::state::test::SumInCents> {
  using From = weir::state::test::LaterSum;
  static weir::state::test::SumInCents migrate(const From& old) {
    return weir::state::test::evolved(old);
  }
};
template <>
struct weir::Migration<weir::state::test::Text> {
  using From = std::string;
  static weir::state::test::Text migrate(const std::string& old) {
    return weir::state::test::evolved(old);
  }
};
