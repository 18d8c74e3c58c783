#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace crash {

using Milliseconds = std::chrono::milliseconds;

/// How a process ended.
struct Ending {
  int exit_status = -1;  ///< -1 = killed by a signal
  int signal = 0;

  bool was_killed() const;
  bool is_success() const { return exit_status == 0; }
  std::string to_string() const;
};

/// A program started by a test; dies with the test. Its stdout is read line by line, its stderr is
/// appended to a log file.
class ChildProcess {
 public:
  struct Order {
    std::string program;
    std::vector<std::string> arguments;
    std::map<std::string, std::string> environment;  ///< added to the test's own
    std::string log_path;
  };

  explicit ChildProcess(const Order& order);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  /// SIGKILL, SIGSTOP, SIGCONT, SIGTERM. Nothing happens when it has ended.
  void signal(int number);
  /// The next line of its stdout; nothing when none came in time or it has closed it.
  std::optional<std::string> next_line(Milliseconds timeout);
  /// Nothing when it still runs after `timeout`.
  std::optional<Ending> wait(Milliseconds timeout);
  bool is_running() { return !wait(Milliseconds(0)).has_value(); }
  pid_t pid() const { return pid_; }

 private:
  bool read_more(Milliseconds timeout);

  pid_t pid_ = -1;
  int pipe_ = -1;
  bool is_pipe_closed_ = false;
  std::string received_;
  std::optional<Ending> ending_;
};

/// Runs a program to its end and returns its stdout; aborts the test program when it fails.
std::string run_program(const ChildProcess::Order& order, Milliseconds timeout);

}  // namespace crash
