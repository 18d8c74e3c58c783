// Metadata in two forms: version 12 (topic ids, brokers 3.0 and newer) and version 4 (older ones).
#include "kafka/protocol.h"

namespace weir::kafka {
namespace {

void skip_integers(WireReader& in, std::size_t count) {
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    in.integer<std::int32_t>();
  }
}

/// Reads the pieces that the two versions write differently.
class MetadataReader {
 public:
  MetadataReader(std::string_view body, bool is_flexible) : in_(body), is_flexible_(is_flexible) {}

  std::optional<ClusterMetadata> read() {
    ClusterMetadata metadata;
    in_.integer<std::int32_t>();  // throttle time
    const std::size_t broker_count = count(9);
    for (std::size_t i = 0; i < broker_count && in_.ok(); ++i) {
      metadata.brokers.push_back(broker());
    }
    nullable_text();  // cluster id
    metadata.controller = in_.integer<std::int32_t>();
    const std::size_t topic_count = count(6);
    for (std::size_t i = 0; i < topic_count && in_.ok(); ++i) {
      metadata.topics.push_back(topic());
    }
    tags();
    if (!in_.ok()) {
      return std::nullopt;
    }
    return metadata;
  }

 private:
  std::size_t count(std::size_t element_size_min) {
    return is_flexible_ ? in_.compact_array(element_size_min) : in_.array(element_size_min);
  }
  std::string text() { return is_flexible_ ? in_.compact_string() : in_.string(); }
  std::optional<std::string> nullable_text() {
    return is_flexible_ ? in_.compact_nullable_string() : in_.nullable_string();
  }
  void tags() {
    if (is_flexible_) {
      in_.skip_tags();
    }
  }

  BrokerAddress broker() {
    BrokerAddress address;
    address.node_id = in_.integer<std::int32_t>();
    address.host = text();
    address.port = in_.integer<std::int32_t>();
    nullable_text();  // rack
    tags();
    return address;
  }

  TopicMetadata topic() {
    TopicMetadata topic;
    topic.error = in_.integer<std::int16_t>();
    topic.name = is_flexible_ ? nullable_text().value_or("") : text();
    if (is_flexible_) {
      const std::string_view id = in_.raw(topic.id.size());
      for (std::size_t i = 0; i < id.size(); ++i) {
        topic.id[i] = static_cast<std::uint8_t>(id[i]);
      }
    }
    topic.is_internal = in_.boolean();
    const std::size_t partition_count = count(13);
    for (std::size_t i = 0; i < partition_count && in_.ok(); ++i) {
      topic.partitions.push_back(partition());
    }
    if (is_flexible_) {
      in_.integer<std::int32_t>();  // authorized operations
    }
    tags();
    return topic;
  }

  PartitionMetadata partition() {
    PartitionMetadata partition;
    partition.error = in_.integer<std::int16_t>();
    partition.partition = in_.integer<std::int32_t>();
    partition.leader = in_.integer<std::int32_t>();
    if (is_flexible_) {
      in_.integer<std::int32_t>();  // leader epoch
    }
    skip_integers(in_, count(4));  // replicas
    skip_integers(in_, count(4));  // in sync
    if (is_flexible_) {
      skip_integers(in_, count(4));  // offline
    }
    tags();
    return partition;
  }

  WireReader in_;
  bool is_flexible_;
};

}  // namespace

std::string encode_metadata(ApiVersion api, const std::optional<std::vector<std::string>>& topics) {
  const bool is_flexible = api.version >= 9;
  std::string body;
  WireWriter out(body);
  if (!topics.has_value()) {
    if (is_flexible) {
      out.varint(0);
    } else {
      out.integer(std::int32_t{-1});
    }
  } else if (is_flexible) {
    out.compact_array(topics->size());
  } else {
    out.array(topics->size());
  }
  for (const std::string& topic : topics.value_or(std::vector<std::string>{})) {
    if (is_flexible) {
      out.raw(std::string(16, '\0'));  // by name, not by id
      out.compact_string(topic);
      out.no_tags();
    } else {
      out.string(topic);
    }
  }
  out.boolean(false);  // allow_auto_topic_creation: looking must not change anything
  if (is_flexible) {
    out.boolean(false);  // authorized operations
    out.no_tags();
  }
  return body;
}

std::optional<ClusterMetadata> decode_metadata(ApiVersion api, std::string_view body) {
  return MetadataReader(body, api.version >= 9).read();
}

}  // namespace weir::kafka
