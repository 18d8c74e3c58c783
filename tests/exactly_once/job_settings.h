#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "weir/result.h"
#include "weir/sink.h"

namespace crash {

/// What a crash_job process is told. The tests fill it in, turn it into arguments, and kill what
/// they started with it.
struct JobSettings {
  std::string pipeline;  ///< see pipelines.h
  std::uint64_t seed = 1;
  std::uint64_t shape = 1;  ///< of the pipeline "random"
  std::uint32_t keys = 32;
  std::uint64_t records = 0;  ///< of the generator
  double records_per_second = 0;
  int delay_us = 0;           ///< a source sleeps so long per record, so that a run lasts
  std::string input;          ///< directory or topic
  std::string output;         ///< directory, or topic
  std::string second_output;  ///< of pipelines with two sinks
  std::string checkpoints;    ///< directory; empty = checkpoints off
  std::string job_id = "crash";
  int parallelism = 2;
  int interval_ms = 150;
  weir::DeliveryGuarantee guarantee = weir::DeliveryGuarantee::kExactlyOnce;
  /// Kafka.
  std::string bootstrap;
  bool is_bounded = true;
  bool starts_at_latest = false;
  /// The result of key 0 with this number is made too big for any topic; -1 = none.
  std::int64_t huge_sequence = -1;
  int transaction_timeout_ms = 60'000;
  bool has_replay_log = true;
  int worst_recovery_ms = 0;
  std::string transactional_id_prefix;
  std::string bad_records = "fail";  ///< fail, skip, dead-letter (to second_output)
  std::map<std::string, std::string> client_properties;  ///< of source and sinks
  std::map<std::string, std::string> sink_properties;
  /// Any weir setting, as "key=value".
  std::vector<std::string> definitions;
};

/// Without the program's name.
std::vector<std::string> to_arguments(const JobSettings& settings);
weir::Result<JobSettings> parse_arguments(int argc, const char* const* argv);

}  // namespace crash
