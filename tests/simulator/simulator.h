#pragma once

#include <cstdint>
#include <string>

namespace weir::simulator {

struct Outcome {
  std::string broken;  ///< empty = every oracle was satisfied
  std::uint64_t trace_hash = 0;
  std::int64_t events = 0;
  std::int64_t published = 0;
  int kills = 0;
  int attempts = 0;
};

struct SimulationOptions {
  bool is_traced = false;         ///< prints every event to standard output
  bool is_at_least_once = false;  ///< negative control: barriers do not hold back inputs
};

/// Runs the schedule of one seed. Equal seeds give equal outcomes, bit for bit.
Outcome simulate(std::uint64_t seed, const SimulationOptions& options = {});

/// The command that repeats a seed.
std::string replay_command(std::uint64_t seed);

}  // namespace weir::simulator
