#include "job_process.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include <nlohmann/json.hpp>

#include "checkpoint_folder.h"

namespace crash {
namespace {

/// A job that is waited for that long is not slow.
constexpr Milliseconds kHangs{30'000};

ChildProcess::Order order_of(const JobSettings& settings, const std::string& log_path,
                             const JobProcess::Faults& faults) {
  ChildProcess::Order order;
  order.program = CRASH_JOB_PATH;
  order.arguments = to_arguments(settings);
  order.log_path = log_path;
  if (!faults.kill_at.empty()) {
    order.environment["WEIR_KILL_AT"] = faults.kill_at;
  }
  if (!faults.stop_at.empty()) {
    order.environment["WEIR_STOP_AT"] = faults.stop_at;
  }
  return order;
}

}  // namespace

JobProcess::JobProcess(const JobSettings& settings, const std::string& log_path,
                       const Faults& faults)
    : process_(order_of(settings, log_path, faults)), log_path_(log_path) {}

void JobProcess::kill() { process_.signal(SIGKILL); }
void JobProcess::terminate() { process_.signal(SIGTERM); }
void JobProcess::suspend() { process_.signal(SIGSTOP); }
void JobProcess::resume() { process_.signal(SIGCONT); }

bool JobProcess::take_line(Milliseconds timeout) {
  const auto line = process_.next_line(timeout);
  if (!line.has_value()) {
    return false;
  }
  const auto json = nlohmann::json::parse(*line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return true;
  }
  report_.phase = json.value("phase", report_.phase);
  report_.attempt = json.value("attempt", report_.attempt);
  report_.restarts = json.value("restarts", report_.restarts);
  report_.in = json.value("in", report_.in);
  report_.completed = json.value("completed", report_.completed);
  if (json.contains("phase")) {
    report_.failed = json.value("failed", report_.failed);
  }
  report_.restored = json.value("restored", report_.restored);
  report_.pending = json.value("pending", report_.pending);
  report_.end = json.value("end", report_.end);
  report_.code = json.value("code", report_.code);
  report_.error = json.value("error", report_.error);
  return true;
}

bool JobProcess::wait_until(const std::function<bool(const Report&)>& is_it, Milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!is_it(report_)) {
    const auto left =
        std::chrono::duration_cast<Milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0 && timeout >= kHangs) {
      log_stacks();
    }
    if (left.count() <= 0 || (!take_line(left) && !process_.is_running() && !take_line({}))) {
      return is_it(report_);
    }
  }
  return true;
}

bool JobProcess::wait_until_running(Milliseconds timeout) {
  return wait_until([](const Report& report) { return report.phase == "RUNNING"; }, timeout);
}

bool JobProcess::wait_until_stopped(Milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  const std::string stat = "/proc/" + std::to_string(process_.pid()) + "/stat";
  while (std::chrono::steady_clock::now() < deadline) {
    if (read_file(stat).find(") T ") != std::string::npos) {
      return true;
    }
    std::this_thread::sleep_for(Milliseconds(10));
  }
  return false;
}

bool JobProcess::wait_for_checkpoints(std::int64_t count, Milliseconds timeout) {
  return wait_until([count](const Report& report) { return report.completed >= count; }, timeout);
}

std::optional<Ending> JobProcess::wait(Milliseconds timeout) {
  const auto ending = process_.wait(timeout);
  if (!ending.has_value() && timeout >= kHangs) {
    log_stacks();
  }
  while (take_line({})) {
  }
  return ending;
}

void JobProcess::log_stacks() {
  const std::string command =
      "{ command -v gdb >/dev/null && gdb -p " + std::to_string(process_.pid()) +
      " -batch -ex 'thread apply all backtrace 24'; } >> '" + log_path_ + "' 2>&1";
  if (std::system(command.c_str()) != 0) {  // NOLINT(concurrency-mt-unsafe)
    std::fprintf(stderr, "no stacks of process %d\n", static_cast<int>(process_.pid()));
  }
}

const JobProcess::Report& JobProcess::wait_for_report(Milliseconds timeout) {
  wait(timeout);
  return report_;
}

}  // namespace crash
