#include "kafka/protocol.h"

namespace weir::kafka {
namespace {

/// From these versions on a request uses compact forms and tagged fields.
bool is_flexible(ApiVersion api) {
  switch (api.key) {
    case ApiKey::kOffsetFetch:
      return api.version >= 6;
    case ApiKey::kMetadata:
      return api.version >= 9;
    case ApiKey::kListTransactions:
      return true;
    default:
      return false;
  }
}

template <class T>
std::optional<T> if_ok(const WireReader& in, T value) {
  if (!in.ok()) {
    return std::nullopt;
  }
  return value;
}

}  // namespace

std::string protocol_error_name(std::int16_t code) {
  switch (code) {
    case kNoError:
      return "NONE";
    case kUnknownTopicOrPartition:
      return "UNKNOWN_TOPIC_OR_PARTITION";
    case kLeaderNotAvailable:
      return "LEADER_NOT_AVAILABLE";
    case kNotLeader:
      return "NOT_LEADER_OR_FOLLOWER";
    case kCoordinatorLoadInProgress:
      return "COORDINATOR_LOAD_IN_PROGRESS";
    case kCoordinatorNotAvailable:
      return "COORDINATOR_NOT_AVAILABLE";
    case kNotCoordinator:
      return "NOT_COORDINATOR";
    case kTopicAuthorizationFailed:
      return "TOPIC_AUTHORIZATION_FAILED";
    case kGroupAuthorizationFailed:
      return "GROUP_AUTHORIZATION_FAILED";
    case kClusterAuthorizationFailed:
      return "CLUSTER_AUTHORIZATION_FAILED";
    case kUnsupportedSaslMechanism:
      return "UNSUPPORTED_SASL_MECHANISM";
    case kUnsupportedVersion:
      return "UNSUPPORTED_VERSION";
    case kInvalidProducerEpoch:
      return "INVALID_PRODUCER_EPOCH";
    case kInvalidTxnState:
      return "INVALID_TXN_STATE";
    case kInvalidProducerIdMapping:
      return "INVALID_PRODUCER_ID_MAPPING";
    case kInvalidTransactionTimeout:
      return "INVALID_TRANSACTION_TIMEOUT";
    case kConcurrentTransactions:
      return "CONCURRENT_TRANSACTIONS";
    case kTransactionalIdAuthorizationFailed:
      return "TRANSACTIONAL_ID_AUTHORIZATION_FAILED";
    case kSaslAuthenticationFailed:
      return "SASL_AUTHENTICATION_FAILED";
    case kUnstableOffsetCommit:
      return "UNSTABLE_OFFSET_COMMIT";
    case kProducerFenced:
      return "PRODUCER_FENCED";
    default:
      return "error " + std::to_string(code);
  }
}

std::string encode_request(ApiVersion api, std::int32_t correlation_id, std::string_view client_id,
                           std::string_view body) {
  std::string frame;
  WireWriter out(frame);
  out.integer(std::int32_t{0});
  out.integer(static_cast<std::int16_t>(api.key));
  out.integer(api.version);
  out.integer(correlation_id);
  out.string(client_id);
  if (is_flexible(api)) {
    out.no_tags();
  }
  out.raw(body);
  std::string length;
  WireWriter(length).integer(static_cast<std::int32_t>(frame.size() - 4));
  frame.replace(0, 4, length);
  return frame;
}

std::optional<std::string_view> response_body(ApiVersion api, std::int32_t correlation_id,
                                              std::string_view frame) {
  WireReader in(frame);
  const auto id = in.integer<std::int32_t>();
  if (is_flexible(api)) {
    in.skip_tags();
  }
  if (!in.ok() || id != correlation_id) {
    return std::nullopt;
  }
  return frame.substr(frame.size() - in.remaining());
}

std::optional<SupportedApis> decode_api_versions(std::string_view body) {
  WireReader in(body);
  if (in.integer<std::int16_t>() != kNoError) {
    return std::nullopt;
  }
  SupportedApis apis;
  const std::size_t count = in.array(6);
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    const auto key = in.integer<std::int16_t>();
    const auto lowest = in.integer<std::int16_t>();
    apis[key] = VersionRange{lowest, in.integer<std::int16_t>()};
  }
  return if_ok(in, std::move(apis));
}

