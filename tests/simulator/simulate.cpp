// weir_simulate --seed S --count N [--trace]: runs the schedules of N seeds.
#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <string>

#include <CLI/CLI.hpp>

#include "base/log.h"
#include "simulator/simulator.h"

int main(int argc, char** argv) {
  std::uint64_t seed = 0;
  std::uint64_t count = 1;
  weir::simulator::SimulationOptions options;
  CLI::App app("Runs seeded schedules of the checkpoint protocol in virtual time.");
  app.add_option("--seed", seed, "the first seed");
  app.add_option("--count", count, "how many seeds, one after the other");
  app.add_flag("--trace", options.is_traced, "print every event");
  app.add_flag("--at-least-once", options.is_at_least_once,
               "negative control: barriers do not hold back inputs");
  CLI11_PARSE(app, argc, argv);
  weir::log().set_level(spdlog::level::off);

  const auto begin = std::chrono::steady_clock::now();
  std::uint64_t failed = 0;
  std::int64_t events = 0;
  std::int64_t published = 0;
  std::int64_t kills = 0;
  std::int64_t attempts = 0;
  std::uint64_t hash = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const weir::simulator::Outcome outcome = weir::simulator::simulate(seed + i, options);
    events += outcome.events;
    published += outcome.published;
    kills += outcome.kills;
    attempts += outcome.attempts;
    hash = hash * 0x100000001b3U ^ outcome.trace_hash;
    if (!outcome.broken.empty()) {
      ++failed;
      std::printf("seed %" PRIu64 ": not so: %s\n  again: %s\n", seed + i, outcome.broken.c_str(),
                  weir::simulator::replay_command(seed + i).c_str());
    }
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf("%" PRIu64 " schedules, %" PRIu64 " failed; %" PRId64 " events, %" PRId64
              " checkpoints, %" PRId64 " attempts, %" PRId64
              " kills; %.1f s, %.0f schedules/s; trace %016" PRIx64 "\n",
              count, failed, events, published, attempts, kills, seconds,
              static_cast<double>(count) / seconds, hash);
  return failed == 0 ? 0 : 1;
}
