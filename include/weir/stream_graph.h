#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "weir/key_selector.h"
#include "weir/operator.h"
#include "weir/sink.h"
#include "weir/source.h"
#include "weir/watermark_strategy.h"

namespace weir {

/// How records are dealt to the subtasks of the next operator.
enum class Partitioning {
  kForward,    ///< to the subtask of the same index; equal parallelism
  kHash,       ///< by key group
  kRebalance,  ///< round robin over all
  kRescale,    ///< round robin within a pointwise group
  kBroadcast,  ///< a copy to all
  kGlobal,     ///< all to subtask 0
};

/// An output of a node: its main output, or a side output.
struct StreamRef {
  static constexpr int kMainOutput = -1;
  int node = -1;
  int side_output = kMainOutput;
};

struct StreamInput {
  StreamRef from;
  int input = 0;  ///< which input of the consuming operator
  /// None: forward if the parallelism is equal, else rebalance.
  std::optional<Partitioning> partitioning;
  std::shared_ptr<const KeySelector> key;  ///< with kHash
};

struct SideOutput {
  std::string name;
  const TypeOps* type = nullptr;
};

/// One source, operator or sink of a pipeline, as the user wrote it.
struct StreamNode {
  std::string kind;  ///< "Source", "Map", "Window": the default name
  std::string name;
  std::optional<std::string> uid;
  std::optional<int> parallelism;
  std::optional<int> max_parallelism;
  bool has_keyed_state = false;
  const TypeOps* output = nullptr;  ///< null for sinks
  std::vector<SideOutput> side_outputs;
  std::vector<StreamInput> inputs;

  /// Exactly one of these is set.
  std::shared_ptr<Source> source;
  std::function<std::unique_ptr<Operator>()> create_operator;
  std::shared_ptr<Sink> sink;

  WatermarkSpec watermarks;  ///< of a source
  std::string problem;       ///< what is wrong with the node; reported when the job starts
};

/// The logical graph of a pipeline: plain data that the typed facade fills in. Inputs refer to
/// earlier nodes, so the graph has no cycles.
struct StreamGraph {
  std::vector<StreamNode> nodes;

  int add(StreamNode node) {
    nodes.push_back(std::move(node));
    return static_cast<int>(nodes.size()) - 1;
  }
};

}  // namespace weir
