#include "kafka/broker_client.h"

#include <algorithm>

namespace weir::kafka {
namespace {

constexpr std::size_t kCoordinatorsMax = 10'000;

Error malformed(const std::string& doing) {
  return Error{ErrorCode::kIo, "kafka: malformed answer while " + doing};
}

}  // namespace

Error protocol_error(std::int16_t code, const std::string& doing) {
  ErrorCode kind = ErrorCode::kIo;
  switch (code) {
    case kCoordinatorLoadInProgress:
    case kCoordinatorNotAvailable:
    case kNotCoordinator:
    case kNotLeader:
    case kLeaderNotAvailable:
    case kConcurrentTransactions:
    case kUnstableOffsetCommit:
      kind = ErrorCode::kUnavailable;
      break;
    case kTopicAuthorizationFailed:
    case kGroupAuthorizationFailed:
    case kClusterAuthorizationFailed:
    case kTransactionalIdAuthorizationFailed:
    case kSaslAuthenticationFailed:
      kind = ErrorCode::kAuthentication;
      break;
    case kUnknownTopicOrPartition:
      kind = ErrorCode::kNotFound;
      break;
    case kInvalidProducerEpoch:
    case kProducerFenced:
      kind = ErrorCode::kFenced;
      break;
    case kInvalidTransactionTimeout:
      kind = ErrorCode::kInvalidArgument;
      break;
    default:
      break;
  }
  return Error{kind, "kafka: " + doing + ": " + protocol_error_name(code)};
}

Result<Connection*> BrokerClient::connection_to(const HostPort& address) {
  const Address key{address.host, address.port};
  const auto found = connections_.find(key);
  if (found != connections_.end()) {
    return found->second.get();
  }
  WEIR_ASSIGN(auto opened, Connection::open(config_, address));
  return (connections_[key] = std::move(opened)).get();
}

Result<Connection*> BrokerClient::any_connection() {
  if (!connections_.empty()) {
    return connections_.begin()->second.get();
  }
  Error last{ErrorCode::kInvalidArgument, "kafka: no bootstrap server"};
  for (const HostPort& address : config_.brokers) {
    Result<Connection*> connection = connection_to(address);
    // A refused login will be refused by every broker; trying on would lock the account.
    if (connection.ok() || connection.error().code == ErrorCode::kAuthentication) {
      return connection;
    }
    last = connection.error();
  }
  return last;
}

Result<std::string> BrokerClient::call(const HostPort& address, ApiVersion api,
                                       std::string_view body) {
  WEIR_ASSIGN(Connection* const connection, connection_to(address));
  Result<std::string> answer =
      connection->call(api, body, deadline_after_ms(config_.request_timeout_ms));
  if (!answer.ok()) {
    connections_.erase({address.host, address.port});
  }
  return answer;
}

Result<ClusterMetadata> BrokerClient::metadata_from(
    Connection& connection, const std::optional<std::vector<std::string>>& topics) {
  const ApiVersion api = connection.supports(kMetadataV12) ? kMetadataV12 : kMetadataV4;
  WEIR_ASSIGN(const std::string bytes,
              connection.call(api, encode_metadata(api, topics),
                              deadline_after_ms(config_.request_timeout_ms)));
  auto metadata = decode_metadata(api, bytes);
  if (!metadata.has_value()) {
    return malformed("reading the metadata of topics");
  }
  return *std::move(metadata);
}

Result<ClusterMetadata> BrokerClient::metadata(
    const std::optional<std::vector<std::string>>& topics) {
  // A kept connection may have died meanwhile; the second try opens a new one.
  for (int attempt = 1;; ++attempt) {
    const bool was_kept = !connections_.empty();
    WEIR_ASSIGN(Connection* const connection, any_connection());
    Result<ClusterMetadata> metadata = metadata_from(*connection, topics);
    if (metadata.ok() || attempt == 2 || !was_kept) {
      return metadata;
    }
    connections_.clear();
  }
}

Result<std::map<std::string, std::string>> BrokerClient::broker_settings(
    const std::vector<std::string>& names) {
  WEIR_ASSIGN(const ClusterMetadata cluster, metadata(std::vector<std::string>{}));
  if (cluster.brokers.empty()) {
    return malformed("listing brokers");
  }
  const BrokerAddress& broker = cluster.brokers.front();
  WEIR_ASSIGN(const std::string bytes, call({broker.host, broker.port}, kDescribeConfigsV1,
                                            encode_describe_broker_configs(broker.node_id, names)));
  auto answer = decode_describe_configs(bytes);
  if (!answer.has_value()) {
    return malformed("reading broker settings");
  }
  if (answer->error != kNoError) {
    return protocol_error(answer->error, "reading broker settings");
  }
  return std::move(answer->values);
}

Result<std::map<TopicPartition, std::int64_t>> BrokerClient::list_offsets(
    const std::vector<TopicPartition>& which, std::int64_t timestamp, bool is_read_committed) {
  std::set<std::string> names;
  for (const TopicPartition& one : which) {
    names.insert(one.topic);
  }
  WEIR_ASSIGN(const ClusterMetadata cluster,
              metadata(std::vector<std::string>(names.begin(), names.end())));
  std::map<std::int32_t, HostPort> brokers;
  for (const BrokerAddress& broker : cluster.brokers) {
    brokers[broker.node_id] = HostPort{broker.host, broker.port};
  }
  std::map<TopicPartition, std::int32_t> leaders;
  for (const TopicMetadata& topic : cluster.topics) {
    for (const PartitionMetadata& partition : topic.partitions) {
      leaders[{topic.name, partition.partition}] = partition.leader;
    }
  }
  std::map<std::int32_t, std::vector<TopicPartition>> by_leader;
  for (const TopicPartition& one : which) {
    const auto leader = leaders.find(one);
    if (leader == leaders.end() || !brokers.contains(leader->second)) {
      return Error{
          ErrorCode::kUnavailable,
          "kafka: " + one.topic + "[" + std::to_string(one.partition) + "] has no leader now"};
    }
    by_leader[leader->second].push_back(one);
  }
  std::map<TopicPartition, std::int64_t> offsets;
  for (const auto& [leader, partitions] : by_leader) {
    WEIR_ASSIGN(const std::string bytes,
                call(brokers[leader], kListOffsetsV2,
                     encode_list_offsets(partitions, timestamp, is_read_committed)));
    const auto answer = decode_list_offsets(bytes);
    if (!answer.has_value()) {
      return malformed("listing offsets");
    }
    for (const ListedOffset& one : *answer) {
      if (one.error != kNoError) {
        return protocol_error(one.error, "listing the offsets of " + one.where.topic + "[" +
                                             std::to_string(one.where.partition) + "]");
      }
      offsets[one.where] = one.offset;
    }
  }
  return offsets;
}

Result<std::map<TopicPartition, GroupOffset>> BrokerClient::group_offsets(
    const std::string& group, const std::vector<TopicPartition>& which) {
  const std::string doing = "reading the offsets of group '" + group + "'";
  WEIR_ASSIGN(const std::string bytes,
              call_coordinator(CoordinatorType::kGroup, group, kOffsetFetchV7,
                               encode_offset_fetch(group, which, true)));
  auto answer = decode_offset_fetch(bytes);
  if (!answer.has_value()) {
    return malformed(doing);
  }
  std::int16_t error = answer->error;
  std::map<TopicPartition, GroupOffset> offsets;
  for (FetchedOffset& one : answer->offsets) {
    error = error == kNoError ? one.error : error;
    GroupOffset& offset = offsets[one.where];
    if (one.offset >= 0) {
      offset.offset = one.offset;
    }
    offset.metadata = std::move(one.metadata);
  }
  if (error == kNotCoordinator || error == kCoordinatorNotAvailable) {
    forget_coordinator(CoordinatorType::kGroup, group);
  }
  if (error != kNoError) {
    return protocol_error(error, doing);
  }
  return offsets;
}

Result<std::optional<std::vector<ListedTransaction>>> BrokerClient::list_transactions() {
  WEIR_ASSIGN(const ClusterMetadata cluster, metadata(std::vector<std::string>{}));
  std::vector<ListedTransaction> transactions;
  for (const BrokerAddress& broker : cluster.brokers) {
    const HostPort address{broker.host, broker.port};
    WEIR_ASSIGN(const Connection* const connection, connection_to(address));
    if (!connection->supports(kListTransactionsV0)) {
      return std::optional<std::vector<ListedTransaction>>();
    }
    WEIR_ASSIGN(const std::string bytes,
                call(address, kListTransactionsV0, encode_list_transactions()));
    auto answer = decode_list_transactions(bytes);
    if (!answer.has_value()) {
      return malformed("listing transactions");
    }
    if (answer->error != kNoError) {
      return protocol_error(answer->error, "listing transactions");
    }
    std::move(answer->transactions.begin(), answer->transactions.end(),
              std::back_inserter(transactions));
  }
  return std::optional(std::move(transactions));
}

Result<bool> BrokerClient::supports(ApiVersion api) {
  WEIR_ASSIGN(const Connection* const connection, any_connection());
  return connection->supports(api);
}

Status check_scram_login(BrokerClient& client, int librdkafka_version) {
  constexpr int kRepaired = 0x020601ff;
  constexpr ApiVersion kRemovedInKafka4{ApiKey::kListOffsets, 0};
  const SaslMechanism mechanism = client.config().mechanism;
  const bool is_scram =
      mechanism == SaslMechanism::kScramSha256 || mechanism == SaslMechanism::kScramSha512;
  if (!is_scram || librdkafka_version >= kRepaired) {
    return {};
  }
  WEIR_ASSIGN(const bool is_before_4, client.supports(kRemovedInKafka4));
  if (is_before_4) {
    return {};
  }
  return Error{ErrorCode::kInvalidArgument,
               "kafka: sasl.mechanism SCRAM does not work between this librdkafka (older than "
               "2.6.1) and brokers of Kafka 4 or newer; use sasl.mechanism=PLAIN with "
               "security.protocol=sasl_ssl, or a newer librdkafka"};
}

Result<HostPort> BrokerClient::find_coordinator(CoordinatorType type, const std::string& key) {
  const auto known = coordinators_.find({type, key});
  if (known != coordinators_.end()) {
    return known->second;
  }
  WEIR_ASSIGN(Connection* const connection, any_connection());
  Result<std::string> bytes =
      connection->call(kFindCoordinatorV1, encode_find_coordinator(key, type),
                       deadline_after_ms(config_.request_timeout_ms));
  if (!bytes.ok()) {
    connections_.clear();
    return bytes.error();
  }
  const auto answer = decode_find_coordinator(bytes.value());
  const std::string doing = "finding the coordinator of '" + key + "'";
  if (!answer.has_value()) {
    return malformed(doing);
  }
  if (answer->error != kNoError) {
    return protocol_error(answer->error, doing);
  }
  if (coordinators_.size() >= kCoordinatorsMax) {
    coordinators_.clear();
  }
  return coordinators_[{type, key}] = HostPort{answer->host, answer->port};
}

void BrokerClient::forget_coordinator(CoordinatorType type, const std::string& key) {
  coordinators_.erase({type, key});
}

Result<std::string> BrokerClient::call_coordinator(CoordinatorType type, const std::string& key,
                                                   ApiVersion api, std::string_view body) {
  WEIR_ASSIGN(const HostPort address, find_coordinator(type, key));
  Result<std::string> answer = call(address, api, body);
  if (!answer.ok()) {
    forget_coordinator(type, key);
  }
  return answer;
}

}  // namespace weir::kafka