std::string encode_sasl_handshake(std::string_view mechanism) {
  std::string body;
  WireWriter(body).string(mechanism);
  return body;
}

std::optional<SaslHandshakeResponse> decode_sasl_handshake(std::string_view body) {
  WireReader in(body);
  SaslHandshakeResponse response;
  response.error = in.integer<std::int16_t>();
  const std::size_t count = in.array(2);
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    response.mechanisms.push_back(in.string());
  }
  return if_ok(in, std::move(response));
}

std::string encode_sasl_authenticate(std::string_view token) {
  std::string body;
  WireWriter(body).bytes(token);
  return body;
}

std::optional<SaslAuthenticateResponse> decode_sasl_authenticate(std::string_view body) {
  WireReader in(body);
  SaslAuthenticateResponse response;
  response.error = in.integer<std::int16_t>();
  response.error_message = in.nullable_string().value_or("");
  response.token = in.bytes();
  return if_ok(in, std::move(response));
}

std::string encode_find_coordinator(std::string_view key, CoordinatorType type) {
  std::string body;
  WireWriter out(body);
  out.string(key);
  out.integer(static_cast<std::int8_t>(type));
  return body;
}

std::optional<Coordinator> decode_find_coordinator(std::string_view body) {
  WireReader in(body);
  Coordinator response;
  in.integer<std::int32_t>();  // throttle time
  response.error = in.integer<std::int16_t>();
  in.nullable_string();
  response.node_id = in.integer<std::int32_t>();
  response.host = in.string();
  response.port = in.integer<std::int32_t>();
  return if_ok(in, std::move(response));
}

std::string encode_end_txn(const ProducerIdentity& identity, bool is_commit) {
  std::string body;
  WireWriter out(body);
  out.string(identity.transactional_id);
  out.integer(identity.producer_id);
  out.integer(identity.producer_epoch);
  out.boolean(is_commit);
  return body;
}

std::optional<std::int16_t> decode_end_txn(std::string_view body) {
  WireReader in(body);
  in.integer<std::int32_t>();  // throttle time
  const auto error = in.integer<std::int16_t>();
  return if_ok(in, error);
}

std::string encode_init_producer_id(std::string_view transactional_id, std::int32_t timeout_ms) {
  std::string body;
  WireWriter out(body);
  out.string(transactional_id);
  out.integer(timeout_ms);
  return body;
}

std::optional<InitProducerIdResponse> decode_init_producer_id(std::string_view body) {
  WireReader in(body);
  InitProducerIdResponse response;
  in.integer<std::int32_t>();  // throttle time
  response.error = in.integer<std::int16_t>();
  response.producer_id = in.integer<std::int64_t>();
  response.producer_epoch = in.integer<std::int16_t>();
  return if_ok(in, response);
}

std::string encode_offset_fetch(std::string_view group, const std::vector<TopicPartition>& which,
                                bool require_stable) {
  std::map<std::string, std::vector<std::int32_t>> topics;
  for (const TopicPartition& one : which) {
    topics[one.topic].push_back(one.partition);
  }
  std::string body;
  WireWriter out(body);
  out.compact_string(group);
  out.compact_array(topics.size());
  for (const auto& [topic, partitions] : topics) {
    out.compact_string(topic);
    out.compact_array(partitions.size());
    for (const std::int32_t partition : partitions) {
      out.integer(partition);
    }
    out.no_tags();
  }
  out.boolean(require_stable);
  out.no_tags();
  return body;
}

std::optional<OffsetFetchResponse> decode_offset_fetch(std::string_view body) {
  WireReader in(body);
  OffsetFetchResponse response;
  in.integer<std::int32_t>();  // throttle time
  const std::size_t topic_count = in.compact_array(3);
  for (std::size_t i = 0; i < topic_count && in.ok(); ++i) {
    const std::string topic = in.compact_string();
    const std::size_t partition_count = in.compact_array(20);
    for (std::size_t j = 0; j < partition_count && in.ok(); ++j) {
      FetchedOffset one;
      one.where = {topic, in.integer<std::int32_t>()};
      one.offset = in.integer<std::int64_t>();
      in.integer<std::int32_t>();  // leader epoch
      one.metadata = in.compact_nullable_string().value_or("");
      one.error = in.integer<std::int16_t>();
      in.skip_tags();
      response.offsets.push_back(std::move(one));
    }
    in.skip_tags();
  }
  response.error = in.integer<std::int16_t>();
  in.skip_tags();
  return if_ok(in, std::move(response));
}

