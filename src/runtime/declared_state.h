#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/execution_plan.h"
#include "state/operator_state.h"
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
  /// Operator state, compared with what is stored under its name.
  struct List {
    std::string name;
    state::MemoryOperatorState::List form;  ///< without items
    std::vector<std::string> changes;       ///< what migration makes of stored items
    std::string refusal;                    ///< why that cannot be; or empty
  };
  std::vector<Keyed> keyed;
  std::vector<List> lists;
  /// The list that the operator opened last before it refused to open, and why it did; it opens
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
                                        const state::MemoryOperatorState::Lists& restored);

}  // namespace weir::runtime
