#pragma once

#include <map>
#include <set>
#include <string>

#include "kafka/broker_client.h"
#include "kafka/partition_split.h"
#include "kafka/source_core.h"

namespace weir::kafka {

/// Finds the partitions of a Kafka source, resolves where each starts and ends, and deals them out
/// by Flink's formula. Start offsets are resolved once and kept (K2); a topic that was deleted and
/// created again under its name is recognised by its id (K1).
class KafkaSplitEnumerator final : public SplitEnumerator {
 public:
  KafkaSplitEnumerator(const SourceOptions& options, ClientConfig config, EnumeratorState restored);

  Status start(EnumeratorContext& context, const std::vector<SourceSplit>& reader_splits) override;
  Status handle_split_request(int subtask) override;
  Status poll() override;
  DurationMs poll_interval() const override;
  Result<std::string> snapshot(CheckpointId checkpoint) override;

 private:
  struct Found {
    TopicPartition where;
    std::string topic_id;
  };

  Result<std::vector<Found>> list_partitions();
  Status check_known(const std::vector<Found>& found) const;
  Status discover();
  Result<std::map<TopicPartition, std::int64_t>> resolve(const OffsetsInitializer& initializer,
                                                         const std::vector<TopicPartition>& which,
                                                         std::int64_t unnamed);
  Result<std::map<TopicPartition, std::int64_t>> resolve_committed(
      const OffsetsInitializer& initializer, const std::vector<TopicPartition>& which);
  void assign_all();

  const SourceOptions options_;
  BrokerClient client_;
  EnumeratorContext* context_ = nullptr;
  bool has_discovered_ = false;
  std::map<TopicPartition, KnownPartition> known_;
};

}  // namespace weir::kafka
