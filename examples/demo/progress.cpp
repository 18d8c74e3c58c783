#include "progress.h"

#include <cstdio>

#include <fmt/format.h>
#include <unistd.h>

namespace demo {
namespace {

/// 12345678 -> "12,345,678".
std::string grouped(std::int64_t number) {
  std::string text = std::to_string(number);
  for (auto i = static_cast<std::ptrdiff_t>(text.size()) - 3; i > 0; i -= 3) {
    text.insert(static_cast<std::size_t>(i), ",");
  }
  return text;
}

}  // namespace

Progress::Progress(std::uint64_t records, int kills)
    : records_(static_cast<std::int64_t>(records)),
      kills_planned_(kills),
      is_terminal_(::isatty(STDOUT_FILENO) == 1) {}

double Progress::seconds() const {
  return std::chrono::duration<double>(Clock::now() - started_).count();
}

void Progress::on_start() {
  checkpoints_before_ += report_.checkpoints;
  position_when_killed_ = position_;
  report_ = JobReport{};
  measured_ = Clock::now();
  measured_records_ = 0;
  is_position_said_ = ++starts_ == 1;
}

void Progress::on_report(const JobReport& report) {
  report_ = report;
  if (report.checkpoints > 0) {
    last_checkpoint_ = report;
  }
  if (report.restored_records >= 0) {
    if (!is_position_said_) {
      is_position_said_ = true;
      say(fmt::format(
          "  restored checkpoint {}: goes on at record {}, reads at least {} again",
          report.restored_checkpoint, grouped(report.restored_records),
          grouped(std::max<std::int64_t>(0, position_when_killed_ - report.restored_records))));
    }
    position_ = report.restored_records + report.records_in;
  }
  const double elapsed = std::chrono::duration<double>(Clock::now() - measured_).count();
  if (elapsed >= 1.0) {
    records_per_second_ = static_cast<double>(report.records_in - measured_records_) / elapsed;
    measured_ = Clock::now();
    measured_records_ = report.records_in;
  }
  draw();
}

std::string Progress::line() const {
  return fmt::format(
      "{:5.1f} s  {:>10} of {} records  {:.2f} M/s  checkpoints {} (last {} ms, {:.1f} MB)  "
      "kills {} of {}",
      seconds(), grouped(position_), grouped(records_), records_per_second_ / 1e6, checkpoints(),
      last_checkpoint_.checkpoint_duration_ms,
      static_cast<double>(last_checkpoint_.checkpoint_bytes) / 1e6, kills_, kills_planned_);
}

void Progress::draw() {
  const auto now = Clock::now();
  if (now - drawn_ < (is_terminal_ ? std::chrono::milliseconds(100) : std::chrono::seconds(1))) {
    return;
  }
  drawn_ = now;
  if (is_terminal_) {
    fmt::print("\r\033[K{}", line());
    is_line_drawn_ = true;
  } else {
    fmt::print("{}\n", line());
  }
  std::fflush(stdout);
}

void Progress::say(const std::string& text) {
  if (is_line_drawn_) {
    fmt::print("\r\033[K");
    is_line_drawn_ = false;
  }
  fmt::print("{}\n", text);
  std::fflush(stdout);
}

}  // namespace demo
