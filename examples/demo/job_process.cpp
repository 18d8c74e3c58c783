#include "job_process.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace demo {
namespace {

constexpr int kReportFd = 3;

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

std::vector<std::string> arguments_of(const JobSettings& settings) {
  return {"demo",
          "--job",
          "--records=" + std::to_string(settings.records),
          "--seed=" + std::to_string(settings.seed),
          "--rate=" + std::to_string(settings.records_per_second),
          settings.guarantee == weir::DeliveryGuarantee::kExactlyOnce ? "--guarantee=exactly-once"
                                                                      : "--guarantee=at-least-once",
          "--folder=" + settings.folder,
          "--report-fd=" + std::to_string(kReportFd)};
}

/// The child's side of fork().
[[noreturn]] void become_job(char* const* arguments, int report_pipe, int log) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // No job survives its supervisor.
  // In this order: the log may stand at the number the reports are to have.
  ::dup2(log, STDERR_FILENO);
  ::dup2(log, STDOUT_FILENO);
  if (report_pipe == kReportFd) {
    ::fcntl(report_pipe, F_SETFD, 0);  // dup2 onto itself would keep close-on-exec.
  } else {
    ::dup2(report_pipe, kReportFd);
  }
  ::execv("/proc/self/exe", arguments);
  ::_exit(127);
}

}  // namespace

JobProcess::JobProcess(const JobSettings& settings, const std::string& kill_point,
                       const std::string& log_path) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    fail("pipe");
  }
  pipe_ = ends[0];
  const int log = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log < 0) {
    fail(log_path.c_str());
  }
  std::vector<std::string> arguments = arguments_of(settings);
  std::vector<char*> pointers;
  for (std::string& argument : arguments) {
    pointers.push_back(argument.data());
  }
  pointers.push_back(nullptr);
  if (kill_point.empty()) {
    ::unsetenv("WEIR_KILL_AT");
  } else {
    ::setenv("WEIR_KILL_AT", kill_point.c_str(), 1);
  }
  pid_ = ::fork();
  if (pid_ == 0) {
    become_job(pointers.data(), ends[1], log);
  }
  ::close(ends[1]);
  ::close(log);
  if (pid_ < 0) {
    fail("fork");
  }
}

JobProcess::~JobProcess() {
  if (pid_ > 0) {
    kill();
    wait();
  }
  ::close(pipe_);
}

std::optional<JobReport> JobProcess::take_report() {
  const std::size_t end = received_.find('\n');
  if (end == std::string::npos) {
    return std::nullopt;
  }
  const auto report = decode_report(std::string_view(received_).substr(0, end));
  received_.erase(0, end + 1);
  return report;
}

std::optional<JobReport> JobProcess::next_report(std::chrono::milliseconds timeout) {
  if (auto report = take_report()) {
    return report;
  }
  pollfd waiting{pipe_, POLLIN, 0};
  if (has_ended_ || ::poll(&waiting, 1, static_cast<int>(timeout.count())) <= 0) {
    return std::nullopt;
  }
  std::array<char, 4096> bytes{};
  const ssize_t length = ::read(pipe_, bytes.data(), bytes.size());
  if (length <= 0) {
    has_ended_ = length == 0 || errno != EINTR;
    return std::nullopt;
  }
  received_.append(bytes.data(), static_cast<std::size_t>(length));
  return take_report();
}

void JobProcess::kill() { ::kill(pid_, SIGKILL); }

int JobProcess::wait() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return status;
}

}  // namespace demo
