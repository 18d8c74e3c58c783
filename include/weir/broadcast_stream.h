#pragma once

#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "weir/broadcast_process_function.h"
#include "weir/keyed_operators.h"
#include "weir/process_stream.h"

namespace weir {

/// A stream of which every subtask gets all records, and the states that are made of them:
/// DataStream::broadcast(). To be connected to another stream.
template <class T>
class BroadcastStream {
 public:
  template <class... K, class... V>
  explicit BroadcastStream(const DataStream<T>& stream, const MapStateDescriptor<K, V>&... states)
      : graph_(stream.graph()), ends_(stream.ends()) {
    (states_.push_back([name = states.name()](OperatorStateStore& store) {
      store.open_broadcast_state<K, V>(name);
    }),
     ...);
    for (StreamInput& end : ends_) {
      end.input = 1;
    }
  }

  /// For connect(): adds this as a second input.
  void feed(detail::ProcessNode& node) const {
    WEIR_CHECK_MESSAGE(node.graph == graph_, "connect(): the streams are of two environments");
    node.inputs.insert(node.inputs.end(), ends_.begin(), ends_.end());
  }
  const std::vector<detail::BroadcastStateOpener>& states() const { return states_; }

 private:
  std::shared_ptr<StreamGraph> graph_;
  std::vector<StreamInput> ends_;
  std::vector<detail::BroadcastStateOpener> states_;
};

/// A stream T and a broadcast one B.
template <class T, class B>
class BroadcastConnectedStream {
 public:
  BroadcastConnectedStream(const DataStream<T>& stream, const BroadcastStream<B>& broadcast)
      : node_{stream.graph(), stream.ends(), {}}, states_(broadcast.states()) {
    broadcast.feed(node_);
  }

  /// Declares a side output for the next process().
  template <class U>
  BroadcastConnectedStream with_side_output(const OutputTag<U>& tag) const {
    BroadcastConnectedStream result = *this;
    result.node_.add_side_output(tag);
    return result;
  }

  /// Runs a BroadcastProcessFunction<T, B, Out>.
  template <class F>
  auto process(F function) const {
    static_assert(
        requires { typename F::BroadcastType; } && !requires { typename F::KeyType; },
        "weir: process() of connected streams without key_by() needs a class derived "
        "from BroadcastProcessFunction<In, Broadcast, Out>");
    static_assert(std::is_same_v<typename F::InputType, T>,
                  "weir: process(): the function's input type is not this stream's record type");
    static_assert(std::is_same_v<typename F::BroadcastType, B>,
                  "weir: process(): the function's broadcast type is not the broadcast stream's "
                  "record type");
    using Base = detail::ProcessOperator<F, typename F::ReadOnlyContext>;
    return node_.template add<typename F::OutputType>(
        false, [function, states = states_, side_names = node_.side_output_names()] {
          return std::make_unique<detail::WithBroadcastInput<F, Base>>(states, function,
                                                                       side_names);
        });
  }

 private:
  detail::ProcessNode node_;
  std::vector<detail::BroadcastStateOpener> states_;
};

/// A keyed stream T and a broadcast one B.
template <class K, class T, class B>
class KeyedBroadcastConnectedStream {
 public:
  KeyedBroadcastConnectedStream(detail::ProcessNode node, std::shared_ptr<const KeySelector> key,
                                const BroadcastStream<B>& broadcast)
      : node_(std::move(node)), key_(std::move(key)), states_(broadcast.states()) {
    broadcast.feed(node_);
  }

  /// Declares a side output for the next process().
  template <class U>
  KeyedBroadcastConnectedStream with_side_output(const OutputTag<U>& tag) const {
    KeyedBroadcastConnectedStream result = *this;
    result.node_.add_side_output(tag);
    return result;
  }

  /// Runs a KeyedBroadcastProcessFunction<K, T, B, Out>.
  template <class F>
  auto process(F function) const {
    static_assert(
        requires {
          typename F::BroadcastType;
          typename F::KeyType;
        },
        "weir: process() of a keyed stream connected to a broadcast one needs a class "
        "derived from KeyedBroadcastProcessFunction<K, In, Broadcast, Out>");
    static_assert(std::is_same_v<typename F::KeyType, K>,
                  "weir: process(): the function's key type is not the type of key_by()'s key");
    static_assert(std::is_same_v<typename F::InputType, T>,
                  "weir: process(): the function's input type is not this stream's record type");
    static_assert(std::is_same_v<typename F::BroadcastType, B>,
                  "weir: process(): the function's broadcast type is not the broadcast stream's "
                  "record type");
    using Base = detail::KeyedProcessOperator<F, typename F::ReadOnlyContext>;
    return node_.template add<typename F::OutputType>(
        true, [function, key = key_, states = states_, side_names = node_.side_output_names()] {
          return std::make_unique<detail::WithBroadcastInput<F, Base>>(states, function, key,
                                                                       side_names);
        });
  }

 private:
  detail::ProcessNode node_;
  std::shared_ptr<const KeySelector> key_;
  std::vector<detail::BroadcastStateOpener> states_;
};

}  // namespace weir
