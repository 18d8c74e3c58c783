#pragma once

#include <concepts>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "kafka/consumed_message.h"
#include "kafka/offsets_initializer.h"
#include "kafka/source_core.h"
#include "weir/source.h"

namespace weir::kafka {

template <class T>
class KafkaSourceBuilder;

/// Takes any number of records out of one message.
template <class T>
class Collector {
 public:
  explicit Collector(std::function<void(T&&, TimestampMs)> push, TimestampMs time)
      : push_(std::move(push)), time_(time) {}
  /// With the message's timestamp.
  void collect(T record) { push_(std::move(record), time_); }
  void collect(T record, TimestampMs time) { push_(std::move(record), time); }

 private:
  std::function<void(T&&, TimestampMs)> push_;
  TimestampMs time_;
};

namespace detail {

/// The two forms of a deserializer.
template <class F, class T>
concept FillsRecord =
    std::default_initializable<T> && std::invocable<const F&, const ConsumedMessage&, T&> &&
    std::convertible_to<std::invoke_result_t<const F&, const ConsumedMessage&, T&>, Status>;
template <class F, class T>
concept Collects =
    std::invocable<const F&, const ConsumedMessage&, Collector<T>&> &&
    std::convertible_to<std::invoke_result_t<const F&, const ConsumedMessage&, Collector<T>&>,
                        Status>;

inline BadRecord to_bad_record(const ConsumedMessage& message, std::string error) {
  BadRecord bad;
  bad.topic = message.topic;
  bad.partition = message.partition;
  bad.offset = message.offset;
  bad.timestamp = message.timestamp;
  bad.error = std::move(error);
  if (message.key.has_value()) {
    bad.key.emplace(*message.key);
  }
  if (message.value.has_value()) {
    bad.value.emplace(*message.value);
  }
  return bad;
}

inline Error refused(const ConsumedMessage& message, const std::string& why) {
  return Error{ErrorCode::kUser, "kafka: message " + std::string(message.topic) + "[" +
                                     std::to_string(message.partition) + "]@" +
                                     std::to_string(message.offset) +
                                     " cannot be deserialized: " + why};
}

}  // namespace detail

/// Reads records of type T from Kafka, under the names of Flink's KafkaSource:
///
///   auto source = kafka::KafkaSource<Order>::builder()
///                     .set_bootstrap_servers("broker:9092")
///                     .set_topics({"orders"})
///                     .set_starting_offsets(kafka::OffsetsInitializer::earliest())
///                     .set_deserializer([](const kafka::ConsumedMessage& message, Order& out) {
///                       return parse_order(message.value.value_or(""), out);  // a Status
///                     })
///                     .build();
template <class T>
class KafkaSource {
 public:
  static KafkaSourceBuilder<T> builder() { return {}; }
};

template <class T>
class KafkaSourceBuilder {
 public:
  KafkaSourceBuilder& set_bootstrap_servers(const std::string& servers) {
    options_.properties.set("bootstrap.servers", servers);
    return *this;
  }
  KafkaSourceBuilder& set_topics(std::vector<std::string> topics) {
    options_.topics = std::move(topics);
    return *this;
  }
  /// ECMAScript regular expression for the whole name; internal topics never match.
  KafkaSourceBuilder& set_topic_pattern(std::string pattern) {
    options_.topic_pattern = std::move(pattern);
    return *this;
  }
  KafkaSourceBuilder& set_partitions(std::vector<TopicPartition> partitions) {
    options_.partitions = std::move(partitions);
    return *this;
  }
  /// Default earliest. Used only without restored state.
  KafkaSourceBuilder& set_starting_offsets(OffsetsInitializer start) {
    options_.start = std::move(start);
    return *this;
  }
  /// The source ends at `stop`, and the job is a bounded one. Partition discovery is off.
  KafkaSourceBuilder& set_bounded(OffsetsInitializer stop) {
    options_.stop = std::move(stop);
    options_.boundedness = Boundedness::kBounded;
    return *this;
  }
  /// A streaming job whose source ends at `stop`. Partition discovery is off.
  KafkaSourceBuilder& set_unbounded(OffsetsInitializer stop) {
    options_.stop = std::move(stop);
    options_.boundedness = Boundedness::kUnbounded;
    return *this;
  }
  KafkaSourceBuilder& set_group_id(std::string group) {
    options_.group_id = std::move(group);
    return *this;
  }
  /// `(const ConsumedMessage&, T& out) -> Status`: one record per message, with its timestamp; or
  /// `(const ConsumedMessage&, Collector<T>& out) -> Status`: any number of them. An error or an
  /// exception makes the message a bad record. Called from several subtasks at once.
  template <class F>
    requires(detail::FillsRecord<F, T> || detail::Collects<F, T>)
  KafkaSourceBuilder& set_deserializer(F deserialize) {
    deserialize_ = [deserialize = std::move(deserialize)](
                       const ConsumedMessage& message,
                       const std::function<void(T&&, TimestampMs)>& push) -> Status {
      if constexpr (detail::Collects<F, T>) {
        Collector<T> collector(push, message.timestamp);
        return deserialize(message, collector);
      } else {
        T record{};
        const Status status = deserialize(message, record);
        if (status.ok()) {
          push(std::move(record), message.timestamp);
        }
        return status;
      }
    };
    return *this;
  }
  /// Default 300,000 ms; 0 or less = off.
  KafkaSourceBuilder& set_partition_discovery_interval(DurationMs interval) {
    options_.discovery_interval = interval;
    return *this;
  }
  /// Default true, and without effect without a group id. Shows lag; never used for recovery.
  KafkaSourceBuilder& set_commit_offsets_on_checkpoint(bool is_on) {
    options_.commit_offsets_on_checkpoint = is_on;
    return *this;
  }
  /// Default kFail. For dead letters see build_with_bad_records().
  KafkaSourceBuilder& set_on_bad_record(OnBadRecord policy) {
    on_bad_record_ = policy;
    return *this;
  }
  /// With kSkip and dead letters: fail once more than this share of the messages is bad (0 to 1).
  KafkaSourceBuilder& set_bad_record_share_max(double share) {
    options_.bad_record_share_max = share;
    return *this;
  }
  KafkaSourceBuilder& set_property(const std::string& name, std::string value) {
    options_.properties.set(name, std::move(value));
    return *this;
  }

