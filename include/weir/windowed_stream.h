#pragma once

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "weir/aggregate_function.h"
#include "weir/output_tag.h"
#include "weir/stream_graph.h"
#include "weir/window_operator.h"

namespace weir {

template <class T>
class DataStream;

/// A keyed stream cut into event-time windows.
template <class K, class T>
class WindowedStream {
 public:
  WindowedStream(std::shared_ptr<StreamGraph> graph, std::vector<StreamInput> ends,
                 std::shared_ptr<const KeySelector> key, SlidingWindowSpec windows)
      : graph_(std::move(graph)), ends_(std::move(ends)) {
    spec_.windows = windows;
    spec_.keys = std::move(key);
  }

  /// Keeps a window this much longer; a record that arrives in that time fires it again at once,
  /// with the full updated result.
  WindowedStream allowed_lateness(DurationMs lateness) const {
    WindowedStream result = *this;
    result.spec_.allowed_lateness = lateness;
    return result;
  }
  /// Late records go to this side output instead of being dropped and counted.
  WindowedStream side_output_late_data(const OutputTag<T>& tag) const {
    WindowedStream result = *this;
    result.spec_.has_late_output = true;
    result.late_ = {{tag.name(), &type_ops<T>()}};
    return result;
  }

  /// The aggregate's result per key and window.
  template <class A>
  auto aggregate(A aggregate) const {
    return this->aggregate(std::move(aggregate), [](const K&, const TimeWindow&, auto&& result) {
      return std::forward<decltype(result)>(result);
    });
  }

  /// R(const K&, const TimeWindow&, aggregate's result) per key and window.
  template <class A, class F>
  auto aggregate(A aggregate, F function) const {
    static_assert(AggregateFunction<A, T>,
                  "weir: aggregate() needs an AggregateFunction for this stream's record type: "
                  "Accumulator, create_accumulator(), add(Accumulator&, const T&), "
                  "get_result(const Accumulator&), merge(Accumulator&, const Accumulator&), all "
                  "const, with an encodable Accumulator");
    using Result = AggregateResult<A>;
    static_assert(std::is_invocable_v<const F&, const K&, const TimeWindow&, Result>,
                  "weir: aggregate()'s second argument needs to be a function "
                  "R(const K&, const TimeWindow&, aggregate result)");
    using R = std::remove_cvref_t<
        std::invoke_result_t<const F&, const K&, const TimeWindow&, Result>>;
    WindowOperatorSpec spec = spec_;
    spec.functions = std::make_shared<detail::TypedWindowFunctions<K, T, A, R, F>>(
        std::move(aggregate), std::move(function));
    return add<R>(std::move(spec));
  }

  /// Reduction T(const T&, const T&) per key and window.
  template <class F>
  auto reduce(F function) const {
    static_assert(std::is_invocable_r_v<T, const F&, const T&, const T&>,
                  "weir: reduce() needs a function T(const T&, const T&)");
    return aggregate(detail::ReduceAggregate<T, F>{std::move(function)});
  }
  /// R(const K&, const TimeWindow&, T) of the reduction per key and window.
  template <class F, class G>
  auto reduce(F function, G window_function) const {
    static_assert(std::is_invocable_r_v<T, const F&, const T&, const T&>,
                  "weir: reduce() needs a function T(const T&, const T&)");
    return aggregate(detail::ReduceAggregate<T, F>{std::move(function)},
                     std::move(window_function));
  }

 private:
  template <class R>
  DataStream<R> add(WindowOperatorSpec spec) const {
    StreamNode added;
    added.kind = "Window";
    added.output = &type_ops<R>();
    added.side_outputs = late_;
    added.inputs = ends_;
    added.has_keyed_state = true;
    added.problem = problem_of(spec.windows, spec.allowed_lateness);
    added.create_operator = [spec = std::move(spec)] { return make_window_operator(spec); };
    const int id = graph_->add(std::move(added));
    return DataStream<R>(graph_, DataStream<R>::end_of(id));
  }

  std::shared_ptr<StreamGraph> graph_;
  std::vector<StreamInput> ends_;
  WindowOperatorSpec spec_;
  std::vector<SideOutput> late_;
};

}  // namespace weir
