#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "weir/broadcast_stream.h"
#include "weir/key_selector.h"
#include "weir/keyed_stream.h"
#include "weir/output_tag.h"
#include "weir/process_stream.h"
#include "weir/stateless_operators.h"
#include "weir/stream_graph.h"

namespace weir {

/// The end of a pipeline: where a sink can be named.
class DataStreamSink {
 public:
  DataStreamSink(std::shared_ptr<StreamGraph> graph, std::size_t node)
      : graph_(std::move(graph)), node_(node) {}

  DataStreamSink& uid(std::string uid) {
    graph_->nodes[node_].uid = std::move(uid);
    return *this;
  }
  DataStreamSink& name(std::string name) {
    graph_->nodes[node_].name = std::move(name);
    return *this;
  }
  DataStreamSink& set_parallelism(int parallelism) {
    graph_->nodes[node_].parallelism = parallelism;
    return *this;
  }

 private:
  std::shared_ptr<StreamGraph> graph_;
  std::size_t node_;
};

/// A stream of records of type T. A value: copies refer to the same stream of the same pipeline.
/// uid(), name(), set_parallelism() concern the operator that produces the stream.
template <class T>
class DataStream {
 public:
  using RecordType = T;

  DataStream(std::shared_ptr<StreamGraph> graph, StreamInput end)
      : graph_(std::move(graph)), ends_{std::move(end)} {}

  /// Stable identity of the operator's state; required where a job is to be changed and restored.
  DataStream& uid(std::string uid) {
    node().uid = std::move(uid);
    return *this;
  }
  DataStream& name(std::string name) {
    node().name = std::move(name);
    return *this;
  }
  DataStream& set_parallelism(int parallelism) {
    node().parallelism = parallelism;
    return *this;
  }
  DataStream& set_max_parallelism(int max_parallelism) {
    node().max_parallelism = max_parallelism;
    return *this;
  }

  /// One result per record: U(const T&).
  template <class F>
  auto map(F function) const {
    static_assert(std::is_invocable_v<const F&, const T&>,
                  "weir: map() needs a function that takes a (const T&) record of this stream");
    using U = std::remove_cvref_t<std::invoke_result_t<const F&, const T&>>;
    static_assert(!std::is_void_v<U>, "weir: map() needs a function that returns a value");
    return transform<U>("Map", [function] {
      return std::make_unique<detail::MapOperator<T, U, F>>(function);
    });
  }

  /// Keeps the records for which bool(const T&) is true.
  template <class F>
  DataStream filter(F function) const {
    static_assert(std::is_invocable_r_v<bool, const F&, const T&>,
                  "weir: filter() needs a function bool(const T&)");
    return transform<T>("Filter", [function] {
      return std::make_unique<detail::FilterOperator<T, F>>(function);
    });
  }

  /// Any number of results per record: void(const T&, Collector<U>&). U is named by the caller.
  template <class U, class F>
  DataStream<U> flat_map(F function) const {
    static_assert(std::is_invocable_v<const F&, const T&, Collector<U>&>,
                  "weir: flat_map<U>() needs a function void(const T&, Collector<U>&)");
    return transform<U>("Flat Map", [function] {
      return std::make_unique<detail::FlatMapOperator<T, U, F>>(function);
    });
  }

  /// Partitions by a key: a function K(const T&) or a pointer to a member of T.
  template <class F>
  auto key_by(F key) const {
    static_assert(std::is_invocable_v<const F&, const T&>,
                  "weir: key_by() needs a function K(const T&) or a pointer to a member of T");
    using K = detail::KeyOf<T, F>;
    static_assert(Key<K>,
                  "weir: a key must be an integer, enum, string, or a pair or aggregate of these "
                  "with operator==; floating-point numbers and containers are no keys");
    return KeyedStream<K, T>(*this,
                             std::make_shared<detail::TypedKeySelector<T, F>>(std::move(key)));
  }

  /// All records of this and the other streams, in no particular order.
  template <class... Others>
  DataStream union_with(const Others&... others) const {
    static_assert((std::is_same_v<Others, DataStream> && ...),
                  "weir: union_with() needs streams of the same record type");
    DataStream result = *this;
    (result.ends_.insert(result.ends_.end(), others.ends_.begin(), others.ends_.end()), ...);
    return result;
  }

