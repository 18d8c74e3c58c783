#pragma once

#include <thread>

#include "recovery/scenario.h"

namespace weir::recovery {

inline constexpr std::chrono::seconds kPatience(60);

/// Jobs that run until somebody ends them.
class JobClientTest : public RecoveryTest {
 protected:
  /// Counting, without an end; each reader waits for a checkpoint after a hundred events.
  JobClientTest() { source_.count = 1'000'000'000; }

  /// Only checkpoints that somebody asks for.
  Configuration without_period() const {
    Configuration settings = configuration();
    settings.set(options::kCheckpointInterval, DurationMs(3'600'000));
    return settings;
  }
  JobClient start(const Configuration& settings) const {
    Environment environment(settings);
    count_events(environment, dud());
    Result<JobClient> client = environment.execute_async("recovery");
    EXPECT_TRUE(client.ok()) << client.error().message;
    return std::move(client).value();
  }
  static Result<SnapshotInfo> answer(SnapshotReply reply) {
    if (reply.wait_for(kPatience) != std::future_status::ready) {
      return Error{ErrorCode::kTimeout, "no answer"};
    }
    return reply.get();
  }
  template <class Condition>
  static bool wait_until(const Condition& is_met) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!is_met() && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return is_met();
  }
};

}  // namespace weir::recovery
