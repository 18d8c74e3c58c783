#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "weir/configuration.h"
#include "weir/time.h"

namespace weir {

/// Decides whether and when a failed job starts again. Pure logic with Flink's semantics: time and
/// chance are passed in, nothing is slept or started here. Times are milliseconds of one monotonic
/// clock. Not thread-safe.
class RestartStrategy {
 public:
  struct Verdict {
    bool is_restart = false;
    DurationMs delay{0};  ///< from the failure to the restart
    std::string reason;   ///< for the log: which rule and which count
  };
  /// Uniform in [0, 1).
  using RandomUnit = std::function<double()>;

  virtual ~RestartStrategy() = default;
  /// The job failed at `now_ms`. A failure while a restart is already due later must not be
  /// reported: it belongs to the same one.
  virtual Verdict on_failure(std::int64_t now_ms) = 0;
  /// All tasks of the job run since `now_ms`: what counts as stable starts here.
  virtual void on_running(std::int64_t /*now_ms*/) {}
};

/// The strategy of `restart-strategy.*`. `random` serves the jitter of exponential-delay.
/// REQUIRES: validate(configuration).ok().
std::unique_ptr<RestartStrategy> make_restart_strategy(const Configuration& configuration,
                                                       RestartStrategy::RandomUnit random);

}  // namespace weir