std::string topic_id_text(const TopicId& id) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : id) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

std::string encode_describe_broker_configs(std::int32_t node_id,
                                           const std::vector<std::string>& names) {
  constexpr std::int8_t kBrokerResource = 4;
  std::string body;
  WireWriter out(body);
  out.array(1);
  out.integer(kBrokerResource);
  out.string(std::to_string(node_id));
  out.array(names.size());
  for (const std::string& name : names) {
    out.string(name);
  }
  out.boolean(false);  // synonyms
  return body;
}

std::optional<DescribeConfigsResponse> decode_describe_configs(std::string_view body) {
  WireReader in(body);
  DescribeConfigsResponse response;
  in.integer<std::int32_t>();  // throttle time
  const std::size_t result_count = in.array(9);
  for (std::size_t i = 0; i < result_count && in.ok(); ++i) {
    response.error = in.integer<std::int16_t>();
    in.nullable_string();
    in.integer<std::int8_t>();
    in.string();
    const std::size_t config_count = in.array(11);
    for (std::size_t j = 0; j < config_count && in.ok(); ++j) {
      const std::string name = in.string();
      response.values[name] = in.nullable_string().value_or("");
      in.boolean();               // read only
      in.integer<std::int8_t>();  // where the value comes from
      in.boolean();               // sensitive
      const std::size_t synonym_count = in.array(5);
      for (std::size_t k = 0; k < synonym_count && in.ok(); ++k) {
        in.string();
        in.nullable_string();
        in.integer<std::int8_t>();
      }
    }
  }
  return if_ok(in, std::move(response));
}

std::string encode_list_offsets(const std::vector<TopicPartition>& which, std::int64_t timestamp,
                                bool is_read_committed) {
  std::map<std::string, std::vector<std::int32_t>> topics;
  for (const TopicPartition& one : which) {
    topics[one.topic].push_back(one.partition);
  }
  std::string body;
  WireWriter out(body);
  out.integer(std::int32_t{-1});  // an ordinary consumer
  out.integer(static_cast<std::int8_t>(is_read_committed ? 1 : 0));
  out.array(topics.size());
  for (const auto& [topic, partitions] : topics) {
    out.string(topic);
    out.array(partitions.size());
    for (const std::int32_t partition : partitions) {
      out.integer(partition);
      out.integer(timestamp);
    }
  }
  return body;
}

std::optional<std::vector<ListedOffset>> decode_list_offsets(std::string_view body) {
  WireReader in(body);
  std::vector<ListedOffset> offsets;
  in.integer<std::int32_t>();  // throttle time
  const std::size_t topic_count = in.array(6);
  for (std::size_t i = 0; i < topic_count && in.ok(); ++i) {
    const std::string topic = in.string();
    const std::size_t partition_count = in.array(22);
    for (std::size_t j = 0; j < partition_count && in.ok(); ++j) {
      ListedOffset one;
      one.where = {topic, in.integer<std::int32_t>()};
      one.error = in.integer<std::int16_t>();
      in.integer<std::int64_t>();  // timestamp of the record found
      one.offset = in.integer<std::int64_t>();
      offsets.push_back(std::move(one));
    }
  }
  return if_ok(in, std::move(offsets));
}

std::string encode_list_transactions() {
  std::string body;
  WireWriter out(body);
  out.compact_array(0);  // any state
  out.compact_array(0);  // any producer id
  out.no_tags();
  return body;
}

std::optional<ListTransactionsResponse> decode_list_transactions(std::string_view body) {
  WireReader in(body);
  ListTransactionsResponse response;
  in.integer<std::int32_t>();  // throttle time
  response.error = in.integer<std::int16_t>();
  const std::size_t unknown_count = in.compact_array(1);
  for (std::size_t i = 0; i < unknown_count && in.ok(); ++i) {
    in.compact_string();
  }
  const std::size_t count = in.compact_array(11);
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    ListedTransaction one;
    one.transactional_id = in.compact_string();
    one.producer_id = in.integer<std::int64_t>();
    one.state = in.compact_string();
    in.skip_tags();
    response.transactions.push_back(std::move(one));
  }
  in.skip_tags();
  return if_ok(in, std::move(response));
}

}  // namespace weir::kafka
