#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "weir/key_selector.h"
#include "weir/operator.h"
#include "weir/sink.h"
#include "weir/source.h"
#include "weir/stream_graph.h"
#include "weir/watermark_strategy.h"

/// What runs: plain data that graph/ fills in and the runtime turns into tasks.
namespace weir::runtime {

/// Where one output of a chained operator leads.
struct PlanTarget {
  int chained_operator = -1;  ///< index into the same vertex' operators, or -1
  int edge = -1;              ///< index into ExecutionPlan::edges, or -1
};

/// One source, operator or sink within a chain.
struct PlanOperator {
  std::string uid;
  std::string name;
  bool has_keyed_state = false;
  /// Exactly one of these is set; `source` only in operator 0 of a vertex.
  std::shared_ptr<Source> source;
  std::function<std::unique_ptr<Operator>()> create_operator;
  std::shared_ptr<Sink> sink;

  WatermarkSpec watermarks;  ///< of a source
  /// [0] main output, [1 + i] side output i.
  std::vector<std::vector<PlanTarget>> outputs;
};

/// Operators that run in one task per subtask.
struct PlanVertex {
  int id = 0;
  std::string name;
  int parallelism = 1;
  int max_parallelism = kDefaultMaxParallelism;
  bool is_max_parallelism_explicit = false;  ///< set_max_parallelism() on the operator itself
  std::vector<PlanOperator> operators;       ///< 0 = head; each one after its producer
  std::vector<int> input_edges;
};

struct PlanEdge {
  int id = 0;
  std::string name;  ///< "<uid>[:<side output>] -> <uid>[ #<n>]", unique
  int from_vertex = 0;
  int to_vertex = 0;
  int to_input = 0;
  Partitioning partitioning = Partitioning::kForward;
  std::shared_ptr<const KeySelector> key;  ///< with kHash
  const TypeOps* record = nullptr;         ///< what it carries
};

/// Vertices are in topological order.
struct ExecutionPlan {
  std::string job_name;
  std::vector<PlanVertex> vertices;
  std::vector<PlanEdge> edges;
};

}  // namespace weir::runtime