  /// Runs a ProcessFunction<T, Out>.
  template <class F>
  auto process(F function) const {
    return ProcessStream<T>(*this).process(std::move(function));
  }
  /// Declares a side output for the process() that follows.
  template <class U>
  ProcessStream<T> with_side_output(const OutputTag<U>& tag) const {
    return ProcessStream<T>(*this).with_side_output(tag);
  }

  /// All records go to every subtask of the operator that this is connected to, which keeps what
  /// they tell in broadcast state of these descriptions.
  template <class... K, class... V>
    requires(sizeof...(K) > 0)
  BroadcastStream<T> broadcast(const MapStateDescriptor<K, V>&... states) const {
    return BroadcastStream<T>(broadcast(), states...);
  }
  /// Brings the records of this stream together with what was broadcast.
  template <class B>
  BroadcastConnectedStream<T, B> connect(const BroadcastStream<B>& other) const {
    return BroadcastConnectedStream<T, B>(*this, other);
  }

  DataStream rebalance() const { return with_partitioning(Partitioning::kRebalance); }
  DataStream rescale() const { return with_partitioning(Partitioning::kRescale); }
  DataStream broadcast() const { return with_partitioning(Partitioning::kBroadcast); }
  DataStream global() const { return with_partitioning(Partitioning::kGlobal); }
  DataStream forward() const { return with_partitioning(Partitioning::kForward); }

  /// A side output of the operator that produces this stream.
  template <class U>
  DataStream<U> side_output(const OutputTag<U>& tag) const {
    const std::size_t producer = static_cast<std::size_t>(ends_.front().from.node);
    const auto& declared = graph_->nodes[producer].side_outputs;
    for (std::size_t i = 0; i < declared.size(); ++i) {
      if (declared[i].name == tag.name()) {
        WEIR_CHECK_MESSAGE(declared[i].type == &type_ops<U>(),
                           "side_output() with another record type: " + tag.name());
        return DataStream<U>(graph_, end_of(ends_.front().from.node, static_cast<int>(i)));
      }
    }
    WEIR_CHECK_MESSAGE(false, "the operator declares no side output named " + tag.name());
  }

  DataStreamSink sink_to(std::shared_ptr<Sink> sink) const {
    WEIR_CHECK_MESSAGE(sink->record_type().name == type_ops<T>().name,
                       "sink_to() with a sink of another record type");
    StreamNode added;
    added.kind = "Sink";
    added.inputs = ends_;
    added.sink = std::move(sink);
    return DataStreamSink(graph_, static_cast<std::size_t>(graph_->add(std::move(added))));
  }

  /// For operators in other headers: adds a node fed by this stream.
  DataStream(std::shared_ptr<StreamGraph> graph, std::vector<StreamInput> ends)
      : graph_(std::move(graph)), ends_(std::move(ends)) {}
  static StreamInput end_of(int node, int side_output = StreamRef::kMainOutput) {
    StreamInput end;
    end.from = {node, side_output};
    return end;
  }
  const std::shared_ptr<StreamGraph>& graph() const { return graph_; }
  const std::vector<StreamInput>& ends() const { return ends_; }

 private:
  StreamNode& node() {
    WEIR_CHECK_MESSAGE(ends_.size() == 1, "a union of streams has no operator to configure");
    return graph_->nodes[static_cast<std::size_t>(ends_.front().from.node)];
  }

  template <class U>
  DataStream<U> transform(std::string kind,
                          std::function<std::unique_ptr<Operator>()> create) const {
    StreamNode added;
    added.kind = std::move(kind);
    added.output = &type_ops<U>();
    added.inputs = ends_;
    added.create_operator = std::move(create);
    const int id = graph_->add(std::move(added));
    return DataStream<U>(graph_, DataStream<U>::end_of(id));
  }

  DataStream with_partitioning(Partitioning partitioning) const {
    DataStream result = *this;
    for (StreamInput& end : result.ends_) {
      end.partitioning = partitioning;
      end.key = nullptr;
    }
    return result;
  }

  std::shared_ptr<StreamGraph> graph_;
  std::vector<StreamInput> ends_;  // several after union_with
};

}  // namespace weir
