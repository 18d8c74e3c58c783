#pragma once

#include "checkpoint/manifest.h"
#include "checkpoint/operator_match.h"
#include "runtime/execution_plan.h"
#include "runtime/job_options.h"
#include "weir/result.h"

namespace weir::runtime {

/// Brings job and snapshot together ahead of a restore: renames what the uid mapping says in the
/// manifest, and gives the plan the snapshot's max parallelisms. Returns which operators have
/// state; whether the rest may be dropped is checkpoint::check_match()'s to say. Errors: uids of
/// another kind or without keys, parallelisms that do not fit.
Result<checkpoint::OperatorMatch> match_snapshot(const JobOptions& options, ExecutionPlan& plan,
                                                 checkpoint::Manifest& manifest);

}  // namespace weir::runtime
