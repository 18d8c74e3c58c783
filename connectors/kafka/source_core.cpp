#include "kafka/source_core.h"

#include <regex>

#include "kafka/broker_client.h"
#include "kafka/rd_client.h"
#include "kafka/source_reader.h"
#include "kafka/split_enumerator.h"

namespace weir::kafka {
namespace {

Error invalid(std::string message) {
  return Error{ErrorCode::kInvalidArgument, "kafka source: " + std::move(message)};
}

Status check_subscription(const SourceOptions& options) {
  const int ways = (options.topics.empty() ? 0 : 1) + (options.topic_pattern.empty() ? 0 : 1) +
                   (options.partitions.empty() ? 0 : 1);
  if (ways != 1) {
    return invalid(
        "exactly one of set_topics(), set_topic_pattern() and set_partitions() is "
        "needed, " +
        std::to_string(ways) + " are given");
  }
  if (!options.topic_pattern.empty()) {
    try {
      const std::regex pattern(options.topic_pattern);
    } catch (const std::regex_error& error) {
      return invalid("set_topic_pattern(\"" + options.topic_pattern + "\"): " + error.what());
    }
  }
  return {};
}

Status check_settings(const SourceOptions& options) {
  if (!options.properties.contains("bootstrap.servers")) {
    return invalid("no brokers; call set_bootstrap_servers()");
  }
  if (options.parse == nullptr) {
    return invalid("no deserializer; call set_deserializer()");
  }
  WEIR_TRY(check_subscription(options));
  const auto needs_group = [](const OffsetsInitializer& one) {
    return one.kind() == OffsetsInitializer::Kind::kCommitted;
  };
  if (options.group_id.empty() &&
      (needs_group(options.start) || (options.stop.has_value() && needs_group(*options.stop)))) {
    return invalid("OffsetsInitializer::committed_offsets() needs set_group_id()");
  }
  if (options.boundedness == Boundedness::kBounded && !options.stop.has_value()) {
    return invalid("a bounded source needs stop offsets");
  }
  return make_rd_conf(options.properties, {"group.id", "enable.auto.commit", "auto.offset.reset",
                                           "enable.partition.eof", "enable.auto.offset.store"})
      .status();
}

class KafkaSourceCore final : public Source {
 public:
  explicit KafkaSourceCore(SourceOptions options) : options_(std::move(options)) {}

  Boundedness boundedness() const override { return options_.boundedness; }
  const TypeOps& record_type() const override { return *options_.record_type; }
  Status preflight(const SourceContext& context) override {
    return check_source(options_, context);
  }
  Result<std::unique_ptr<SplitEnumerator>> create_enumerator(const SourceContext&) override {
    return make_enumerator({});
  }
  Result<std::unique_ptr<SplitEnumerator>> restore_enumerator(const SourceContext&,
                                                              const std::string& state) override {
    WEIR_ASSIGN(EnumeratorState decoded, decode_enumerator_state(state));
    return make_enumerator(std::move(decoded));
  }
  Result<std::unique_ptr<SourceReader>> create_reader(SourceReaderContext context) override {
    return std::unique_ptr<SourceReader>(
        std::make_unique<KafkaSourceReader>(options_, std::move(context)));
  }

 private:
  Result<std::unique_ptr<SplitEnumerator>> make_enumerator(EnumeratorState state) {
    WEIR_ASSIGN(ClientConfig config, make_client_config(options_.properties));
    return std::unique_ptr<SplitEnumerator>(
        std::make_unique<KafkaSplitEnumerator>(options_, std::move(config), std::move(state)));
  }

  const SourceOptions options_;
};

}  // namespace

std::shared_ptr<Source> make_source(SourceOptions options) {
  return std::make_shared<KafkaSourceCore>(std::move(options));
}

Status check_source(const SourceOptions& options, const SourceContext& /*context*/) {
  WEIR_TRY(check_settings(options));
  WEIR_ASSIGN(ClientConfig config, make_client_config(options.properties));
  BrokerClient client(std::move(config));
  WEIR_TRY(check_scram_login(client, rd_kafka_version()));
  WEIR_ASSIGN(const ClusterMetadata cluster, client.metadata(options.topics));
  for (const TopicMetadata& topic : cluster.topics) {
    if (topic.error == kUnknownTopicOrPartition) {
      return Error{ErrorCode::kNotFound, "kafka source: topic '" + topic.name +
                                             "' does not exist; create it or correct set_topics()"};
    }
    if (topic.error != kNoError && topic.error != kLeaderNotAvailable) {
      return protocol_error(topic.error, "looking up topic '" + topic.name + "'");
    }
  }
  return {};
}

}  // namespace weir::kafka
