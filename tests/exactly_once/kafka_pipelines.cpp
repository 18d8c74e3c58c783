#include "pipelines.h"

#if WEIR_WITH_KAFKA

#include <memory>
#include <string>

#include "event_text.h"
#include "file/file_sink.h"
#include "generator/source.h"
#include "kafka/kafka_sink.h"
#include "kafka/kafka_source.h"
#include "operators.h"

namespace crash {
namespace {

using weir::DataStream;
using weir::DeliveryGuarantee;
using weir::TimestampMs;
using weir::WatermarkStrategy;
namespace kafka = weir::kafka;

weir::Status decode(const kafka::ConsumedMessage& message, Event& out) {
  const auto event = parse_event(message.value.value_or(""));
  if (!event.has_value()) {
    return weir::Error{weir::ErrorCode::kUser, "no event"};
  }
  out = *event;
  return {};
}

kafka::KafkaSourceBuilder<Event> source_of(const JobSettings& settings) {
  auto builder = kafka::KafkaSource<Event>::builder();
  builder.set_bootstrap_servers(settings.bootstrap)
      .set_topics({settings.input})
      .set_starting_offsets(settings.starts_at_latest ? kafka::OffsetsInitializer::latest()
                                                      : kafka::OffsetsInitializer::earliest())
      .set_deserializer([delay_us = settings.delay_us](const kafka::ConsumedMessage& message,
                                                       Event& out) {
        pass_time(delay_us);
        return decode(message, out);
      });
  if (settings.is_bounded) {
    builder.set_bounded(kafka::OffsetsInitializer::latest());
  }
  if (settings.bad_records == "skip") {
    builder.set_on_bad_record(kafka::OnBadRecord::kSkip);
  }
  for (const auto& [name, value] : settings.client_properties) {
    builder.set_property(name, value);
  }
  return builder;
}

/// Results of one key go to one partition, so that their order can be seen.
struct EncodeTotal {
  std::int64_t huge_sequence;

