#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "job_report.h"

namespace demo {

/// The live progress line: redrawn in place on a terminal, a line a second elsewhere.
class Progress {
 public:
  Progress(std::uint64_t records, int kills);

  /// A new process of the job begins.
  void on_start();
  void on_report(const JobReport& report);
  void on_kill() { ++kills_; }
  /// A line of its own for what happened.
  void say(const std::string& text);

  /// Records whose effect is in the job's state: rises, and falls back when a job is restored.
  std::int64_t position() const { return position_; }
  /// Completed since the beginning, over all processes.
  std::int64_t checkpoints() const { return checkpoints_before_ + report_.checkpoints; }
  double seconds() const;

 private:
  void draw();
  std::string line() const;

  using Clock = std::chrono::steady_clock;

  const std::int64_t records_;
  const int kills_planned_;
  const bool is_terminal_;
  const Clock::time_point started_ = Clock::now();
  Clock::time_point drawn_{};
  Clock::time_point measured_{};
  std::int64_t measured_records_ = 0;
  double records_per_second_ = 0;
  JobReport report_;
  JobReport last_checkpoint_;
  bool is_position_said_ = true;
  std::int64_t position_ = 0;
  std::int64_t position_when_killed_ = 0;
  std::int64_t checkpoints_before_ = 0;
  int starts_ = 0;
  int kills_ = 0;
  bool is_line_drawn_ = false;
};

}  // namespace demo
