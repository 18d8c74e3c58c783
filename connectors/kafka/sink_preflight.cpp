#include <charconv>

#include "base/log.h"
#include "kafka/broker_client.h"
#include "kafka/committable.h"
#include "kafka/rd_client.h"
#include "kafka/sink_core.h"

namespace weir::kafka {
namespace {

Error invalid(std::string message) {
  return Error{ErrorCode::kInvalidArgument, "kafka sink: " + std::move(message)};
}

Status check_settings(const SinkOptions& options, const SinkContext& context) {
  if (options.topic.empty()) {
    return invalid("no topic; call set_topic()");
  }
  if (options.serialize == nullptr) {
    return invalid("no serializer; call set_record_serializer()");
  }
  if (!options.properties.contains("bootstrap.servers")) {
    return invalid("no brokers; call set_bootstrap_servers()");
  }
  auto conf = make_rd_conf(options.properties,
                           {"transactional.id", "enable.idempotence", "statistics.interval.ms"});
  if (!conf.ok()) {
    return conf.error();
  }
  if (options.guarantee == DeliveryGuarantee::kExactlyOnce && !context.is_checkpointing_enabled) {
    return invalid(
        "exactly-once needs checkpoints: set execution.checkpointing.interval, or "
        "choose DeliveryGuarantee::kAtLeastOnce");
  }
  if (options.properties.contains("acks") || options.properties.contains("request.required.acks")) {
    const std::string acks =
        options.properties.get("acks", options.properties.get("request.required.acks"));
    if (acks != "all" && acks != "-1") {
      return invalid("acks=" + acks + " would lose records; the sink needs acks=all (the default)");
    }
  }
  return {};
}

Status check_topic(const SinkOptions& options, BrokerClient& client) {
  WEIR_ASSIGN(const ClusterMetadata cluster,
              client.metadata(std::vector<std::string>{options.topic}));
  if (cluster.topics.empty()) {
    return Error{ErrorCode::kIo, "kafka sink: the broker says nothing about the topic"};
  }
  const std::int16_t error = cluster.topics.front().error;
  if (error == kUnknownTopicOrPartition) {
    return Error{ErrorCode::kNotFound,
                 "kafka sink: topic '" + options.topic +
                     "' does not exist. Create it first (kafka-topics.sh --create --topic " +
                     options.topic +
                     " ...); weir does not rely on auto.create.topics.enable, which would choose "
                     "partitions and replication for you"};
  }
  if (error != kNoError && error != kLeaderNotAvailable) {
    return protocol_error(error, "looking up topic '" + options.topic + "'");
  }
  return {};
}

std::optional<std::int64_t> number(const std::map<std::string, std::string>& settings,
                                   const std::string& name) {
  const auto found = settings.find(name);
  std::int64_t value = 0;
  if (found == settings.end()) {
    return std::nullopt;
  }
  const std::string& text = found->second;
  if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc()) {
    return std::nullopt;
  }
  return value;
}

Status check_transaction_timeout(const SinkOptions& options, const SinkContext& context,
                                 BrokerClient& client) {
  const std::int64_t timeout_ms = transaction_timeout_ms(options);
  const auto settings = client.broker_settings({"transaction.max.timeout.ms"});
  if (!settings.ok()) {
    // Reading settings needs a right of its own; the producer's start would fail all the same.
    log().warn("kafka sink: cannot compare transaction.timeout.ms with the broker's limit: {}",
               settings.error().message);
  } else if (const auto limit = number(settings.value(), "transaction.max.timeout.ms");
             limit.has_value() && timeout_ms > *limit) {
    return invalid("transaction.timeout.ms is " + std::to_string(timeout_ms) +
                   ", above the broker's transaction.max.timeout.ms of " + std::to_string(*limit) +
                   "; lower the one with set_property() or raise the other on the broker");
  }
  const std::int64_t needed_ms =
      context.checkpoint_interval.count() + options.worst_recovery.count();
  if (!options.keep_replay_log && timeout_ms < needed_ms) {
    return invalid("transaction.timeout.ms is " + std::to_string(timeout_ms) +
                   ", below checkpoint interval + worst recovery = " + std::to_string(needed_ms) +
                   " ms: an outage of that length would lose an epoch. Raise it, lower "
                   "set_worst_recovery(), or use set_replay_log(true)");
  }
  return {};
}

}  // namespace

std::string prefix_of(const SinkOptions& options, const SinkContext& context) {
  return options.transactional_id_prefix.empty() ? default_prefix(context)
                                                 : bounded_name(options.transactional_id_prefix);
}

Status check_sink(const SinkOptions& options, const SinkContext& context) {
  WEIR_TRY(check_settings(options, context));
  WEIR_ASSIGN(auto config, make_client_config(options.properties));
  BrokerClient client(std::move(config));
  WEIR_TRY(check_scram_login(client, rd_kafka_version()));
  WEIR_TRY(check_topic(options, client));
  if (options.guarantee == DeliveryGuarantee::kExactlyOnce) {
    WEIR_TRY(check_transaction_timeout(options, context, client));
  }
  return {};
}

}  // namespace weir::kafka