  void operator()(const Total& total, TimestampMs /*time*/, kafka::Record& out) const {
    out.key = std::to_string(total.key);
    append_total(total, out.value);
    if (total.key == 0 && total.sequence == huge_sequence) {
      out.value.append(100'000, ' ');
    }
  }
};

template <class T, class Encode>
std::shared_ptr<weir::Sink> topic_of(const JobSettings& settings, const std::string& topic,
                                     Encode encoder) {
  auto builder = kafka::KafkaSink<T>::builder();
  builder.set_bootstrap_servers(settings.bootstrap)
      .set_topic(topic)
      .set_record_serializer(encoder)
      .set_delivery_guarantee(settings.guarantee);
  for (const auto& [name, value] : settings.client_properties) {
    builder.set_property(name, value);
  }
  for (const auto& [name, value] : settings.sink_properties) {
    builder.set_property(name, value);
  }
  if (settings.guarantee == DeliveryGuarantee::kExactlyOnce) {
    builder.set_property("transaction.timeout.ms", std::to_string(settings.transaction_timeout_ms))
        .set_replay_log(settings.has_replay_log)
        .set_worst_recovery(weir::DurationMs(settings.worst_recovery_ms));
    if (!settings.transactional_id_prefix.empty()) {
      builder.set_transactional_id_prefix(settings.transactional_id_prefix);
    }
  }
  return builder.build();
}

std::shared_ptr<weir::Sink> total_topic(const JobSettings& settings, const std::string& topic) {
  return topic_of<Total>(settings, topic, EncodeTotal{settings.huge_sequence});
}

DataStream<Event> events_of(weir::Environment& environment, const JobSettings& settings) {
  DataStream<Event> events = environment.from_source<Event>(
      source_of(settings).build(), WatermarkStrategy<Event>::no_watermarks(), "events");
  events.uid("events");
  return events;
}

DataStream<Total> running_totals(const DataStream<Event>& events) {
  DataStream<Total> totals = events.key_by(&Event::key).process(RunningTotals());
  totals.uid("totals");
  return totals;
}

/// Without state: count is taken from the sequence, and the total is the event's own value. The
/// oracle of these pipelines expects just that.
DataStream<Total> mapped(const DataStream<Event>& events) {
  DataStream<Total> totals = events.map([](const Event& event) {
    return Total{event.key, event.sequence, event.sequence + 1, event.value};
  });
  totals.uid("map");
  return totals;
}

void build_both(weir::Environment& environment, const JobSettings& settings) {
  const DataStream<Total> totals = mapped(events_of(environment, settings));
  totals.sink_to(total_topic(settings, settings.output)).uid("topic-out");
  totals
      .sink_to(weir::file::FileSink<Total>::for_row_format(settings.second_output, append_total)
                   .with_prefix_suffix("part", ".csv")
                   .with_delivery_guarantee(settings.guarantee)
                   .build())
      .uid("files-out");
}

void build_twins(weir::Environment& environment, const JobSettings& settings) {
  const DataStream<Total> totals = mapped(events_of(environment, settings));
  totals.sink_to(total_topic(settings, settings.output));
  totals.sink_to(total_topic(settings, settings.second_output));
}

void build_dead_letters(weir::Environment& environment, const JobSettings& settings) {
  using Parsed = kafka::Parsed<Event>;
  DataStream<Parsed> parsed = environment.from_source<Parsed>(
      source_of(settings).build_with_bad_records(), WatermarkStrategy<Parsed>::no_watermarks(),
      "events");
  parsed.uid("events");
  parsed.filter([](const Parsed& one) { return one.bad.has_value(); })
      .sink_to(topic_of<Parsed>(settings, settings.second_output,
                                [](const Parsed& one, TimestampMs /*time*/, kafka::Record& out) {
                                  kafka::write_dead_letter(*one.bad, out);
                                }))
      .uid("dead-letters");
  DataStream<Event> events = parsed.filter([](const Parsed& one) { return one.value.has_value(); })
                                 .map([](const Parsed& one) { return *one.value; });
  running_totals(events).sink_to(total_topic(settings, settings.output)).uid("topic-out");
}

void build_nested(weir::Environment& environment, const JobSettings& settings) {
  DataStream<Total> latest = running_totals(events_of(environment, settings))
                                 .key_by(&Total::key)
                                 .reduce([](const Total& /*before*/, const Total& now) {
                                   return now;
                                 });
  latest.uid("latest");
  latest.sink_to(total_topic(settings, settings.output)).uid("topic-out");
}

void build_generator_to_topic(weir::Environment& environment, const JobSettings& settings) {
  auto source = weir::generator::Source<Event>::from(
                    [seed = settings.seed, keys = settings.keys](std::uint64_t index) {
                      return make_event(seed, keys, index);
                    })
                    .with_count(settings.records)
                    .with_splits(4)
                    .with_rate_limit(settings.records_per_second)
                    .build();
  DataStream<Event> events = environment.from_source<Event>(
      std::move(source), WatermarkStrategy<Event>::no_watermarks(), "events");
  events.uid("events");
  running_totals(events).sink_to(total_topic(settings, settings.output)).uid("topic-out");
}

}  // namespace

weir::Status build_kafka_pipeline(weir::Environment& environment, const JobSettings& settings) {
  if (settings.pipeline == "gen-kafka") {
    build_generator_to_topic(environment, settings);
  } else if (settings.pipeline == "kafka-kafka") {
    running_totals(events_of(environment, settings))
        .sink_to(total_topic(settings, settings.output))
        .uid("topic-out");
  } else if (settings.pipeline == "kafka-both") {
    build_both(environment, settings);
  } else if (settings.pipeline == "kafka-twins") {
    build_twins(environment, settings);
  } else if (settings.pipeline == "kafka-dead") {
    build_dead_letters(environment, settings);
  } else if (settings.pipeline == "kafka-nested") {
    build_nested(environment, settings);
  } else {
    return weir::Error{weir::ErrorCode::kInvalidArgument,
                       "no pipeline is called '" + settings.pipeline + "'"};
  }
  return {};
}

}  // namespace crash

#else

namespace crash {

weir::Status build_kafka_pipeline(weir::Environment& /*environment*/, const JobSettings& settings) {
  return weir::Error{weir::ErrorCode::kInvalidArgument,
                     "no pipeline '" + settings.pipeline + "' in a build without Kafka"};
}

}  // namespace crash

#endif
