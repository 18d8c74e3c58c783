#include "runtime/restore_match.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/redistribution.h"

namespace weir::runtime {
namespace {

/// One uid, one kind: a sink's state is of no use to an operator of the same name.
Status check_kinds(const ExecutionPlan& plan, const checkpoint::Manifest& manifest) {
  const auto has = [](const auto& items, const std::string& uid) {
    return std::any_of(items.begin(), items.end(),
                       [&](const auto& item) { return item.uid == uid; });
  };
  for (const PlanVertex& vertex : plan.vertices) {
    for (const PlanOperator& op : vertex.operators) {
      const bool is_other = (op.source == nullptr && has(manifest.sources, op.uid)) ||
                            (op.sink == nullptr && has(manifest.sinks, op.uid)) ||
                            (op.create_operator == nullptr && has(manifest.operators, op.uid));
      if (is_other) {
        return Error{ErrorCode::kInvalidArgument,
                     "operator '" + op.name + "' has the uid '" + op.uid +
                         "', which in the snapshot belongs to something of another kind (source, "
                         "operator or sink); give it another uid"};
      }
    }
  }
  return {};
}

/// What an operator kept by key is lost on one whose input has no keys.
Status check_keyed(const JobOptions& options, const PlanOperator& op,
                   const checkpoint::OperatorSnapshot& snapshot) {
  const bool is_keyed = std::any_of(
      snapshot.subtasks.begin(), snapshot.subtasks.end(),
      [](const checkpoint::SubtaskSnapshot& subtask) { return !subtask.files.empty(); });
  if (op.has_keyed_state || !is_keyed || options.is_unclaimed_state_ignored) {
    return {};
  }
  return Error{ErrorCode::kInvalidArgument,
               "operator '" + op.name + "' (uid " + op.uid +
                   ") has keyed state in the snapshot, but no key_by() in the job; give it "
                   "another uid, or set execution.state-recovery.ignore-unclaimed-state to drop "
                   "the state"};
}

/// Takes the max parallelism of stored keyed state over: one per chain, as key groups are those of
/// the task.
Status adopt_max_parallelism(const JobOptions& options, const checkpoint::Manifest& manifest,
                             PlanVertex& vertex) {
  std::optional<int> stored;
  for (const PlanOperator& op : vertex.operators) {
    for (const checkpoint::OperatorSnapshot& snapshot : manifest.operators) {
      if (snapshot.uid != op.uid) {
        continue;
      }
      WEIR_TRY(check_keyed(options, op, snapshot));
      if (!op.has_keyed_state) {
        continue;
      }
      const bool is_explicit =
          options.is_max_parallelism_explicit || vertex.is_max_parallelism_explicit;
      WEIR_ASSIGN(vertex.max_parallelism,
                  checkpoint::resolve_max_parallelism(snapshot, vertex.max_parallelism, is_explicit,
                                                      vertex.parallelism));
      if (stored.has_value() && *stored != snapshot.max_parallelism) {
        return Error{ErrorCode::kInvalidArgument,
                     "operators of the chain '" + vertex.name +
                         "' were stored with max parallelism " + std::to_string(*stored) + " and " +
                         std::to_string(snapshot.max_parallelism) +
                         "; keep them apart with another partitioning between them"};
      }
      stored = snapshot.max_parallelism;
    }
  }
  return {};
}

}  // namespace

Result<checkpoint::OperatorMatch> match_snapshot(const JobOptions& options, ExecutionPlan& plan,
                                                 checkpoint::Manifest& manifest) {
  std::vector<checkpoint::JobOperator> operators;
  std::vector<std::string> uids;
  for (const PlanVertex& vertex : plan.vertices) {
    for (const PlanOperator& op : vertex.operators) {
      operators.push_back({op.uid, op.name});
      uids.push_back(op.uid);
    }
  }
  WEIR_TRY(checkpoint::apply_uid_mapping(options.uid_mapping, uids, manifest));
  WEIR_TRY(check_kinds(plan, manifest));
  for (PlanVertex& vertex : plan.vertices) {
    WEIR_TRY(adopt_max_parallelism(options, manifest, vertex));
  }
  return checkpoint::match_operators(manifest, operators);
}

}  // namespace weir::runtime