  /// A source of T.
  std::shared_ptr<Source> build() {
    SourceOptions options = options_;
    options.record_type = &type_ops<T>();
    if (deserialize_ != nullptr) {
      options.parse = [deserialize = deserialize_, policy = on_bad_record_](
                          std::span<const ConsumedMessage> messages, RecordCollector& out) {
        return parse_plain(deserialize, policy, messages, out);
      };
    }
    return make_source(std::move(options));
  }

  /// A source of Parsed<T>: a message that cannot be deserialized becomes a record of its own,
  /// which the pipeline routes to a dead-letter sink.
  std::shared_ptr<Source> build_with_bad_records() {
    SourceOptions options = options_;
    options.record_type = &type_ops<Parsed<T>>();
    if (deserialize_ != nullptr) {
      options.parse = [deserialize = deserialize_](std::span<const ConsumedMessage> messages,
                                                   RecordCollector& out) {
        return parse_with_bad_records(deserialize, messages, out);
      };
    }
    return make_source(std::move(options));
  }

 private:
  using Deserialize =
      std::function<Status(const ConsumedMessage&, const std::function<void(T&&, TimestampMs)>&)>;

  /// User code may throw; here that makes one bad message, not a failed attempt.
  static Status call(const Deserialize& deserialize, const ConsumedMessage& message,
                     const std::function<void(T&&, TimestampMs)>& push) {
    try {
      return deserialize(message, push);
    } catch (const std::exception& exception) {
      return Error{ErrorCode::kUser, exception.what()};
    }
  }

  static Status parse_plain(const Deserialize& deserialize, OnBadRecord policy,
                            std::span<const ConsumedMessage> messages, RecordCollector& out) {
    const std::function<void(T&&, TimestampMs)> push = [&out](T&& record, TimestampMs time) {
      out.push(std::move(record), time);
    };
    for (const ConsumedMessage& message : messages) {
      const RecordCollector::Mark mark = out.mark();
      const Status status = call(deserialize, message, push);
      if (status.ok()) {
        continue;
      }
      out.roll_back(mark);
      if (policy == OnBadRecord::kFail) {
        return detail::refused(message, status.error().message);
      }
      ++out.bad_records;
    }
    return {};
  }

  static Status parse_with_bad_records(const Deserialize& deserialize,
                                       std::span<const ConsumedMessage> messages,
                                       RecordCollector& out) {
    const std::function<void(T&&, TimestampMs)> push = [&out](T&& record, TimestampMs time) {
      out.push(Parsed<T>{std::move(record), std::nullopt}, time);
    };
    for (const ConsumedMessage& message : messages) {
      const RecordCollector::Mark mark = out.mark();
      const Status status = call(deserialize, message, push);
      if (status.ok()) {
        continue;
      }
      out.roll_back(mark);
      out.push(Parsed<T>{std::nullopt, detail::to_bad_record(message, status.error().message)},
               message.timestamp);
      ++out.bad_records;
    }
    return {};
  }

  SourceOptions options_;
  Deserialize deserialize_;
  OnBadRecord on_bad_record_ = OnBadRecord::kFail;
};

}  // namespace weir::kafka
