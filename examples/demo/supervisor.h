#pragma once

#include <cstdint>

#include "job.h"

namespace demo {

struct DemoOptions {
  JobSettings job;  ///< folder is filled in by the supervisor
  int kills = 5;
  bool is_kept = false;  ///< leave the folder with results and checkpoints behind
};

/// Exit statuses of the demo.
inline constexpr int kExitProved = 0;  ///< nothing lost, nothing duplicated, all kills happened
inline constexpr int kExitWrongResults = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitNotProved = 3;  ///< the run itself went wrong

/// The input rate at which `kills` kills and a checkpoint a second fit into a run.
double default_rate(std::uint64_t records, int kills);

/// Runs the job, kills it and starts it again until it has finished, then checks its results.
int run_demo(DemoOptions options);

}  // namespace demo
