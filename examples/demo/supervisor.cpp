#include "supervisor.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <sys/wait.h>

#include "job_process.h"
#include "kill_plan.h"
#include "oracle.h"
#include "progress.h"

namespace demo {
namespace {

constexpr double kRunSeconds = 15;
/// A kill costs its time since the last checkpoint and may need two new checkpoints to come about.
constexpr double kSecondsPerKill = 2.5;

/// A fresh folder, removed in the end.
class WorkFolder {
 public:
  explicit WorkFolder(bool is_kept) : is_kept_(is_kept) {
    path_ = (std::filesystem::temp_directory_path() / "weir-demo-XXXXXX").string();
    if (::mkdtemp(path_.data()) == nullptr) {
      throw std::runtime_error("cannot create the folder " + path_);
    }
  }
  ~WorkFolder() {
    std::error_code ignored;
    if (!is_kept_) {
      std::filesystem::remove_all(path_, ignored);
    }
  }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;
  const std::string& path() const { return path_; }
  std::string log_path() const { return path_ + "/job.log"; }

 private:
  std::string path_;
  bool is_kept_;
};

void print_end_of_log(const std::string& path) {
  constexpr std::size_t kLines = 15;
  std::ifstream log(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(log, line);) {
    lines.push_back(line);
  }
  for (std::size_t i = lines.size() - std::min(lines.size(), kLines); i < lines.size(); ++i) {
    fmt::print("  | {}\n", lines[i]);
  }
}

class Supervisor {
 public:
  Supervisor(const DemoOptions& options, std::string log_path)
      : job_(options.job),
        log_path_(std::move(log_path)),
        progress_(options.job.records, options.kills) {
    std::mt19937_64 random(options.job.seed);
    plan_ = make_kill_plan(options.kills, job_.guarantee == weir::DeliveryGuarantee::kExactlyOnce,
                           random);
  }

  /// True when the job has finished and been killed as often as planned.
  bool run() {
    for (std::size_t i = 0; i < plan_.size(); ++i) {
      const int status = run_until_killed(plan_[i]);
      if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        return explain_end(
            status, fmt::format("before kill {} of {} ({})", i + 1, plan_.size(), plan_[i].moment));
      }
      progress_.on_kill();
      progress_.say(fmt::format("kill {} of {}, {}{}{}", i + 1, plan_.size(), plan_[i].moment,
                                plan_[i].kill_point.empty() ? "" : ": ", plan_[i].kill_point));
    }
    const int status = run_to_the_end();
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
      return explain_end(status, "without being killed");
    }
    progress_.say(fmt::format("job finished after {:.1f} s and {} checkpoints", progress_.seconds(),
                              progress_.checkpoints()));
    return true;
  }

 private:
  int run_until_killed(const Kill& kill) {
    JobProcess job(job_, kill.kill_point, log_path_);
    progress_.on_start();
    const auto kill_at =
        static_cast<std::int64_t>(kill.at_fraction * static_cast<double>(job_.records));
    while (!job.has_ended()) {
      const auto report = job.next_report(std::chrono::seconds(1));
      if (!report.has_value()) {
        continue;
      }
      progress_.on_report(*report);
      // Before the first checkpoint there would be nothing to restore for a kill that follows.
      if (kill.kill_point.empty() && report->is_running && progress_.position() >= kill_at &&
          progress_.checkpoints() > 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(kill.delay_ms));
        job.kill();
        break;
      }
    }
    return job.wait();
  }

  int run_to_the_end() {
    JobProcess job(job_, "", log_path_);
    progress_.on_start();
    while (!job.has_ended()) {
      if (const auto report = job.next_report(std::chrono::seconds(1))) {
        progress_.on_report(*report);
      }
    }
    return job.wait();
  }

  bool explain_end(int status, const std::string& when) {
    if (WIFSIGNALED(status)) {
      progress_.say(fmt::format("the job died of signal {} {}", WTERMSIG(status), when));
    } else if (WEXITSTATUS(status) == 0) {
      progress_.say(
          fmt::format("the job finished {}: give it more --records or a lower --rate", when));
      return false;
    } else {
      progress_.say(fmt::format("the job failed {}", when));
    }
    print_end_of_log(log_path_);
    return false;
  }

  JobSettings job_;
  std::string log_path_;
  std::vector<Kill> plan_;
  Progress progress_;
};

void print_examples(const char* what, const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    fmt::print("  {}: {}\n", what, to_string(row));
  }
}

/// Compares, and prints the verdict as the last line.
int check_results(const DemoOptions& options) {
  const auto started = std::chrono::steady_clock::now();
  const std::vector<Row> found = read_results(options.job.folder);
  const Comparison comparison = compare(recompute(options.job.records, options.job.seed), found);
  fmt::print("recomputed and compared in {:.1f} s\n",
             std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count());
  const bool is_right = comparison.lost == 0 && comparison.duplicated == 0;
  if (!is_right) {
    print_examples("lost", comparison.first_lost);
    print_examples("duplicated", comparison.first_duplicated);
  }
  if (options.job.guarantee != weir::DeliveryGuarantee::kExactlyOnce) {
    fmt::print("{}\n",
               comparison.duplicated > 0
                   ? "at-least-once is the negative control: duplicates are the expected outcome "
                     "(a total that counts a payment twice is lost and duplicated), and "
                     "the exit status is 1, since 0 needs 0 lost and 0 duplicated"
                   : "at-least-once is the negative control, but no kill made a duplicate: "
                     "try another --seed");
  }
  fmt::print("demo: {} records in, {} results out, {} kills: {} lost, {} duplicated\n",
             options.job.records, found.size(), options.kills, comparison.lost,
             comparison.duplicated);
  return is_right ? kExitProved : kExitWrongResults;
}

}  // namespace

double default_rate(std::uint64_t records, int kills) {
  return static_cast<double>(records) / std::max(kRunSeconds, kSecondsPerKill * (kills + 1));
}

int run_demo(DemoOptions options) {
  const WorkFolder folder(options.is_kept);
  options.job.folder = folder.path();
  fmt::print("demo: {} payments at {:.0f} a second, {} kills, seed {}, {}, folder {}\n",
             options.job.records, options.job.records_per_second, options.kills, options.job.seed,
             options.job.guarantee == weir::DeliveryGuarantee::kExactlyOnce ? "exactly-once"
                                                                            : "at-least-once",
             folder.path());
  if (!Supervisor(options, folder.log_path()).run()) {
    fmt::print("demo: nothing is proved\n");
    return kExitNotProved;
  }
  return check_results(options);
}

}  // namespace demo
