#pragma once

#include <string>

#include "output.h"
#include "runtime/control_protocol.h"
#include "weir/result.h"
#include "weir/time.h"

namespace weir::cli {

/// Sends one request to a running job and waits for the answer, whose members it returns.
/// `job`: checkpoint directory, job id or socket.
Result<Json> ask_job(const std::string& job, const runtime::ControlRequest& request,
                     DurationMs timeout);

}  // namespace weir::cli
