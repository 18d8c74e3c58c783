#include "child_process.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace crash {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

/// The environment of the test without crash orders, plus the child's own.
std::vector<std::string> environment_of(const ChildProcess::Order& order) {
  std::vector<std::string> all;
  for (char** one = environ; *one != nullptr; ++one) {
    const std::string_view text(*one);
    const std::string name(text.substr(0, text.find('=')));
    if (name != "WEIR_KILL_AT" && name != "WEIR_STOP_AT" && !order.environment.contains(name)) {
      all.emplace_back(text);
    }
  }
  for (const auto& [name, value] : order.environment) {
    all.push_back(name + "=" + value);
  }
  return all;
}

std::vector<char*> pointers_to(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) {
    pointers.push_back(word.data());
  }
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

bool Ending::was_killed() const { return signal == SIGKILL; }

std::string Ending::to_string() const {
  return signal != 0 ? "killed by signal " + std::to_string(signal)
                     : "exit status " + std::to_string(exit_status);
}

ChildProcess::ChildProcess(const Order& order) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    fail("pipe");
  }
  pipe_ = ends[0];
  const int log = ::open(order.log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log < 0) {
    fail(order.log_path);
  }
  std::vector<std::string> words{order.program};
  words.insert(words.end(), order.arguments.begin(), order.arguments.end());
  std::vector<std::string> variables = environment_of(order);
  const std::vector<char*> arguments = pointers_to(words);
  const std::vector<char*> environment = pointers_to(variables);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) {
    // Only calls that are safe between fork() and exec().
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) {
      ::_exit(126);
    }
    ::dup2(ends[1], STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
    ::execve(arguments[0], arguments.data(), environment.data());
    ::_exit(127);
  }
  ::close(ends[1]);
  ::close(log);
  if (pid_ < 0) {
    fail("fork");
  }
}

ChildProcess::~ChildProcess() {
  if (!ending_.has_value()) {
    signal(SIGKILL);
    wait(Milliseconds(30'000));
  }
  ::close(pipe_);
}

void ChildProcess::signal(int number) {
  if (!ending_.has_value()) {
    ::kill(pid_, number);
  }
}

bool ChildProcess::read_more(Milliseconds timeout) {
  pollfd waiting{pipe_, POLLIN, 0};
  if (is_pipe_closed_ || ::poll(&waiting, 1, static_cast<int>(timeout.count())) <= 0) {
    return false;
  }
  std::array<char, 8192> bytes{};
  const ssize_t length = ::read(pipe_, bytes.data(), bytes.size());
  if (length <= 0) {
    is_pipe_closed_ = length == 0 || errno != EINTR;
    return false;
  }
  received_.append(bytes.data(), static_cast<std::size_t>(length));
  return true;
}

std::optional<std::string> ChildProcess::next_line(Milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    const std::size_t end = received_.find('\n');
    if (end != std::string::npos) {
      std::string line = received_.substr(0, end);
      received_.erase(0, end + 1);
      return line;
    }
    const auto left = std::chrono::duration_cast<Milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (!read_more(std::max(left, Milliseconds(0))) && (is_pipe_closed_ || left.count() <= 0)) {
      return std::nullopt;
    }
  }
}

std::optional<Ending> ChildProcess::wait(Milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!ending_.has_value()) {
    int status = 0;
    const pid_t waited = ::waitpid(pid_, &status, WNOHANG);
    if (waited == pid_) {
      ending_ = WIFSIGNALED(status) ? Ending{-1, WTERMSIG(status)} : Ending{WEXITSTATUS(status), 0};
    } else if (std::chrono::steady_clock::now() >= deadline) {
      return std::nullopt;
    } else if (!read_more(Milliseconds(2))) {
      // The pipe must not fill up, or the child would stand still.
      std::this_thread::sleep_for(Milliseconds(1));
    }
  }
  while (read_more(Milliseconds(0))) {
  }
  return ending_;
}

std::string run_program(const ChildProcess::Order& order, Milliseconds timeout) {
  ChildProcess process(order);
  const auto ending = process.wait(timeout);
  std::string output;
  while (const auto line = process.next_line(Milliseconds(0))) {
    output += *line + "\n";
  }
  if (!ending.has_value() || !ending->is_success()) {
    std::fprintf(stderr, "%s %s: %s (see %s)\n", order.program.c_str(),
                 order.arguments.empty() ? "" : order.arguments[0].c_str(),
                 ending.has_value() ? ending->to_string().c_str() : "timeout",
                 order.log_path.c_str());
    std::abort();
  }
  return output;
}

}  // namespace crash
