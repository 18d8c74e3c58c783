#pragma once

#include <string>

#include "weir/operator.h"

namespace weir::runtime {

/// Scope of an operator subtask's metrics.
inline std::string metric_scope(const SubtaskInfo& info) {
  return info.uid + "." + std::to_string(info.subtask);
}

/// "window[1/4] (uid totals)" for messages; subtasks count from 1 as in Flink.
inline std::string subtask_label(const SubtaskInfo& info) {
  return info.operator_name + "[" + std::to_string(info.subtask + 1) + "/" +
         std::to_string(info.parallelism) + "] (uid " + info.uid + ")";
}

}  // namespace weir::runtime
