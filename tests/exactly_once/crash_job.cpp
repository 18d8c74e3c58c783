// The process that the crash tests kill: runs one pipeline and reports its progress on stdout,
// one JSON object per line. The last line says how it ended.
#include <cstdio>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "job_settings.h"
#include "pipelines.h"
#include "weir/config_options.h"
#include "weir/environment.h"

namespace crash {
namespace {

void print(const nlohmann::json& json) {
  const std::string line = json.dump() + "\n";
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
}

int fail(const weir::Error& error) {
  print({{"end", "failed"},
         {"code", weir::error_code_name(error.code)},
         {"error", error.message}});
  return 1;
}

weir::Result<weir::Configuration> configuration_of(const JobSettings& settings) {
  weir::Configuration configuration;
  configuration.set(weir::options::kJobId, settings.job_id)
      .set(weir::options::kParallelism, settings.parallelism);
  if (!settings.checkpoints.empty()) {
    configuration
        .set(weir::options::kCheckpointInterval, weir::DurationMs(settings.interval_ms))
        .set(weir::options::kCheckpointDir, settings.checkpoints);
    if (settings.guarantee != weir::DeliveryGuarantee::kExactlyOnce) {
      configuration.set(weir::options::kCheckpointMode, weir::CheckpointingMode::kAtLeastOnce);
    }
  }
  for (const std::string& definition : settings.definitions) {
    const weir::Status set = configuration.set_definition(definition);
    if (!set.ok()) {
      return set.error();
    }
  }
  return configuration;
}

int run(int argc, const char* const* argv) {
  const auto settings = parse_arguments(argc, argv);
  if (!settings.ok()) {
    return fail(settings.error());
  }
  auto configuration = configuration_of(settings.value());
  if (!configuration.ok()) {
    return fail(configuration.error());
  }
  weir::Environment environment(std::move(configuration).value());
  const weir::Status built = build_pipeline(environment, settings.value());
  if (!built.ok()) {
    return fail(built.error());
  }
  environment.set_listener([](const weir::JobStatus& status) {
    print({{"phase", weir::job_phase_name(status.phase)},
           {"attempt", status.attempt},
           {"restarts", status.restarts},
           {"in", status.records_in},
           {"out", status.records_out},
           {"completed", status.checkpoints_completed},
           {"failed", status.checkpoints_failed},
           {"last", status.last_checkpoint},
           {"restored", status.restored_checkpoint},
           {"pending", status.pending_committables}});
  });
  const auto result = environment.execute(settings.value().job_id);
  if (!result.ok()) {
    return fail(result.error());
  }
  print({{"end", result.value().state == weir::JobState::kFinished ? "finished" : "suspended"},
         {"checkpoint", result.value().last_checkpoint},
         {"restarts", result.value().restarts}});
  return 0;
}

}  // namespace
}  // namespace crash

int main(int argc, char** argv) { return crash::run(argc, argv); }
