#include "runtime/restart_strategy.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <utility>

#include "weir/check.h"
#include "weir/config_options.h"

namespace weir {
namespace {

std::string of_limit(int count, int limit) {
  return std::to_string(count) + (limit == std::numeric_limits<int>::max()
                                      ? std::string()
                                      : " of " + std::to_string(limit));
}

class NoRestart final : public RestartStrategy {
 public:
  Verdict on_failure(std::int64_t /*now_ms*/) override {
    return {false, DurationMs(0), "restart-strategy.type is disable"};
  }
};

/// Counts restarts over the whole life of the job: running well does not give any back.
class FixedDelay final : public RestartStrategy {
 public:
  FixedDelay(int attempts_max, DurationMs delay) : attempts_max_(attempts_max), delay_(delay) {}

  Verdict on_failure(std::int64_t /*now_ms*/) override {
    if (attempts_ >= attempts_max_) {
      return {false, DurationMs(0),
              "fixed-delay: " + std::to_string(attempts_max_) + " restarts are used up"};
    }
    ++attempts_;
    return {true, delay_, "fixed-delay: restart " + of_limit(attempts_, attempts_max_)};
  }

 private:
  int attempts_max_;
  DurationMs delay_;
  int attempts_ = 0;
};

class ExponentialDelay final : public RestartStrategy {
 public:
  struct Settings {
    DurationMs initial{0};
    DurationMs max{0};
    double multiplier = 1;
    double jitter = 0;
    DurationMs reset_threshold{0};
    int attempts_max = 0;
  };

  ExponentialDelay(Settings settings, RandomUnit random)
      : settings_(settings), random_(std::move(random)) {}

  Verdict on_failure(std::int64_t now_ms) override {
    const bool was_stable = running_since_ms_.has_value() &&
                            now_ms - *running_since_ms_ >= settings_.reset_threshold.count();
    running_since_ms_.reset();
    if (was_stable) {
      attempts_ = 0;
    }
    if (attempts_ >= settings_.attempts_max) {
      return {false, DurationMs(0),
              "exponential-delay: " + std::to_string(settings_.attempts_max) +
                  " restarts in a row are used up"};
    }
    // The backoff is computed anew each time, with the exponent bounded, so that rounding does not
    // add up and nothing overflows.
    const double limit = static_cast<double>(settings_.max.count());
    const double backoff =
        std::min(limit, static_cast<double>(settings_.initial.count()) *
                            std::pow(settings_.multiplier, std::min(attempts_, 10'000)));
    const double offset = backoff * settings_.jitter * (2 * random_() - 1);
    const auto delay_ms = static_cast<std::int64_t>(std::clamp(backoff + offset, 0.0, limit));
    attempts_ += attempts_ == std::numeric_limits<int>::max() ? 0 : 1;
    return {true, DurationMs(delay_ms),
            "exponential-delay: restart " + of_limit(attempts_, settings_.attempts_max)};
  }

  void on_running(std::int64_t now_ms) override {
    if (!running_since_ms_.has_value()) {
      running_since_ms_ = now_ms;
    }
  }

 private:
  Settings settings_;
  RandomUnit random_;
  int attempts_ = 0;
  std::optional<std::int64_t> running_since_ms_;
};

class FailureRate final : public RestartStrategy {
 public:
  FailureRate(int failures_max, DurationMs interval, DurationMs delay)
      : failures_max_(failures_max), interval_(interval), delay_(delay) {}

  Verdict on_failure(std::int64_t now_ms) override {
    failures_ms_.push_back(now_ms);
    while (now_ms - failures_ms_.front() > interval_.count()) {
      failures_ms_.pop_front();
    }
    const auto count = static_cast<int>(failures_ms_.size());
    const std::string counted = "failure-rate: failure " + of_limit(count, failures_max_) +
                                " allowed within " + std::to_string(interval_.count()) + " ms";
    // At most failures_max_ + 1 times are kept: with that many the job is given up.
    return count > failures_max_ ? Verdict{false, DurationMs(0), counted}
                                 : Verdict{true, delay_, counted};
  }

 private:
  int failures_max_;
  DurationMs interval_;
  DurationMs delay_;
  std::deque<std::int64_t> failures_ms_;
};

}  // namespace

std::unique_ptr<RestartStrategy> make_restart_strategy(const Configuration& configuration,
                                                       RestartStrategy::RandomUnit random) {
  switch (restart_strategy_type(configuration)) {
    case RestartStrategyType::kDisable:
      return std::make_unique<NoRestart>();
    case RestartStrategyType::kFixedDelay:
      return std::make_unique<FixedDelay>(configuration.get(options::kFixedDelayAttempts),
                                          configuration.get(options::kFixedDelay));
    case RestartStrategyType::kExponentialDelay: {
      WEIR_CHECK(random != nullptr);
      ExponentialDelay::Settings settings;
      settings.initial = configuration.get(options::kExponentialInitialBackoff);
      settings.max = configuration.get(options::kExponentialMaxBackoff);
      settings.multiplier = configuration.get(options::kExponentialMultiplier);
      settings.jitter = configuration.get(options::kExponentialJitter);
      settings.reset_threshold = configuration.get(options::kExponentialResetThreshold);
      settings.attempts_max = configuration.get(options::kExponentialAttempts);
      return std::make_unique<ExponentialDelay>(settings, std::move(random));
    }
    case RestartStrategyType::kFailureRate:
      return std::make_unique<FailureRate>(configuration.get(options::kFailureRateMax),
                                           configuration.get(options::kFailureRateInterval),
                                           configuration.get(options::kFailureRateDelay));
  }
  WEIR_CHECK_MESSAGE(false, "unknown restart strategy");
}

}  // namespace weir
