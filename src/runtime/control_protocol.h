#pragma once

#include <string>
#include <string_view>

#include "weir/job_client.h"
#include "weir/job_result.h"
#include "weir/job_status.h"
#include "weir/result.h"

namespace weir::runtime {

/// What is said on a job's control socket: docs/formats/control-socket.md. One JSON object per
/// line, one answer per request.

inline constexpr int kControlVersion = 1;

struct ControlRequest {
  enum class Kind { kStatus, kTriggerCheckpoint, kTriggerSavepoint, kStopWithSavepoint, kCancel };

  Kind kind = Kind::kStatus;
  std::string directory;  ///< of the savepoint; empty = the job's own setting
  bool is_drain = false;  ///< of a stop
  std::string id;         ///< the client's, as JSON text; empty = none
};

std::string encode_request(const ControlRequest& request);
/// Treats `line` as hostile. Unknown members are refused: a misspelt "drain" must not stop a job
/// without it.
Result<ControlRequest> decode_request(std::string_view line);
/// The id of a request that may be wrong otherwise, so that its refusal finds its way.
std::string id_of_request(std::string_view line);

struct JobReport {
  std::string job_name;
  std::string job_id;
  std::string directory;  ///< of its checkpoints; empty when it has none
  JobStatus status;
};

std::string encode_answer(const std::string& id, const Error& error);
std::string encode_answer(const std::string& id, const JobReport& report);
std::string encode_answer(const std::string& id, const SnapshotInfo& snapshot);
/// How the job ended that was to be cancelled.
std::string encode_answer(const std::string& id, const JobResult& result);

}  // namespace weir::runtime
