#include "runtime/restart_strategy.h"

#include <gtest/gtest.h>

#include "weir/config_options.h"

namespace weir {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

/// The middle of the range: no jitter.
double no_jitter() { return 0.5; }

std::unique_ptr<RestartStrategy> make(const Configuration& configuration,
                                      RestartStrategy::RandomUnit random = no_jitter) {
  EXPECT_TRUE(validate(configuration).ok()) << validate(configuration).error().message;
  return make_restart_strategy(configuration, std::move(random));
}

Configuration of_type(RestartStrategyType type) {
  Configuration configuration;
  configuration.set(options::kRestartStrategy, type);
  return configuration;
}

TEST(RestartStrategy, WithoutCheckpointsThereIsNoRestart) {
  EXPECT_FALSE(make(Configuration())->on_failure(0).is_restart);
}

TEST(RestartStrategy, WithCheckpointsTheDefaultIsExponentialDelay) {
  Configuration configuration;
  configuration.set(options::kCheckpointInterval, seconds(1))
      .set(options::kCheckpointDir, "/tmp/x");
  const auto verdict = make(configuration)->on_failure(0);
  EXPECT_TRUE(verdict.is_restart);
  EXPECT_EQ(verdict.delay, seconds(1));
}

TEST(RestartStrategy, FixedDelayGivesUpAfterItsAttemptsHoweverLongTheJobRan) {
  auto configuration = of_type(RestartStrategyType::kFixedDelay);
  configuration.set(options::kFixedDelayAttempts, 2).set(options::kFixedDelay, milliseconds(30));
  const auto strategy = make(configuration);
  EXPECT_EQ(strategy->on_failure(0).delay, milliseconds(30));
  strategy->on_running(100);
  EXPECT_TRUE(strategy->on_failure(1'000'000'000).is_restart);
  EXPECT_FALSE(strategy->on_failure(1'000'000'001).is_restart);
}

TEST(RestartStrategy, ExponentialDelayGrowsToItsMaximumAndStaysThere) {
  auto configuration = of_type(RestartStrategyType::kExponentialDelay);
  configuration.set(options::kExponentialInitialBackoff, milliseconds(100))
      .set(options::kExponentialMaxBackoff, milliseconds(350))
      .set(options::kExponentialMultiplier, 2.0);
  const auto strategy = make(configuration);
  EXPECT_EQ(strategy->on_failure(0).delay, milliseconds(100));
  EXPECT_EQ(strategy->on_failure(1'000).delay, milliseconds(200));
  EXPECT_EQ(strategy->on_failure(2'000).delay, milliseconds(350));
  for (int i = 0; i < 20'000; ++i) {
    ASSERT_EQ(strategy->on_failure(3'000).delay, milliseconds(350));
  }
}

TEST(RestartStrategy, ExponentialDelayStartsAnewAfterAStableRunOnly) {
  auto configuration = of_type(RestartStrategyType::kExponentialDelay);
  configuration.set(options::kExponentialInitialBackoff, milliseconds(100))
      .set(options::kExponentialMultiplier, 2.0)
      .set(options::kExponentialResetThreshold, minutes(1))
      .set(options::kExponentialAttempts, 2);
  const auto strategy = make(configuration);
  EXPECT_EQ(strategy->on_failure(0).delay, milliseconds(100));
  strategy->on_running(1'000);
  strategy->on_running(50'000);  // Said again: the run began at the first word.
  EXPECT_EQ(strategy->on_failure(61'000).delay, milliseconds(100));
  // A job that never came up was not stable, however long the attempt took.
  EXPECT_EQ(strategy->on_failure(10'000'000).delay, milliseconds(200));
  strategy->on_running(10'001'000);
  EXPECT_FALSE(strategy->on_failure(10'060'999).is_restart);
}

TEST(RestartStrategy, JitterStaysWithinItsShareAndTheMaximum) {
  auto configuration = of_type(RestartStrategyType::kExponentialDelay);
  configuration.set(options::kExponentialInitialBackoff, milliseconds(1000))
      .set(options::kExponentialMaxBackoff, milliseconds(1050))
      .set(options::kExponentialJitter, 0.1);
  EXPECT_EQ(make(configuration, [] { return 0.0; })->on_failure(0).delay, milliseconds(900));
  EXPECT_EQ(make(configuration, [] { return 0.75; })->on_failure(0).delay, milliseconds(1050));
  EXPECT_EQ(make(configuration, [] { return 0.999999; })->on_failure(0).delay, milliseconds(1050));
}

TEST(RestartStrategy, FailureRateCountsFailuresOfTheLastIntervalOnly) {
  auto configuration = of_type(RestartStrategyType::kFailureRate);
  configuration.set(options::kFailureRateMax, 2)
      .set(options::kFailureRateInterval, seconds(10))
      .set(options::kFailureRateDelay, milliseconds(5));
  const auto strategy = make(configuration);
  EXPECT_EQ(strategy->on_failure(0).delay, milliseconds(5));
  EXPECT_TRUE(strategy->on_failure(9'000).is_restart);
  EXPECT_TRUE(strategy->on_failure(10'001).is_restart);
  EXPECT_FALSE(strategy->on_failure(12'000).is_restart);
}

}  // namespace
}  // namespace weir
