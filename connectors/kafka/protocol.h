#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kafka/wire.h"

namespace weir::kafka {

/// The requests weir sends itself, next to librdkafka: what commits and aborts transactions by
/// stored identity, and what the enumerator and the start-up checks ask. Encoding and decoding
/// only; no sockets. Versions are chosen so that one form is valid on brokers 2.5 to 4.x.
enum class ApiKey : std::int16_t {
  kListOffsets = 2,
  kMetadata = 3,
  kOffsetFetch = 9,
  kFindCoordinator = 10,
  kSaslHandshake = 17,
  kApiVersions = 18,
  kInitProducerId = 22,
  kEndTxn = 26,
  kDescribeConfigs = 32,
  kSaslAuthenticate = 36,
  kListTransactions = 66,
};

/// Error codes of the protocol that weir tells apart.
enum ProtocolError : std::int16_t {
  kNoError = 0,
  kUnknownTopicOrPartition = 3,
  kLeaderNotAvailable = 5,
  kNotLeader = 6,
  kCoordinatorLoadInProgress = 14,
  kCoordinatorNotAvailable = 15,
  kNotCoordinator = 16,
  kTopicAuthorizationFailed = 29,
  kGroupAuthorizationFailed = 30,
  kClusterAuthorizationFailed = 31,
  kUnsupportedSaslMechanism = 33,
  kUnsupportedVersion = 35,
  kInvalidProducerEpoch = 47,
  kInvalidTxnState = 48,
  kInvalidProducerIdMapping = 49,
  kInvalidTransactionTimeout = 50,
  kConcurrentTransactions = 51,
  kTransactionalIdAuthorizationFailed = 53,
  kSaslAuthenticationFailed = 58,
  kUnstableOffsetCommit = 88,
  kProducerFenced = 90,
};

/// "INVALID_TXN_STATE", or "error 123" for codes weir does not name.
std::string protocol_error_name(std::int16_t code);

struct ApiVersion {
  ApiKey key;
  std::int16_t version = 0;
};
inline constexpr ApiVersion kApiVersionsV0{ApiKey::kApiVersions, 0};
inline constexpr ApiVersion kSaslHandshakeV1{ApiKey::kSaslHandshake, 1};
inline constexpr ApiVersion kSaslAuthenticateV0{ApiKey::kSaslAuthenticate, 0};
inline constexpr ApiVersion kFindCoordinatorV1{ApiKey::kFindCoordinator, 1};
inline constexpr ApiVersion kEndTxnV1{ApiKey::kEndTxn, 1};
inline constexpr ApiVersion kInitProducerIdV1{ApiKey::kInitProducerId, 1};
inline constexpr ApiVersion kOffsetFetchV7{ApiKey::kOffsetFetch, 7};
inline constexpr ApiVersion kMetadataV4{ApiKey::kMetadata, 4};
inline constexpr ApiVersion kMetadataV12{ApiKey::kMetadata, 12};
inline constexpr ApiVersion kDescribeConfigsV1{ApiKey::kDescribeConfigs, 1};
inline constexpr ApiVersion kListOffsetsV2{ApiKey::kListOffsets, 2};
inline constexpr ApiVersion kListTransactionsV0{ApiKey::kListTransactions, 0};

/// A whole frame: length, request header (version 1, or 2 for flexible versions), body.
std::string encode_request(ApiVersion api, std::int32_t correlation_id, std::string_view client_id,
                           std::string_view body);
/// The body of a response frame without its length. Nothing if the correlation id is not the
/// expected one or the header is malformed.
std::optional<std::string_view> response_body(ApiVersion api, std::int32_t correlation_id,
                                              std::string_view frame);

struct VersionRange {
  std::int16_t lowest = 0;
  std::int16_t highest = -1;
};
using SupportedApis = std::map<std::int16_t, VersionRange>;
/// Nothing when malformed; this holds for all decoders below.
std::optional<SupportedApis> decode_api_versions(std::string_view body);

std::string encode_sasl_handshake(std::string_view mechanism);
struct SaslHandshakeResponse {
  std::int16_t error = 0;
  std::vector<std::string> mechanisms;
};
std::optional<SaslHandshakeResponse> decode_sasl_handshake(std::string_view body);

std::string encode_sasl_authenticate(std::string_view token);
struct SaslAuthenticateResponse {
  std::int16_t error = 0;
  std::string error_message;
  std::string token;
};
std::optional<SaslAuthenticateResponse> decode_sasl_authenticate(std::string_view body);

enum class CoordinatorType : std::int8_t { kGroup = 0, kTransaction = 1 };
std::string encode_find_coordinator(std::string_view key, CoordinatorType type);
struct Coordinator {
  std::int16_t error = 0;
  std::int32_t node_id = -1;
  std::string host;
  std::int32_t port = 0;
};
std::optional<Coordinator> decode_find_coordinator(std::string_view body);

/// Who a transaction belongs to. Epoch and id come from the statistics of the client that wrote it.
struct ProducerIdentity {
  std::string transactional_id;
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = -1;
};
std::string encode_end_txn(const ProducerIdentity& identity, bool is_commit);
std::optional<std::int16_t> decode_end_txn(std::string_view body);

std::string encode_init_producer_id(std::string_view transactional_id, std::int32_t timeout_ms);
struct InitProducerIdResponse {
  std::int16_t error = 0;
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = -1;
};
std::optional<InitProducerIdResponse> decode_init_producer_id(std::string_view body);

struct TopicPartition {
  std::string topic;
  std::int32_t partition = 0;
  auto operator<=>(const TopicPartition&) const = default;
};

std::string encode_offset_fetch(std::string_view group, const std::vector<TopicPartition>& which,
                                bool require_stable);
struct FetchedOffset {
  TopicPartition where;
  std::int64_t offset = -1;  ///< -1 = the group has none
  std::string metadata;
  std::int16_t error = 0;
};
struct OffsetFetchResponse {
  std::int16_t error = 0;
  std::vector<FetchedOffset> offsets;
};
std::optional<OffsetFetchResponse> decode_offset_fetch(std::string_view body);

using TopicId = std::array<std::uint8_t, 16>;
/// All zero: the broker gives no ids (before 2.8).
inline constexpr TopicId kNoTopicId{};
/// Lower-case hexadecimal.
std::string topic_id_text(const TopicId& id);

/// Never creates a topic. Nothing in `topics` = all topics.
std::string encode_metadata(ApiVersion api, const std::optional<std::vector<std::string>>& topics);
struct BrokerAddress {
  std::int32_t node_id = -1;
  std::string host;
  std::int32_t port = 0;
};
struct PartitionMetadata {
  std::int16_t error = 0;
  std::int32_t partition = 0;
  std::int32_t leader = -1;
};
struct TopicMetadata {
  std::int16_t error = 0;
  std::string name;
  TopicId id = kNoTopicId;
  bool is_internal = false;
  std::vector<PartitionMetadata> partitions;
};
struct ClusterMetadata {
  std::vector<BrokerAddress> brokers;
  std::int32_t controller = -1;
  std::vector<TopicMetadata> topics;
};
std::optional<ClusterMetadata> decode_metadata(ApiVersion api, std::string_view body);

/// Named settings of one broker.
std::string encode_describe_broker_configs(std::int32_t node_id,
                                           const std::vector<std::string>& names);
struct DescribeConfigsResponse {
  std::int16_t error = 0;
  std::map<std::string, std::string> values;
};
std::optional<DescribeConfigsResponse> decode_describe_configs(std::string_view body);

/// `timestamp` -1 = end (last stable offset under read_committed), -2 = start.
std::string encode_list_offsets(const std::vector<TopicPartition>& which, std::int64_t timestamp,
                                bool is_read_committed);
struct ListedOffset {
  TopicPartition where;
  std::int16_t error = 0;
  std::int64_t offset = -1;  ///< -1 = no record at or after the timestamp
};
std::optional<std::vector<ListedOffset>> decode_list_offsets(std::string_view body);

std::string encode_list_transactions();
struct ListedTransaction {
  std::string transactional_id;
  std::int64_t producer_id = -1;
  std::string state;  ///< "Ongoing", "PrepareCommit", "CompleteAbort", "Empty" ...
};
struct ListTransactionsResponse {
  std::int16_t error = 0;
  std::vector<ListedTransaction> transactions;
};
std::optional<ListTransactionsResponse> decode_list_transactions(std::string_view body);

}  // namespace weir::kafka
