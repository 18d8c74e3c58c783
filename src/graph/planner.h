#pragma once

#include <string>

#include "runtime/execution_plan.h"
#include "weir/result.h"
#include "weir/stream_graph.h"

namespace weir::graph {

struct PlanOptions {
  std::string job_name;
  int default_parallelism = 1;
  int max_parallelism = kDefaultMaxParallelism;
  bool are_uids_generated = true;  ///< pipeline.auto-generate-uids
};

/// Turns the logical graph into tasks: settles parallelism and partitioning, chains what a forward
/// edge joins, gives every operator its uid. Errors name the operator and the mend. Pure.
Result<runtime::ExecutionPlan> build_plan(const StreamGraph& graph, const PlanOptions& options);

/// The plan as text, one line per vertex, operator and edge.
std::string explain(const runtime::ExecutionPlan& plan);

}  // namespace weir::graph
