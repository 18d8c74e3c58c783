#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace demo {

/// What the job tells its supervisor a few times a second. Counters are those of one process.
struct JobReport {
  bool is_running = false;
  std::int64_t records_in = 0;
  std::int64_t restored_records = -1;  ///< records before the restored position; -1 = not known yet
  std::int64_t restored_checkpoint = 0;
  std::int64_t checkpoints = 0;
  std::int64_t checkpoint_duration_ms = 0;
  std::int64_t checkpoint_bytes = 0;
  std::int64_t restarts = 0;  ///< within the process: failures that nobody asked for
};

/// One line of JSON, with its line end.
std::string encode_report(const JobReport& report);
/// Nothing if the line is not a whole report: the writer may be killed while it writes.
std::optional<JobReport> decode_report(std::string_view line);

}  // namespace demo
