#pragma once

#include <string>
#include <vector>

#include "kafka/broker_client.h"
#include "kafka/transaction_outcome.h"

namespace weir::kafka {

/// Where a sink subtask leaves its markers.
struct MarkerPlace {
  std::string group;
  std::string topic;  ///< partition 0 of it
};

/// Ends transactions by stored identity, without the producer that wrote them: what librdkafka
/// cannot do (its init_transactions() aborts what it finds). Calls block for a few seconds at most;
/// one thread at a time.
class RecoveryClient {
 public:
  explicit RecoveryClient(ClientConfig config) : client_(std::move(config)) {}

  /// Sends EndTxn(commit) until something other than "open" comes back or `deadline` passes.
  /// Repeating it is harmless: one handle carries one transaction, so id and epoch name exactly
  /// this one for ever.
  EndTxnAnswer commit(const ProducerIdentity& identity, Deadline deadline);
  /// Waits for a stable marker until `deadline`. An Error only when the cluster cannot be asked.
  Result<MarkerFact> read_marker(const MarkerPlace& place, Deadline deadline);
  /// Raises the producer epoch of `transactional_id`: aborts its open transaction, and from then
  /// on refuses everything that an older holder of the id sends. Waits for the abort to finish.
  Status fence(const std::string& transactional_id, Deadline deadline);
  /// How long the brokers keep group offsets; the default of 7 days when they do not say.
  std::int64_t marker_retention_ms();

  /// The last thing that went wrong, for messages.
  const std::string& last_problem() const { return last_problem_; }
  BrokerClient& broker() { return client_; }

 private:
  EndTxnAnswer commit_once(const ProducerIdentity& identity);

  BrokerClient client_;
  std::string last_problem_;
  std::optional<std::int64_t> marker_retention_ms_;
};

}  // namespace weir::kafka
