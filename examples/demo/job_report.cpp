#include "job_report.h"

#include <nlohmann/json.hpp>

namespace demo {

// Not in an unnamed namespace: the JSON library finds these functions by the type's namespace.
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(JobReport, is_running, records_in, restored_records,
                                   restored_checkpoint, checkpoints, checkpoint_duration_ms,
                                   checkpoint_bytes, restarts)

std::string encode_report(const JobReport& report) { return nlohmann::json(report).dump() + "\n"; }

std::optional<JobReport> decode_report(std::string_view line) {
  try {
    return nlohmann::json::parse(line).get<JobReport>();
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

}  // namespace demo
