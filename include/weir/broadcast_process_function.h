#pragma once

#include "weir/process_function.h"

namespace weir {

namespace detail {

/// Base: the context of a record, which may read broadcast state and not change it: only what every
/// subtask sees may.
template <class Base>
class ReadOnlyBroadcastContext : public Base {
 public:
  using Base::Base;

  /// Throws std::invalid_argument when broadcast() was not given this state.
  template <class K, class V>
  ReadOnlyBroadcastState<K, V> broadcast_state(const MapStateDescriptor<K, V>& state) const {
    return ReadOnlyBroadcastState<K, V>(states_->broadcast_state<K, V>(state.name()));
  }

  /// For the runtime.
  void set_states(const OperatorStateStore& states) { states_ = &states; }

 private:
  const OperatorStateStore* states_ = nullptr;
};

}  // namespace detail

/// What a process function sees besides a broadcast record.
class BroadcastContext : public ProcessContext {
 public:
  using ProcessContext::ProcessContext;

  /// Throws std::invalid_argument when broadcast() was not given this state.
  template <class K, class V>
  BroadcastState<K, V> broadcast_state(const MapStateDescriptor<K, V>& state) {
    return BroadcastState<K, V>(states_->broadcast_state<K, V>(state.name()));
  }

  /// For the runtime.
  void set_states(const OperatorStateStore& states) { states_ = &states; }

 private:
  const OperatorStateStore* states_ = nullptr;
};

/// Flink's BroadcastProcessFunction: sees the records of a stream, and in every subtask all records
/// of a broadcast one, with state that all subtasks hold equal copies of. Every subtask works on
/// its own copy of the object, so members set in open() are safe.
template <class In, class Broadcast, class Out>
class BroadcastProcessFunction {
 public:
  using InputType = In;
  using BroadcastType = Broadcast;
  using OutputType = Out;
  using OpenContext = ProcessOpenContext;
  using ReadOnlyContext = detail::ReadOnlyBroadcastContext<ProcessContext>;
  using Context = BroadcastContext;

  virtual ~BroadcastProcessFunction() = default;
  virtual void open(OpenContext& /*context*/) {}
  virtual void process_element(const In& record, ReadOnlyContext& context, Collector<Out>& out) = 0;
  virtual void process_broadcast_element(const Broadcast& record, Context& context,
                                         Collector<Out>& out) = 0;
  /// As ProcessFunction's.
  virtual void snapshot_state() {}
  virtual void finish(ReadOnlyContext& /*context*/, Collector<Out>& /*out*/) {}
};

/// Flink's KeyedBroadcastProcessFunction: the same on a keyed stream, with the state and timers of
/// the record's key. A broadcast record has no key: neither has state or timers of one.
template <class K, class In, class Broadcast, class Out>
class KeyedBroadcastProcessFunction {
 public:
  using KeyType = K;
  using InputType = In;
  using BroadcastType = Broadcast;
  using OutputType = Out;
  using OpenContext = KeyedOpenContext<K>;
  using ReadOnlyContext = detail::ReadOnlyBroadcastContext<KeyedContext<K>>;
  using Context = BroadcastContext;

  virtual ~KeyedBroadcastProcessFunction() = default;
  virtual void open(OpenContext& /*context*/) {}
  virtual void process_element(const In& record, ReadOnlyContext& context, Collector<Out>& out) = 0;
  virtual void process_broadcast_element(const Broadcast& record, Context& context,
                                         Collector<Out>& out) = 0;
  virtual void on_timer(TimestampMs /*time*/, ReadOnlyContext& /*context*/,
                        Collector<Out>& /*out*/) {}
  /// As ProcessFunction's.
  virtual void snapshot_state() {}
};

}  // namespace weir
