#pragma once

#include <chrono>
#include <optional>
#include <string>

#include <sys/types.h>

#include "job.h"
#include "job_report.h"

namespace demo {

/// This program once more, as the job, in a process of its own. Killed when it goes out of scope.
class JobProcess {
 public:
  /// `kill_point`: where the job kills itself (WEIR_KILL_AT); empty = nowhere. Its log is appended
  /// to `log_path`. Throws std::system_error.
  JobProcess(const JobSettings& settings, const std::string& kill_point,
             const std::string& log_path);
  ~JobProcess();
  JobProcess(const JobProcess&) = delete;
  JobProcess& operator=(const JobProcess&) = delete;

  /// Waits for the next report; nothing when the time is over or the job has ended.
  std::optional<JobReport> next_report(std::chrono::milliseconds timeout);
  /// The job has closed its end of the pipe: it has ended or is about to.
  bool has_ended() const { return has_ended_; }
  void kill();
  /// Waits for the end. The status as waitpid() gives it.
  int wait();

 private:
  std::optional<JobReport> take_report();

  pid_t pid_ = -1;
  int pipe_ = -1;
  bool has_ended_ = false;
  std::string received_;
};

}  // namespace demo
