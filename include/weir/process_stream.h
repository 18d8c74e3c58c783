#pragma once

#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "weir/output_tag.h"
#include "weir/process_operators.h"
#include "weir/stream_graph.h"

namespace weir {

template <class T>
class DataStream;

namespace detail {

/// A process() to be: what feeds it, and what it sends besides its results.
struct ProcessNode {
  std::shared_ptr<StreamGraph> graph;
  std::vector<StreamInput> inputs;
  std::vector<SideOutput> side_outputs;

  template <class U>
  void add_side_output(const OutputTag<U>& tag) {
    side_outputs.push_back({tag.name(), &type_ops<U>()});
  }
  std::vector<std::string> side_output_names() const {
    std::vector<std::string> names;
    for (const SideOutput& side : side_outputs) {
      names.push_back(side.name);
    }
    return names;
  }
  template <class Out>
  DataStream<Out> add(bool has_keyed_state,
                      std::function<std::unique_ptr<Operator>()> create) const {
    StreamNode added;
    added.kind = "Process";
    added.output = &type_ops<Out>();
    added.side_outputs = side_outputs;
    added.inputs = inputs;
    added.has_keyed_state = has_keyed_state;
    added.create_operator = std::move(create);
    const int id = graph->add(std::move(added));
    return DataStream<Out>(graph, DataStream<Out>::end_of(id));
  }
};

}  // namespace detail

/// A stream whose next step is process().
template <class T>
class ProcessStream {
 public:
  explicit ProcessStream(const DataStream<T>& stream) : node_{stream.graph(), stream.ends(), {}} {}

  /// Declares a side output for the next process().
  template <class U>
  ProcessStream with_side_output(const OutputTag<U>& tag) const {
    ProcessStream result = *this;
    result.node_.add_side_output(tag);
    return result;
  }

  /// Runs a ProcessFunction<T, Out>.
  template <class F>
  auto process(F function) const {
    static_assert(
        requires {
          typename F::InputType;
          typename F::OutputType;
        } && !requires { typename F::KeyType; },
        "weir: process() without key_by() needs a class derived from "
        "ProcessFunction<In, Out>");
    static_assert(std::is_same_v<typename F::InputType, T>,
                  "weir: process(): the function's input type is not this stream's record type");
    return node_.template add<typename F::OutputType>(
        false, [function, side_names = node_.side_output_names()] {
          return std::make_unique<detail::ProcessOperator<F>>(function, side_names);
        });
  }

 private:
  detail::ProcessNode node_;
};

}  // namespace weir
