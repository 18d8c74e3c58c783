#include "weir/environment.h"

#include <atomic>
#include <csignal>
#include <memory>
#include <optional>
#include <random>
#include <thread>

#include "api/compat_request.h"
#include "graph/planner.h"
#include "runtime/job_options.h"
#include "runtime/job_runner.h"
#include "weir/config_options.h"

namespace weir {
namespace {

/// The job that signals stop; one per process at a time.
std::atomic<runtime::JobControl*> running_job{nullptr};

void stop_running_job(int /*signal*/) {
  if (runtime::JobControl* job = running_job.load()) {
    job->request_suspend();
  }
}

/// SIGTERM and SIGINT stop the job gracefully while this lives; a second one kills the process.
class StopSignals {
 public:
  explicit StopSignals(runtime::JobControl& job) {
    running_job.store(&job);
    struct sigaction action = {};
    action.sa_handler = stop_running_job;
    action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
    sigaction(SIGTERM, &action, &old_term_);
    sigaction(SIGINT, &action, &old_int_);
  }
  ~StopSignals() {
    sigaction(SIGTERM, &old_term_, nullptr);
    sigaction(SIGINT, &old_int_, nullptr);
    running_job.store(nullptr);
  }
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

 private:
  struct sigaction old_term_ = {};
  struct sigaction old_int_ = {};
};

Result<runtime::ExecutionPlan> plan_of(const StreamGraph& graph, const Configuration& configuration,
                                       const std::string& job_name) {
  graph::PlanOptions options;
  options.job_name = job_name;
  options.default_parallelism = configuration.get(options::kParallelism);
  options.max_parallelism = configuration.get(options::kMaxParallelism);
  options.are_uids_generated = configuration.get(options::kAutoGenerateUids);
  return graph::build_plan(graph, options);
}

Result<std::unique_ptr<runtime::JobRunner>> make_runner(const StreamGraph& graph,
                                                        Configuration configuration,
                                                        const std::string& job_name,
                                                        const JobListener& listener) {
  const std::optional<std::string> compared_with = compat_snapshot();
  if (compared_with.has_value()) {
    configuration.set(options::kRecoveryPath, *compared_with);
    // A job that starts from a snapshot needs checkpoints of its own; one that is only compared
    // with it may be compared without the settings for them.
    if (!configuration.is_set(options::kCheckpointInterval)) {
      configuration.set(options::kCheckpointInterval, DurationMs(std::chrono::hours(1)));
      configuration.set(options::kCheckpointDir, *compared_with);
    }
  }
  WEIR_TRY(validate(configuration));
  WEIR_ASSIGN(runtime::ExecutionPlan plan, plan_of(graph, configuration, job_name));
  WEIR_ASSIGN(runtime::JobOptions options, runtime::job_options_of(configuration, job_name));
  if (compared_with.has_value()) {
    return answer_compat_request(*compared_with, options, plan);
  }
  options.listener = listener;
  std::mt19937_64 random(std::random_device{}());
  auto restarts = make_restart_strategy(configuration, [random]() mutable {
    return std::uniform_real_distribution<double>(0.0, 1.0)(random);
  });
  return std::make_unique<runtime::JobRunner>(std::move(plan), std::move(options),
                                              std::move(restarts));
}

/// A job on a thread of its own, which is waited for.
struct BackgroundJob {
  std::unique_ptr<runtime::JobRunner> runner;
  std::thread thread;

  explicit BackgroundJob(std::unique_ptr<runtime::JobRunner> job)
      : runner(std::move(job)), thread([this] { (void)runner->run(); }) {}
  ~BackgroundJob() { thread.join(); }
  BackgroundJob(const BackgroundJob&) = delete;
  BackgroundJob& operator=(const BackgroundJob&) = delete;
};

}  // namespace

Environment::Environment(Configuration configuration)
    : configuration_(std::move(configuration)), graph_(std::make_shared<StreamGraph>()) {}

Result<JobResult> Environment::execute(const std::string& job_name) {
  WEIR_ASSIGN(const auto runner, make_runner(*graph_, configuration_, job_name, listener_));
  const StopSignals signals(*runner->control());
  return runner->run();
}

Result<JobClient> Environment::execute_async(const std::string& job_name) {
  WEIR_ASSIGN(auto runner, make_runner(*graph_, configuration_, job_name, listener_));
  const std::shared_ptr<runtime::JobControl> control = runner->control();
  return JobClient(control, std::make_shared<BackgroundJob>(std::move(runner)));
}

Result<std::string> Environment::explain(const std::string& job_name) const {
  WEIR_TRY(validate(configuration_));
  WEIR_ASSIGN(const runtime::ExecutionPlan plan, plan_of(*graph_, configuration_, job_name));
  return graph::explain(plan);
}

}  // namespace weir
