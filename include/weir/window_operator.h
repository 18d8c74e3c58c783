#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "weir/aggregate_function.h"
#include "weir/batch.h"
#include "weir/key_selector.h"
#include "weir/operator.h"
#include "weir/window.h"

namespace weir {

/// The typed part of a window aggregation, one erased call per run of records or results.
class WindowFunctions {
 public:
  virtual ~WindowFunctions() = default;
  virtual const TypeOps& accumulator_type() const = 0;
  virtual std::shared_ptr<const void> initial_accumulator() const = 0;
  virtual const TypeOps& result_type() const = 0;
  /// Adds record rows[i] of the batch to accumulators[i]; rows == nullptr means row i.
  virtual void add(const Batch& batch, const std::uint32_t* rows, std::size_t count,
                   void* const* accumulators) const = 0;
  virtual void merge(void* into, const void* from) const = 0;
  /// Appends one result per key. REQUIRES: room for `count` in `results`.
  virtual void emit(const TimeWindow& window, std::size_t count, const void* const* keys,
                    const void* const* accumulators, Batch& results) const = 0;
};

struct WindowOperatorSpec {
  SlidingWindowSpec windows;
  DurationMs allowed_lateness{0};
  bool has_late_output = false;  ///< late records go to side output 0
  std::shared_ptr<const KeySelector> keys;
  std::shared_ptr<const WindowFunctions> functions;
};

/// The event-time window operator (src/operators/window_operator.cpp).
std::unique_ptr<Operator> make_window_operator(const WindowOperatorSpec& spec);

namespace detail {

/// `F` makes a result of (key, window, aggregate result).
template <class K, class T, class A, class R, class F>
class TypedWindowFunctions final : public WindowFunctions {
 public:
  using Accumulator = typename A::Accumulator;

  TypedWindowFunctions(A aggregate, F function)
      : aggregate_(std::move(aggregate)), function_(std::move(function)) {}

  const TypeOps& accumulator_type() const override { return type_ops<Accumulator>(); }
  std::shared_ptr<const void> initial_accumulator() const override {
    return std::make_shared<const Accumulator>(aggregate_.create_accumulator());
  }
  const TypeOps& result_type() const override { return type_ops<R>(); }

  void add(const Batch& batch, const std::uint32_t* rows, std::size_t count,
           void* const* accumulators) const override {
    const T* const records = batch.records<T>().data();
    if (rows == nullptr) {
      for (std::size_t i = 0; i < count; ++i) {
        aggregate_.add(*static_cast<Accumulator*>(accumulators[i]), records[i]);
      }
    } else {
      for (std::size_t i = 0; i < count; ++i) {
        aggregate_.add(*static_cast<Accumulator*>(accumulators[i]), records[rows[i]]);
      }
    }
  }
  void merge(void* into, const void* from) const override {
    aggregate_.merge(*static_cast<Accumulator*>(into), *static_cast<const Accumulator*>(from));
  }
  void emit(const TimeWindow& window, std::size_t count, const void* const* keys,
            const void* const* accumulators, Batch& results) const override {
    for (std::size_t i = 0; i < count; ++i) {
      results.push_back(
          R(function_(*static_cast<const K*>(keys[i]), window,
                      aggregate_.get_result(*static_cast<const Accumulator*>(accumulators[i])))),
          window.max_timestamp());
    }
  }

 private:
  A aggregate_;
  F function_;
};

}  // namespace detail
}  // namespace weir
