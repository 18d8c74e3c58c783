#pragma once

#include <map>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"
#include "runtime/execution_plan.h"
#include "runtime/task_messages.h"

namespace weir::runtime {

/// Everything acknowledged for one checkpoint.
struct CollectedSnapshots {
  struct OfTask {
    int vertex = 0;
    int subtask = 0;
    TaskSnapshot snapshot;
  };
  std::vector<OfTask> tasks;
  std::map<std::string, std::string> enumerator_states;  ///< by source uid
};

/// Puts the snapshots of all tasks into a manifest's operators, sources, sinks (without
/// committables) and edges. Pure.
void add_snapshots(const ExecutionPlan& plan, const CollectedSnapshots& collected,
                   bool are_edges_exact, checkpoint::Manifest& manifest);

/// Each task's share of a manifest, [vertex][subtask]. Pure.
Result<std::vector<std::vector<TaskRestore>>> plan_restore(const ExecutionPlan& plan,
                                                           const checkpoint::Manifest& manifest);

}  // namespace weir::runtime
