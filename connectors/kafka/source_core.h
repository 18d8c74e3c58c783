#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kafka/client_config.h"
#include "kafka/consumed_message.h"
#include "kafka/offsets_initializer.h"
#include "kafka/record_collector.h"
#include "weir/source.h"

namespace weir::kafka {

/// What to do with a message the deserializer refuses. A dead letter is a record of its own type:
/// see Parsed.
enum class OnBadRecord { kFail, kSkip };

/// Turns messages of one partition, in order, into records.
using ParseMessages =
    std::function<Status(std::span<const ConsumedMessage> messages, RecordCollector& out)>;

/// Everything a Kafka source was built with; the erased side of KafkaSource<T>.
struct SourceOptions {
  Properties properties;
  std::vector<std::string> topics;  ///< exactly one of these three
  std::string topic_pattern;        ///< regular expression (ECMAScript), whole name
  std::vector<TopicPartition> partitions;
  OffsetsInitializer start = OffsetsInitializer::earliest();
  std::optional<OffsetsInitializer> stop;
  Boundedness boundedness = Boundedness::kUnbounded;
  std::string group_id;
  DurationMs discovery_interval{300'000};    ///< 0 or less = off
  bool commit_offsets_on_checkpoint = true;  ///< only with a group id
  /// Fails the attempt when more than this share of the messages is bad (after the first 1,000).
  double bad_record_share_max = 1.0;
  ParseMessages parse;
  const TypeOps* record_type = nullptr;

  bool is_read_committed() const {
    return properties.get("isolation.level", "read_committed") == "read_committed";
  }
  /// New partitions are looked for while the job runs. Off for sources that have an end.
  bool discovers() const { return discovery_interval.count() > 0 && !stop.has_value(); }
};

/// The compiled source behind every KafkaSource<T>.
std::shared_ptr<Source> make_source(SourceOptions options);

Status check_source(const SourceOptions& options, const SourceContext& context);

}  // namespace weir::kafka
