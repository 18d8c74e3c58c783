#include "simulator/simulator.h"

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/log.h"

namespace weir::simulator {
namespace {

class Simulator : public testing::Test {
 protected:
  void SetUp() override { log().set_level(spdlog::level::off); }
};

/// WEIR_SIMULATION_COUNT and WEIR_SIMULATION_SEED choose others.
std::uint64_t number_from(const char* variable, std::uint64_t fallback) {
  const char* text = std::getenv(variable);
  return text == nullptr || *text == '\0' ? fallback : std::strtoull(text, nullptr, 10);
}

#ifdef NDEBUG
constexpr std::uint64_t kSchedules = 1'000'000;
#else
constexpr std::uint64_t kSchedules = 1'000;
#endif

TEST_F(Simulator, NoScheduleBreaksAPromise) {
  const std::uint64_t first = number_from("WEIR_SIMULATION_SEED", 0);
  const std::uint64_t count = number_from("WEIR_SIMULATION_COUNT", kSchedules);
  constexpr std::uint64_t kThreads = 2;
  constexpr std::uint64_t kFailuresShown = 10;
  std::atomic<std::uint64_t> failures{0};
  std::atomic<std::int64_t> kills{0};
  std::atomic<std::int64_t> attempts{0};
  std::atomic<std::int64_t> published{0};
  std::vector<std::thread> threads;
  for (std::uint64_t thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (std::uint64_t i = thread; i < count && failures < kFailuresShown; i += kThreads) {
        const Outcome outcome = simulate(first + i);
        kills += outcome.kills;
        attempts += outcome.attempts;
        published += outcome.published;
        if (!outcome.broken.empty()) {
          ++failures;
          ADD_FAILURE() << "seed " << first + i << ": not so: " << outcome.broken
                        << "\n  again: " << replay_command(first + i);
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_GT(kills, static_cast<std::int64_t>(count / 4)) << "faults must really occur";
  EXPECT_GT(attempts, static_cast<std::int64_t>(2 * count));
  EXPECT_GT(published, static_cast<std::int64_t>(2 * count));
}

TEST_F(Simulator, ASeedRepeatsBitForBit) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const Outcome once = simulate(seed);
    const Outcome again = simulate(seed);
    ASSERT_EQ(once.trace_hash, again.trace_hash) << "seed " << seed;
    ASSERT_EQ(once.events, again.events) << "seed " << seed;
    ASSERT_NE(once.trace_hash, simulate(seed + 1).trace_hash) << "seed " << seed;
  }
}

// The oracles can fail: without exactly-once alignment records are doubled.
TEST_F(Simulator, AtLeastOnceShowsDuplicates) {
  int caught = 0;
  for (std::uint64_t seed = 0; seed < 1'000; ++seed) {
    caught += simulate(seed, {.is_at_least_once = true}).broken.empty() ? 0 : 1;
  }
  EXPECT_GT(caught, 10);
}

}  // namespace
}  // namespace weir::simulator
