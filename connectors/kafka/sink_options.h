#pragma once

#include <functional>
#include <string>
#include <vector>

#include "kafka/client_config.h"
#include "kafka/record.h"
#include "weir/batch.h"
#include "weir/sink.h"

namespace weir::kafka {

/// Turns the records of a batch, in order, into as many Kafka records; `out` is reused.
using SerializeBatch = std::function<Status(const Batch& batch, std::vector<Record>& out)>;

/// Everything a Kafka sink was built with; the erased side of KafkaSink<T>.
struct SinkOptions {
  Properties properties;
  std::string topic;
  DeliveryGuarantee guarantee = DeliveryGuarantee::kNone;
  std::string transactional_id_prefix;  ///< empty = derived from pipeline and sink uid
  bool keep_replay_log = true;
  /// Longest time between a crash and the commits of the restarted job that the transaction timeout
  /// must cover when there is no replay log.
  DurationMs worst_recovery{300'000};
  SerializeBatch serialize;
  const TypeOps* record_type = nullptr;
};

/// Prefix of this sink's transactional ids within a job.
std::string prefix_of(const SinkOptions& options, const SinkContext& context);

/// transaction.timeout.ms, or the brokers' default maximum of it.
inline int transaction_timeout_ms(const SinkOptions& options) {
  constexpr std::int64_t kDefaultMs = 900'000;
  return static_cast<int>(
      options.properties.get_integer("transaction.timeout.ms").value_or(kDefaultMs));
}

}  // namespace weir::kafka
