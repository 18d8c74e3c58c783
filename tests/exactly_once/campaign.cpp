#include "campaign.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include <gtest/gtest.h>

#include "event.h"
#include "job_process.h"

namespace crash {
namespace {

// Generous: two busy cores may be shared with other tests.
constexpr Milliseconds kPointTimeout{120'000};
// Shapes with little memory for RocksDB and short epochs are bound by the disk: two minutes alone
// on two cores.
constexpr Milliseconds kEndTimeout{400'000};

}  // namespace

const std::vector<std::string>& engine_points() {
  static const std::vector<std::string> points{
      "checkpoint.all_acknowledged", "checkpoint.before_manifest", "checkpoint.after_manifest",
      "commit.before", "commit.after"};
  return points;
}

const std::vector<std::string>& restore_points() {
  static const std::vector<std::string> points{"restore.after_load", "restore.before_commit",
                                               "restore.after_commit", "restore.tasks_running"};
  return points;
}

Campaign::Campaign(JobSettings settings, std::string log_path, std::uint64_t seed)
    : settings_(std::move(settings)), log_path_(std::move(log_path)), state_(seed) {}

std::uint64_t Campaign::chance() { return scramble(++state_); }

void Campaign::next_start() {
  constexpr int kStartsPerRescale = 5;
  if (++starts_ % kStartsPerRescale == 0) {
    settings_.parallelism = settings_.parallelism % 4 + 1;
  }
  if (before_start_ != nullptr) {
    before_start_(settings_, chance());
  }
}

void Campaign::kill_at(const std::string& named) {
  const bool is_of_restore = named.starts_with("restore.") || named.starts_with("kafka.re");
  const std::string point = named.find(':') == std::string::npos && !is_of_restore
                                ? named + ":" + std::to_string(passage_)
                                : named;
  next_start();
  JobProcess job(settings_, log_path_, {.kill_at = point, .stop_at = ""});
  const auto ending = job.wait(kPointTimeout);
  ASSERT_TRUE(ending.has_value()) << "the job never came to " << point << "; see " << log_path_;
  ASSERT_TRUE(ending->was_killed())
      << "the job ended before it came to " << point << ": " << ending->to_string() << ", "
      << job.report().end << " " << job.report().error << "; see " << log_path_;
  ++kills_;
  ++kills_at_[point.substr(0, point.find(':'))];
}

void Campaign::kill_in_recovery_at(const std::string& point) {
  kill_at(before_recovery_);
  if (!::testing::Test::HasFatalFailure()) {
    kill_at(point);
  }
}

void Campaign::kill_after_records(std::int64_t records) {
  next_start();
  JobProcess job(settings_, log_path_);
  ASSERT_TRUE(job.wait_until(
      [records](const JobProcess::Report& report) { return report.in >= records; }, kPointTimeout))
      << job.report().error << "; see " << log_path_;
  job.kill();
  ASSERT_TRUE(job.wait(kPointTimeout)->was_killed()) << "the job ended by itself";
  ++kills_;
  ++kills_at_["after some records"];
}

void Campaign::kill_at_random() {
  next_start();
  const bool in_start = chance() % 3 == 0;
  JobProcess job(settings_, log_path_);
  if (!in_start) {
    ASSERT_TRUE(job.wait_until_running(kPointTimeout))
        << job.report().end << " " << job.report().error << "; see " << log_path_;
  }
  const auto span_ms = static_cast<std::uint64_t>(in_start ? 100 : 4 * settings_.interval_ms);
  const auto ending = job.wait(Milliseconds(chance() % span_ms));
  job.kill();
  ASSERT_TRUE(!ending.has_value() && job.wait(kPointTimeout)->was_killed())
      << "the job ended by itself: " << job.report().end << " " << job.report().error << "; see "
      << log_path_;
  ++kills_;
  ++kills_at_[in_start ? "at random, starting" : "at random, running"];
}

void Campaign::finish() {
  settings_.delay_us = 0;
  settings_.records_per_second = 0;
  next_start();
  JobProcess job(settings_, log_path_);
  const auto ending = job.wait(kEndTimeout);
  ASSERT_TRUE(ending.has_value()) << "the job does not end; see " << log_path_;
  ASSERT_TRUE(ending->is_success())
      << ending->to_string() << " " << job.report().error << "; see " << log_path_;
  ASSERT_EQ(job.report().end, "finished");
}

std::string Campaign::summary() const {
  std::string text = settings_.pipeline + ": " + std::to_string(kills_) + " kills";
  for (const auto& [point, count] : kills_at_) {
    text += "\n  " + std::to_string(count) + "  " + point;
  }
  return text;
}

}  // namespace crash
