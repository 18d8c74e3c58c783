#pragma once

#include <cstdint>
#include <string>

#include "weir/sink.h"

namespace demo {

/// What the job process is told by its supervisor.
struct JobSettings {
  std::uint64_t records = 0;
  std::uint64_t seed = 0;
  double records_per_second = 0;
  weir::DeliveryGuarantee guarantee = weir::DeliveryGuarantee::kExactlyOnce;
  std::string folder;  ///< results go to its sub folders, checkpoints too
  int report_fd = -1;  ///< where JobReports are written, line by line
};

/// The sub folders of JobSettings::folder.
inline constexpr const char* kAccountsFolder = "accounts";
inline constexpr const char* kWindowsFolder = "windows";
inline constexpr const char* kCheckpointsFolder = "checkpoints";
/// What the names of committed result files begin with.
inline constexpr const char* kResultPrefix = "part-";

/// The whole life of a job process; its exit status.
int run_job(const JobSettings& settings);

}  // namespace demo
