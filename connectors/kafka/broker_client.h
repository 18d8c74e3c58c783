#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kafka/connection.h"

namespace weir::kafka {

/// What a group has committed for one partition.
struct GroupOffset {
  std::optional<std::int64_t> offset;
  std::string metadata;
};

/// Asks a cluster for facts, over connections of its own: coordinators, topics with their ids,
/// offsets, broker settings. Calls block, with a deadline each; one thread at a time.
class BrokerClient {
 public:
  explicit BrokerClient(ClientConfig config) : config_(std::move(config)) {}

  /// Nothing in `topics` = all topics. A topic that does not exist comes back with an error in it.
  Result<ClusterMetadata> metadata(const std::optional<std::vector<std::string>>& topics);
  /// The settings of one broker of the cluster; a setting the broker hides or lacks is left out.
  Result<std::map<std::string, std::string>> broker_settings(const std::vector<std::string>& names);
  /// See encode_list_offsets for `timestamp`. -1 in the answer = nothing at or after it.
  Result<std::map<TopicPartition, std::int64_t>> list_offsets(
      const std::vector<TopicPartition>& which, std::int64_t timestamp, bool is_read_committed);
  /// Offsets of open transactions are waited for: kUnavailable while there is one.
  Result<std::map<TopicPartition, GroupOffset>> group_offsets(
      const std::string& group, const std::vector<TopicPartition>& which);
  /// Nothing when the brokers are too old to be asked (before 3.0).
  Result<std::optional<std::vector<ListedTransaction>>> list_transactions();

  /// Calls the coordinator of `key`. The connection is dropped on any error.
  Result<std::string> call_coordinator(CoordinatorType type, const std::string& key, ApiVersion api,
                                       std::string_view body);
  /// Forgets where the coordinator of `key` is.
  void forget_coordinator(CoordinatorType type, const std::string& key);

  /// Whether a broker of the cluster knows this request in this version.
  Result<bool> supports(ApiVersion api);

  const ClientConfig& config() const { return config_; }

 private:
  using Address = std::pair<std::string, int>;

  Result<Connection*> connection_to(const HostPort& address);
  Result<Connection*> any_connection();
  Result<std::string> call(const HostPort& address, ApiVersion api, std::string_view body);
  Result<HostPort> find_coordinator(CoordinatorType type, const std::string& key);
  Result<ClusterMetadata> metadata_from(Connection& connection,
                                        const std::optional<std::vector<std::string>>& topics);

  ClientConfig config_;
  std::map<Address, std::unique_ptr<Connection>> connections_;
  std::map<std::pair<CoordinatorType, std::string>, HostPort> coordinators_;
};

/// librdkafka before 2.6.1 repeats its nonce in SCRAM, which Kafka 4 refuses. Weir's own client
/// logs in, so that without this check a job would pass its start-up checks and then hang.
Status check_scram_login(BrokerClient& client, int librdkafka_version);

/// What a protocol error code means to a caller of weir.
Error protocol_error(std::int16_t code, const std::string& doing);

}  // namespace weir::kafka
