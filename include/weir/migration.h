#pragma once

#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "weir/codec.h"

namespace weir {

/// How values of an earlier type that lie in checkpoints become a T, where the rules of
/// docs/formats/codec.md do not do it: a field is renamed or computed from others, a number gets
/// another unit, a type gets a Codec of its own. Specialise it with the earlier type, or a
/// std::tuple of several, and a static migrate() for each:
///
///   template <>
///   struct weir::Migration<Price> {
///     using From = PriceInEuros;
///     static Price migrate(const PriceInEuros& old) { return {old.euros * 100}; }
///   };
///
/// It applies wherever a T is part of a state's values. Earlier types are known by their schema;
/// their names do not matter. What migrate() throws fails the start of the job.
template <class T>
struct Migration {};

namespace detail {

/// One earlier form of a type.
struct ExplicitMigration {
  std::string from;  ///< its schema
  /// Takes one value off `in` and appends what it has become. False if it is malformed.
  bool (*apply)(Decoder& in, Encoder& out) = nullptr;
};

template <class T, class From>
ExplicitMigration explicit_migration() {
  static_assert(Encodable<From> && std::is_default_constructible_v<From>,
                "weir: Migration<T>::From is a type that could be state");
  static_assert(
      requires(From from) {
        { Migration<T>::migrate(std::move(from)) } -> std::convertible_to<T>;
      }, "weir: Migration<T> needs a static function T migrate(From) for each earlier type");
  return {Codec<From>::schema(), [](Decoder& in, Encoder& out) {
            From from{};
            Codec<From>::decode(in, from);
            if (!in.ok()) {
              return false;
            }
            const T value = Migration<T>::migrate(std::move(from));
            Codec<T>::encode(value, out);
            return true;
          }};
}

template <class T, class From>
struct ExplicitMigrations {
  static std::vector<ExplicitMigration> list() { return {explicit_migration<T, From>()}; }
};
template <class T, class... From>
struct ExplicitMigrations<T, std::tuple<From...>> {
  static std::vector<ExplicitMigration> list() { return {explicit_migration<T, From>()...}; }
};

}  // namespace detail
}  // namespace weir
