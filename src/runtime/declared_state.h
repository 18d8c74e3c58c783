#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"
#include "runtime/execution_plan.h"
#include "state/state_file.h"
#include "weir/result.h"
#include "weir/type_ops.h"

namespace weir::runtime {

/// The states that an operator declares when it opens.
struct DeclaredState {
  struct Keyed {
    state::StateSchema schema;
    TypeEvolution evolution;  ///< of the value
  };
  std::vector<Keyed> keyed;
  std::set<std::string> lists;           ///< operator state it asked for or set
  std::vector<std::string> wrong_lists;  ///< asked for with another redistribution than stored
  /// The list that the operator looked at last before it refused to open, and why it did; it opens
  /// without the restored lists.
  struct Refusal {
    std::string list;
    std::string why;
  };
  std::optional<Refusal> refusal;
};

/// Makes subtask 0 of an operator, opens it on empty keyed state and these restored lists, and lets
/// go of it. What it emits goes nowhere. Errors: those of its open(), and what that threw, unless
/// that was because of the restored lists.
Result<DeclaredState> declared_state_of(const PlanVertex& vertex, const PlanOperator& op,
                                        const std::string& job_name,
                                        const std::vector<checkpoint::ListState>& restored);

}  // namespace weir::runtime
