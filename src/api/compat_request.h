#pragma once

#include <optional>
#include <string>

#include "runtime/execution_plan.h"
#include "runtime/job_options.h"
#include "weir/result.h"

namespace weir {

/// The snapshot to compare with, when `weir compat` runs this program; else nothing.
std::optional<std::string> compat_snapshot();

/// `weir compat` starts the job's program with WEIR_COMPAT_SNAPSHOT and WEIR_COMPAT_REPORT set: the
/// program builds its pipeline as ever, but what would run it compares it with the snapshot, writes
/// the report (docs/operations/weir-tool.md) and fails. Returns that failure.
/// REQUIRES: compat_snapshot() is `snapshot`.
Error answer_compat_request(const std::string& snapshot, const runtime::JobOptions& options,
                            const runtime::ExecutionPlan& plan);

}  // namespace weir
