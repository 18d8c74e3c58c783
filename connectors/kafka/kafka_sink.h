#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "kafka/record.h"
#include "kafka/sink_core.h"
#include "weir/sink.h"

namespace weir::kafka {

template <class T>
class KafkaSinkBuilder;

/// Writes records of type T to Kafka, under the names of Flink's KafkaSink:
///
///   auto sink = kafka::KafkaSink<Order>::builder()
///                   .set_bootstrap_servers("broker:9092")
///                   .set_topic("orders")
///                   .set_record_serializer([](const Order& order, TimestampMs time,
///                                             kafka::Record& out) {
///                     out.key = order.customer;
///                     out.value = to_json(order);
///                     out.timestamp = time;
///                   })
///                   .set_delivery_guarantee(DeliveryGuarantee::kExactlyOnce)
///                   .build();
template <class T>
class KafkaSink {
 public:
  static KafkaSinkBuilder<T> builder() { return {}; }
};

template <class T>
class KafkaSinkBuilder {
 public:
  KafkaSinkBuilder& set_bootstrap_servers(const std::string& servers) {
    options_.properties.set("bootstrap.servers", servers);
    return *this;
  }
  KafkaSinkBuilder& set_topic(std::string topic) {
    options_.topic = std::move(topic);
    return *this;
  }
  /// `serialize(const T& record, TimestampMs time, Record& out)` fills in `out`, which is fresh,
  /// and returns nothing or a Status; an error or an exception fails the attempt. Called from one
  /// thread per subtask, from several subtasks at once.
  template <class F>
    requires std::invocable<const F&, const T&, TimestampMs, Record&>
  KafkaSinkBuilder& set_record_serializer(F serialize) {
    options_.serialize = [serialize = std::move(serialize)](const Batch& batch,
                                                            std::vector<Record>& out) -> Status {
      const auto records = batch.records<T>();
      out.resize(records.size());
      for (std::size_t i = 0; i < records.size(); ++i) {
        out[i].clear();
        if constexpr (std::is_void_v<
                          std::invoke_result_t<const F&, const T&, TimestampMs, Record&>>) {
          serialize(records[i], batch.timestamps()[i], out[i]);
        } else {
          Status status = serialize(records[i], batch.timestamps()[i], out[i]);
          if (!status.ok()) {
            return status;
          }
        }
      }
      return {};
    };
    return *this;
  }
  /// Default kNone, as in Flink.
  KafkaSinkBuilder& set_delivery_guarantee(DeliveryGuarantee guarantee) {
    options_.guarantee = guarantee;
    return *this;
  }
  /// Default: derived from the pipeline's id and the sink's uid.
  KafkaSinkBuilder& set_transactional_id_prefix(std::string prefix) {
    options_.transactional_id_prefix = std::move(prefix);
    return *this;
  }
  /// A setting under librdkafka's name: "compression.type", "security.protocol" ...
  KafkaSinkBuilder& set_property(const std::string& name, std::string value) {
    options_.properties.set(name, std::move(value));
    return *this;
  }
  /// Keep each epoch's output with its checkpoint until the commit is proved, so that an epoch the
  /// broker rolled back (job down for longer than the transaction timeout) is produced again
  /// instead of stopping the job. Default on; costs a second write of the output.
  KafkaSinkBuilder& set_replay_log(bool is_on) {
    options_.keep_replay_log = is_on;
    return *this;
  }
  /// Longest outage that transaction.timeout.ms must cover when there is no replay log.
  /// Default 5 minutes.
  KafkaSinkBuilder& set_worst_recovery(DurationMs duration) {
    options_.worst_recovery = duration;
    return *this;
  }
  std::shared_ptr<Sink> build() {
    options_.record_type = &type_ops<T>();
    return make_sink(options_);
  }

 private:
  SinkOptions options_;
};

}  // namespace weir::kafka
