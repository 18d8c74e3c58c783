#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "job_settings.h"

namespace crash {

/// Kills a job again and again and starts it each time from its last checkpoint, at every fifth
/// start with another parallelism; then lets it run to its end.
class Campaign {
 public:
  /// A job of `settings` (with delay_us or records_per_second such that it lasts) that logs to
  /// `log_path`.
  Campaign(JobSettings settings, std::string log_path, std::uint64_t seed);

  /// Runs the job until it kills itself at the point ("name", or "name:passage"). Fails the test
  /// when the job ends in any other way, or never gets there.
  void kill_at(const std::string& point);
  /// A point that can only be reached from a checkpoint whose commit is outstanding: dies once to
  /// leave such a checkpoint behind, and then in the recovery from it.
  void kill_in_recovery_at(const std::string& point);
  /// SIGKILL when this process has read so many records.
  void kill_after_records(std::int64_t records);
  /// SIGKILL at a random moment: of the start in every third case, else of running.
  void kill_at_random();
  /// Full speed, no more kills; fails the test unless the job finishes.
  void finish();

  int kills() const { return kills_; }
  std::string summary() const;
  JobSettings& settings() { return settings_; }
  /// Called before every start with a random number: may change the settings.
  void set_before_start(std::function<void(JobSettings&, std::uint64_t)> change) {
    before_start_ = std::move(change);
  }
  /// Which passage of a point that comes with every checkpoint is the deadly one. More than the
  /// first few when a source takes its time to start: epochs without records prove little.
  void set_passage(int passage) { passage_ = passage; }
  /// Where kill_in_recovery_at() dies first. Default: checkpoint.after_manifest.
  void set_point_before_recovery(std::string point) { before_recovery_ = std::move(point); }

 private:
  void next_start();
  std::uint64_t chance();

  JobSettings settings_;
  std::string log_path_;
  std::uint64_t state_;
  std::function<void(JobSettings&, std::uint64_t)> before_start_;
  int starts_ = 0;
  int passage_ = 1;
  std::string before_recovery_ = "checkpoint.after_manifest";
  int kills_ = 0;
  std::map<std::string, int> kills_at_;
};

/// Kill points that every pipeline with an exactly-once sink passes, outside recovery.
const std::vector<std::string>& engine_points();
/// Those it passes while it restores a checkpoint with outstanding commits.
const std::vector<std::string>& restore_points();

}  // namespace crash
