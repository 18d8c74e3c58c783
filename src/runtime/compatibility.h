#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/manifest.h"
#include "runtime/execution_plan.h"
#include "runtime/job_options.h"
#include "weir/result.h"

namespace weir::runtime {

/// What becomes of stored state when the job starts from a snapshot.
enum class Fit {
  kSame,          ///< restored as it is
  kMigratable,    ///< restored; the values are rewritten
  kDropped,       ///< the job does not have it
  kMissing,       ///< the snapshot does not have it: starts empty
  kIncompatible,  ///< forbids the start
};
/// "same", "migratable", ...
std::string_view fit_name(Fit fit);

struct StateFit {
  std::string name;
  std::string kind;  ///< "keyed", "timers", "list", "union list", "broadcast"
  Fit fit = Fit::kSame;
  std::string stored;              ///< schema, "key -> value" or "value"; empty when missing
  std::string present;             ///< the same; empty when dropped
  std::vector<std::string> notes;  ///< how values are rewritten, or why they cannot be
};

struct OperatorFit {
  std::string uid;
  std::string name;
  std::string kind;  ///< "source", "operator", "sink"
  Fit fit = Fit::kSame;
  std::vector<StateFit> states;
};

struct Compatibility {
  std::vector<OperatorFit> operators;  ///< in the plan's order; then what only the snapshot has
  std::vector<std::string> refusals;   ///< why the job would not start; empty: it would
};

/// Compares a job with a snapshot without running it: operators are made and opened, so that they
/// declare their states, then let go; sources and sinks are left alone. State files are read as far
/// as their schemas. Errors: the snapshot is not there or damaged, an operator does not open.
Result<Compatibility> compare_with_snapshot(const JobOptions& options, ExecutionPlan plan,
                                            FileSystem& files, const std::string& snapshot);

}  // namespace weir::runtime
