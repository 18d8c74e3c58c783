#include "job_settings.h"

#include <array>
#include <utility>

#include <nlohmann/json.hpp>

namespace crash {
namespace {

constexpr std::array<std::pair<const char*, weir::DeliveryGuarantee>, 3> kGuarantees{
    {{"exactly-once", weir::DeliveryGuarantee::kExactlyOnce},
     {"at-least-once", weir::DeliveryGuarantee::kAtLeastOnce},
     {"none", weir::DeliveryGuarantee::kNone}}};

std::string name_of(weir::DeliveryGuarantee guarantee) {
  for (const auto& [name, value] : kGuarantees) {
    if (value == guarantee) {
      return name;
    }
  }
  return "?";
}

}  // namespace

std::vector<std::string> to_arguments(const JobSettings& settings) {
  const nlohmann::json json{{"pipeline", settings.pipeline},
                            {"seed", settings.seed},
                            {"shape", settings.shape},
                            {"keys", settings.keys},
                            {"records", settings.records},
                            {"records_per_second", settings.records_per_second},
                            {"delay_us", settings.delay_us},
                            {"input", settings.input},
                            {"output", settings.output},
                            {"second_output", settings.second_output},
                            {"checkpoints", settings.checkpoints},
                            {"job_id", settings.job_id},
                            {"parallelism", settings.parallelism},
                            {"interval_ms", settings.interval_ms},
                            {"guarantee", name_of(settings.guarantee)},
                            {"bootstrap", settings.bootstrap},
                            {"is_bounded", settings.is_bounded},
                            {"starts_at_latest", settings.starts_at_latest},
                            {"huge_sequence", settings.huge_sequence},
                            {"transaction_timeout_ms", settings.transaction_timeout_ms},
                            {"has_replay_log", settings.has_replay_log},
                            {"worst_recovery_ms", settings.worst_recovery_ms},
                            {"transactional_id_prefix", settings.transactional_id_prefix},
                            {"bad_records", settings.bad_records},
                            {"client_properties", settings.client_properties},
                            {"sink_properties", settings.sink_properties},
                            {"definitions", settings.definitions}};
  return {json.dump()};
}

weir::Result<JobSettings> parse_arguments(int argc, const char* const* argv) {
  JobSettings settings;
  const auto json =
      nlohmann::json::parse(argc == 2 ? argv[1] : "", nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("pipeline")) {
    return weir::Error{weir::ErrorCode::kInvalidArgument,
                       "usage: crash_job '{\"pipeline\": ..., ...}' (see job_settings.h)"};
  }
  const auto take = [&json](const char* name, auto& member) {
    if (json.contains(name)) {
      json.at(name).get_to(member);
    }
  };
  take("pipeline", settings.pipeline);
  take("seed", settings.seed);
  take("shape", settings.shape);
  take("keys", settings.keys);
  take("records", settings.records);
  take("records_per_second", settings.records_per_second);
  take("delay_us", settings.delay_us);
  take("input", settings.input);
  take("output", settings.output);
  take("second_output", settings.second_output);
  take("checkpoints", settings.checkpoints);
  take("job_id", settings.job_id);
  take("parallelism", settings.parallelism);
  take("interval_ms", settings.interval_ms);
  take("bootstrap", settings.bootstrap);
  take("is_bounded", settings.is_bounded);
  take("starts_at_latest", settings.starts_at_latest);
  take("huge_sequence", settings.huge_sequence);
  take("transaction_timeout_ms", settings.transaction_timeout_ms);
  take("has_replay_log", settings.has_replay_log);
  take("worst_recovery_ms", settings.worst_recovery_ms);
  take("transactional_id_prefix", settings.transactional_id_prefix);
  take("bad_records", settings.bad_records);
  take("client_properties", settings.client_properties);
  take("sink_properties", settings.sink_properties);
  take("definitions", settings.definitions);
  std::string guarantee = name_of(settings.guarantee);
  take("guarantee", guarantee);
  for (const auto& [name, value] : kGuarantees) {
    if (guarantee == name) {
      settings.guarantee = value;
    }
  }
  return settings;
}

}  // namespace crash
