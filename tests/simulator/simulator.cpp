#include "simulator/simulator.h"

#include "simulator/world.h"

namespace weir::simulator {

Outcome simulate(std::uint64_t seed, const SimulationOptions& options) {
  Chance chance(seed);
  Schedule schedule = draw_schedule(chance);
  schedule.is_at_least_once = options.is_at_least_once;
  schedule.is_unaligned = schedule.is_unaligned && !options.is_at_least_once;
  World world(schedule, chance, options.is_traced);
  Outcome outcome;
  try {
    world.run();
  } catch (const Violation& violation) {
    outcome.broken = violation.what;
  }
  outcome.trace_hash = world.trace_hash();
  outcome.events = world.event_count();
  outcome.published = world.published_count();
  outcome.kills = world.kill_count();
  outcome.attempts = world.attempt_count();
  return outcome;
}

std::string replay_command(std::uint64_t seed) {
  return "weir_simulate --seed " + std::to_string(seed) + " --count 1 --trace";
}

}  // namespace weir::simulator
