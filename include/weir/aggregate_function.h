#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

#include "weir/codec.h"

namespace weir {

/// Flink's AggregateFunction: folds records into an accumulator, and the accumulator into a result.
/// All member functions are const: one instance serves all keys.
///
///   struct Mean {
///     struct Accumulator { double sum; std::int64_t count; };
///     Accumulator create_accumulator() const { return {0, 0}; }
///     void add(Accumulator& into, const Trade& trade) const { into.sum += trade.price; ... }
///     double get_result(const Accumulator& from) const { return from.sum / from.count; }
///     void merge(Accumulator& into, const Accumulator& from) const { ... }
///   };
template <class A, class T>
concept AggregateFunction =
    requires(const A& function, typename A::Accumulator& into,
             const typename A::Accumulator& from, const T& record) {
      { function.create_accumulator() } -> std::convertible_to<typename A::Accumulator>;
      function.add(into, record);
      function.get_result(from);
      function.merge(into, from);
      requires Encodable<typename A::Accumulator>;
      requires !std::is_void_v<decltype(function.get_result(from))>;
    };

template <class A>
using AggregateResult = std::remove_cvref_t<decltype(std::declval<const A&>().get_result(
    std::declval<const typename A::Accumulator&>()))>;

namespace detail {

/// A reduce function T(const T&, const T&) as an AggregateFunction.
template <class T, class F>
struct ReduceAggregate {
  struct Accumulator {
    bool has_value;
    T value;
  };

  F function;

  Accumulator create_accumulator() const { return Accumulator{false, T{}}; }
  void add(Accumulator& into, const T& record) const {
    into.value = into.has_value ? function(std::as_const(into.value), record) : record;
    into.has_value = true;
  }
  T get_result(const Accumulator& from) const { return from.value; }
  void merge(Accumulator& into, const Accumulator& from) const {
    if (from.has_value) {
      add(into, from.value);
    }
  }
};

}  // namespace detail
}  // namespace weir
