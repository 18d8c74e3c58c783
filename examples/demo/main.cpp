// The main job, killed and restarted until it is done, and its results checked record by record.
// The same program is the supervisor and, with --job, the job. See supervisor.h.

#include <exception>
#include <map>
#include <random>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "job.h"
#include "supervisor.h"

namespace {

/// Whether the input lasts long enough, at this rate, for all kills to come about.
bool has_time_for_kills(const demo::DemoOptions& options) {
  constexpr double kSecondsPerKillMin = 1.5;
  const double seconds = static_cast<double>(options.job.records) / options.job.records_per_second;
  return options.kills == 0 || seconds >= kSecondsPerKillMin * (options.kills + 1);
}

}  // namespace

int main(int argc, char** argv) {
  demo::DemoOptions options;
  options.job.records = 20'000'000;
  options.job.seed = std::random_device{}();
  bool is_job = false;
  const std::map<std::string, weir::DeliveryGuarantee> guarantees = {
      {"exactly-once", weir::DeliveryGuarantee::kExactlyOnce},
      {"at-least-once", weir::DeliveryGuarantee::kAtLeastOnce}};

  CLI::App app(
      "Runs a stateful pipeline, kills it with SIGKILL several times, and proves that no "
      "result was lost or duplicated.");
  app.add_option("--records", options.job.records, "payments to process")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{10'000'000'000}));
  app.add_option("--rate", options.job.records_per_second,
                 "payments a second at most (default: so that the run takes about 15 seconds)")
      ->check(CLI::PositiveNumber);
  app.add_option("--kills", options.kills, "how often the job is killed")
      ->check(CLI::Range(0, 1000));
  app.add_option("--seed", options.job.seed, "of payments and kills (default: random, printed)");
  app.add_option("--guarantee", options.job.guarantee,
                 "exactly-once, or at-least-once, the negative control")
      ->transform(CLI::CheckedTransformer(guarantees));
  app.add_flag("--keep", options.is_kept, "keep results, checkpoints and the job's log");
  app.add_flag("--job", is_job, "be the job process")->group("");
  app.add_option("--folder", options.job.folder)->group("");
  app.add_option("--report-fd", options.job.report_fd)->group("");
  CLI11_PARSE(app, argc, argv);

  try {
    if (is_job) {
      return demo::run_job(options.job);
    }
    if (options.job.records_per_second == 0) {
      options.job.records_per_second = demo::default_rate(options.job.records, options.kills);
    }
    if (!has_time_for_kills(options)) {
      fmt::print(stderr, "demo: {} payments at {} a second leave no time for {} kills\n",
                 options.job.records, options.job.records_per_second, options.kills);
      return demo::kExitUsage;
    }
    return demo::run_demo(options);
  } catch (const std::exception& exception) {
    fmt::print(stderr, "demo: {}\n", exception.what());
    return demo::kExitNotProved;
  }
}
