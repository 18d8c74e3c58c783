#pragma once

#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "weir/broadcast_stream.h"
#include "weir/keyed_operators.h"
#include "weir/stream_graph.h"
#include "weir/window.h"
#include "weir/windowed_stream.h"

namespace weir {

template <class T>
class DataStream;

/// A stream partitioned by key: state, timers and windows below are scoped to the key.
template <class K, class T>
class KeyedStream {
 public:
  KeyedStream(const DataStream<T>& stream, std::shared_ptr<const KeySelector> key)
      : graph_(stream.graph()), ends_(stream.ends()), key_(std::move(key)) {
    for (StreamInput& end : ends_) {
      end.partitioning = Partitioning::kHash;
      end.key = key_;
    }
  }

  /// Declares a side output for the next process().
  template <class U>
  KeyedStream with_side_output(const OutputTag<U>& tag) const {
    KeyedStream result = *this;
    result.side_outputs_.push_back({tag.name(), &type_ops<U>()});
    return result;
  }

  /// Runs a KeyedProcessFunction<K, T, Out>.
  template <class F>
  auto process(F function) const {
    static_assert(requires { typename F::KeyType; typename F::InputType; typename F::OutputType; },
                  "weir: process() needs a class derived from KeyedProcessFunction<K, In, Out>");
    static_assert(std::is_same_v<typename F::KeyType, K>,
                  "weir: process(): the function's key type is not the type of key_by()'s key");
    static_assert(std::is_same_v<typename F::InputType, T>,
                  "weir: process(): the function's input type is not this stream's record type");
    using Out = typename F::OutputType;
    std::vector<std::string> side_names;
    for (const SideOutput& side : side_outputs_) {
      side_names.push_back(side.name);
    }
    return add<Out>("Process", side_outputs_, [function, key = key_, side_names] {
      return std::make_unique<detail::KeyedProcessOperator<F>>(function, key, side_names);
    });
  }

  /// Rolling reduce: T(const T&, const T&); one result per record.
  template <class F>
  DataStream<T> reduce(F function) const {
    static_assert(std::is_invocable_r_v<T, const F&, const T&, const T&>,
                  "weir: reduce() needs a function T(const T&, const T&)");
    return add<T>("Reduce", {}, [function, key = key_] {
      return std::make_unique<detail::ReduceOperator<K, T, F>>(function, key);
    });
  }

  /// Brings the records of this stream together with what was broadcast.
  template <class B>
  KeyedBroadcastConnectedStream<K, T, B> connect(const BroadcastStream<B>& other) const {
    return KeyedBroadcastConnectedStream<K, T, B>({graph_, ends_, side_outputs_}, key_, other);
  }

  WindowedStream<K, T> window(const TumblingEventTimeWindows& windows) const {
    return WindowedStream<K, T>(graph_, ends_, key_, windows.spec());
  }
  WindowedStream<K, T> window(const SlidingEventTimeWindows& windows) const {
    return WindowedStream<K, T>(graph_, ends_, key_, windows.spec());
  }

 private:
  template <class U>
  DataStream<U> add(std::string kind, std::vector<SideOutput> side_outputs,
                    std::function<std::unique_ptr<Operator>()> create) const {
    StreamNode added;
    added.kind = std::move(kind);
    added.output = &type_ops<U>();
    added.side_outputs = std::move(side_outputs);
    added.inputs = ends_;
    added.has_keyed_state = true;
    added.create_operator = std::move(create);
    const int id = graph_->add(std::move(added));
    return DataStream<U>(graph_, DataStream<U>::end_of(id));
  }

  std::shared_ptr<StreamGraph> graph_;
  std::vector<StreamInput> ends_;
  std::shared_ptr<const KeySelector> key_;
  std::vector<SideOutput> side_outputs_;
};

}  // namespace weir
