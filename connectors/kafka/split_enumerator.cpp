#include "kafka/split_enumerator.h"

#include <algorithm>
#include <regex>

#include "base/log.h"
#include "weir/check.h"
#include "weir/codec.h"

namespace weir::kafka {
namespace {

constexpr std::int64_t kEnd = -1;
constexpr std::int64_t kBegin = -2;

std::string text_of(const TopicPartition& where) {
  return where.topic + "[" + std::to_string(where.partition) + "]";
}

}  // namespace

KafkaSplitEnumerator::KafkaSplitEnumerator(const SourceOptions& options, ClientConfig config,
                                           EnumeratorState restored)
    : options_(options), client_(std::move(config)), has_discovered_(restored.has_discovered) {
  for (KnownPartition& partition : restored.partitions) {
    const TopicPartition where{partition.split.topic, partition.split.partition};
    known_[where] = std::move(partition);
  }
}

Status KafkaSplitEnumerator::start(EnumeratorContext& context,
                                   const std::vector<SourceSplit>& reader_splits) {
  context_ = &context;
  for (const SourceSplit& split : reader_splits) {
    WEIR_ASSIGN(PartitionSplit owned, from_source_split(split));
    const TopicPartition where{owned.topic, owned.partition};
    known_[where] = KnownPartition{std::move(owned), true};
  }
  WEIR_TRY(discover());
  assign_all();
  if (!options_.discovers()) {
    for (int subtask = 0; subtask < context.parallelism(); ++subtask) {
      context.signal_no_more_splits(subtask);
    }
  }
  return {};
}

Status KafkaSplitEnumerator::handle_split_request(int /*subtask*/) {
  return {};  // Partitions have fixed owners; nothing is dealt out on request.
}

DurationMs KafkaSplitEnumerator::poll_interval() const {
  return options_.discovers() ? options_.discovery_interval : DurationMs(0);
}

Status KafkaSplitEnumerator::poll() {
  if (!options_.discovers()) {
    return {};
  }
  const Status found = discover();
  if (!found.ok()) {
    const ErrorCode code = found.error().code;
    if (code != ErrorCode::kUnavailable && code != ErrorCode::kTimeout && code != ErrorCode::kIo) {
      return found;
    }
    // What is assigned can be read all the same; the next round may succeed.
    log().warn("kafka source: looking for new partitions: {}", found.error().message);
    context_->metrics().counter("partitionDiscoveryFailures").add();
    return {};
  }
  assign_all();
  return {};
}

Result<std::vector<KafkaSplitEnumerator::Found>> KafkaSplitEnumerator::list_partitions() {
  std::optional<std::vector<std::string>> names;
  if (!options_.topics.empty()) {
    names = options_.topics;
  } else if (!options_.partitions.empty()) {
    std::set<std::string> unique;
    for (const TopicPartition& one : options_.partitions) {
      unique.insert(one.topic);
    }
    names.emplace(unique.begin(), unique.end());
  }
  WEIR_ASSIGN(const ClusterMetadata cluster, client_.metadata(names));
  std::optional<std::regex> pattern;
  if (!options_.topic_pattern.empty()) {
    pattern.emplace(options_.topic_pattern);
  }
  std::vector<Found> found;
  for (const TopicMetadata& topic : cluster.topics) {
    if (pattern.has_value() && (topic.is_internal || !std::regex_match(topic.name, *pattern))) {
      continue;
    }
    if (topic.error != kNoError && topic.error != kLeaderNotAvailable) {
      return protocol_error(topic.error, "source topic '" + topic.name + "'");
    }
    for (const PartitionMetadata& partition : topic.partitions) {
      const TopicPartition where{topic.name, partition.partition};
      if (options_.partitions.empty() ||
          std::find(options_.partitions.begin(), options_.partitions.end(), where) !=
              options_.partitions.end()) {
        found.push_back({where, topic.id == kNoTopicId ? "" : topic_id_text(topic.id)});
      }
    }
  }
  for (const TopicPartition& wanted : options_.partitions) {
    if (std::none_of(found.begin(), found.end(),
                     [&](const Found& one) { return one.where == wanted; })) {
      return Error{ErrorCode::kNotFound,
                   "kafka: source partition " + text_of(wanted) + " does not exist"};
    }
  }
  return found;
}

Status KafkaSplitEnumerator::check_known(const std::vector<Found>& found) const {
  std::map<TopicPartition, std::string> ids;
  for (const Found& one : found) {
    ids[one.where] = one.topic_id;
  }
  for (const auto& [where, known] : known_) {
    const auto now = ids.find(where);
    if (now == ids.end()) {
      return Error{ErrorCode::kNotFound,
                   "kafka: " + text_of(where) +
                       " is part of the source's state but no longer exists or is no longer "
                       "subscribed to"};
    }
    const std::string& before = known.split.topic_id;
    if (!before.empty() && !now->second.empty() && before != now->second) {
      return Error{ErrorCode::kInvalidArgument,
                   "kafka: topic '" + where.topic +
                       "' was deleted and created again: the state was made with topic id " +
                       before + ", the broker now has " + now->second +
                       ". Its offsets mean nothing in the new topic; start without this state"};
    }
  }
  return {};
}

Result<std::map<TopicPartition, std::int64_t>> KafkaSplitEnumerator::resolve_committed(
    const OffsetsInitializer& initializer, const std::vector<TopicPartition>& which) {
  WEIR_ASSIGN(auto group, client_.group_offsets(options_.group_id, which));
  std::map<TopicPartition, std::int64_t> resolved;
  std::vector<TopicPartition> missing;
  for (const TopicPartition& where : which) {
    if (group[where].offset.has_value()) {
      resolved[where] = *group[where].offset;
    } else {
      missing.push_back(where);
    }
  }
  if (missing.empty()) {
    return resolved;
  }
  if (initializer.reset() == OffsetResetStrategy::kNone) {
    return Error{ErrorCode::kNotFound,
                 "kafka: group '" + options_.group_id + "' has no committed offset for " +
                     text_of(missing.front()) +
                     "; give committed_offsets() a reset strategy (kEarliest, kLatest)"};
  }
  const bool from_begin = initializer.reset() == OffsetResetStrategy::kEarliest;
  WEIR_ASSIGN(const auto rest, client_.list_offsets(missing, from_begin ? kBegin : kEnd,
                                                    options_.is_read_committed()));
  resolved.insert(rest.begin(), rest.end());
  return resolved;
}

Result<std::map<TopicPartition, std::int64_t>> KafkaSplitEnumerator::resolve(
    const OffsetsInitializer& initializer, const std::vector<TopicPartition>& which,
    std::int64_t unnamed) {
  const bool committed_only = options_.is_read_committed();
  switch (initializer.kind()) {
    case OffsetsInitializer::Kind::kEarliest:
      return client_.list_offsets(which, kBegin, committed_only);
    case OffsetsInitializer::Kind::kLatest:
      return client_.list_offsets(which, kEnd, committed_only);
    case OffsetsInitializer::Kind::kCommitted:
      return resolve_committed(initializer, which);
    case OffsetsInitializer::Kind::kTimestamp: {
      WEIR_ASSIGN(auto found, client_.list_offsets(which, initializer.time(), committed_only));
      WEIR_ASSIGN(auto ends, client_.list_offsets(which, kEnd, committed_only));
      for (auto& [where, offset] : found) {
        offset = offset < 0 ? ends[where] : offset;
      }
      return found;
    }
    case OffsetsInitializer::Kind::kExplicit:
      break;
  }
  WEIR_ASSIGN(auto resolved, client_.list_offsets(which, unnamed, committed_only));
  for (auto& [where, offset] : resolved) {
    const auto named = initializer.explicit_offsets().find(where);
    offset = named == initializer.explicit_offsets().end() ? offset : named->second;
  }
  return resolved;
}

Status KafkaSplitEnumerator::discover() {
  WEIR_ASSIGN(const std::vector<Found> found, list_partitions());
  WEIR_TRY(check_known(found));
  std::vector<TopicPartition> fresh;
  std::map<TopicPartition, std::string> ids;
  for (const Found& one : found) {
    if (!known_.contains(one.where) && (!has_discovered_ || options_.discovers())) {
      fresh.push_back(one.where);
      ids[one.where] = one.topic_id;
    }
  }
  if (!fresh.empty()) {
    // A partition that appears later was empty before: nothing of it may be passed over.
    const OffsetsInitializer& from =
        has_discovered_ ? OffsetsInitializer::earliest() : options_.start;
    WEIR_ASSIGN(auto starts, resolve(from, fresh, kBegin));
    std::map<TopicPartition, std::int64_t> stops;
    if (options_.stop.has_value()) {
      WEIR_ASSIGN(stops, resolve(*options_.stop, fresh, kEnd));
    }
    for (const TopicPartition& where : fresh) {
      KnownPartition partition;
      partition.split.topic = where.topic;
      partition.split.partition = where.partition;
      partition.split.topic_id = ids[where];
      partition.split.position = starts[where];
      partition.split.stop_offset = options_.stop.has_value() ? stops[where] : kNoStopOffset;
      known_[where] = std::move(partition);
    }
    log().info("kafka source: {} new partitions, {} in all", fresh.size(), known_.size());
  }
  has_discovered_ = true;
  return {};
}

void KafkaSplitEnumerator::assign_all() {
  for (auto& [where, partition] : known_) {
    if (!partition.is_assigned) {
      context_->assign(owner_of(where.topic, where.partition, context_->parallelism()),
                       {to_source_split(partition.split)});
      partition.is_assigned = true;
    }
  }
}

Result<std::string> KafkaSplitEnumerator::snapshot(CheckpointId /*checkpoint*/) {
  EnumeratorState state;
  state.has_discovered = has_discovered_;
  for (const auto& [where, partition] : known_) {
    state.partitions.push_back(partition);
  }
  return encode_value(state);
}

}  // namespace weir::kafka
