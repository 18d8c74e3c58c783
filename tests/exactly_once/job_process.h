#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "child_process.h"
#include "job_settings.h"

namespace crash {

/// A crash_job process: started with settings, watched by its reports, killed.
class JobProcess {
 public:
  /// The last thing the job said of itself.
  struct Report {
    std::string phase;
    std::int64_t attempt = 0;
    std::int64_t restarts = 0;
    std::int64_t in = 0;
    std::int64_t completed = 0;
    std::int64_t failed = 0;
    std::int64_t restored = 0;
    std::int64_t pending = 0;
    std::string end;    ///< finished, suspended, failed; empty while it runs
    std::string code;   ///< of the error, when failed
    std::string error;  ///< when failed
  };

  struct Faults {
    std::string kill_at;  ///< WEIR_KILL_AT; empty = nowhere
    std::string stop_at;  ///< WEIR_STOP_AT
  };

  JobProcess(const JobSettings& settings, const std::string& log_path)
      : JobProcess(settings, log_path, Faults()) {}
  JobProcess(const JobSettings& settings, const std::string& log_path, const Faults& faults);

  ChildProcess& process() { return process_; }
  void kill();
  /// SIGTERM: final checkpoint, commit, exit 0.
  void terminate();
  /// SIGSTOP and SIGCONT: what a process looks like from outside that hangs for a while.
  void suspend();
  void resume();
  /// Waits until the job has said something that `is_it` accepts; false when it ended or the time
  /// passed before.
  bool wait_until(const std::function<bool(const Report&)>& is_it, Milliseconds timeout);
  bool wait_until_running(Milliseconds timeout);
  /// Waits until the process stands still at Faults::stop_at.
  bool wait_until_stopped(Milliseconds timeout);
  /// So many checkpoints of this process completed.
  bool wait_for_checkpoints(std::int64_t count, Milliseconds timeout);
  /// Of one that still runs after half a minute the log gets the stacks, where there is a gdb.
  std::optional<Ending> wait(Milliseconds timeout);
  /// Waits for the end and reads the rest of the reports.
  const Report& wait_for_report(Milliseconds timeout);
  const Report& report() const { return report_; }

 private:
  bool take_line(Milliseconds timeout);
  void log_stacks();

  ChildProcess process_;
  const std::string log_path_;
  Report report_;
};

}  // namespace crash
