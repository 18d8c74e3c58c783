#include "pipeline.h"

#include <algorithm>

#include "flight.h"
#include "kafka/kafka_sink.h"
#include "kafka/kafka_source.h"

namespace flights {
namespace {

using weir::TimestampMs;
using namespace std::chrono_literals;

struct DelayStatistics {
  struct Accumulator {
    std::int64_t flights;
    std::int64_t delay_sum;
    std::int32_t delay_max;
  };
  Accumulator create_accumulator() const { return {0, 0, INT32_MIN}; }
  void add(Accumulator& into, const Flight& flight) const {
    ++into.flights;
    into.delay_sum += flight.delay_minutes;
    into.delay_max = std::max(into.delay_max, flight.delay_minutes);
  }
  Accumulator get_result(const Accumulator& from) const { return from; }
  void merge(Accumulator& into, const Accumulator& from) const {
    into.flights += from.flights;
    into.delay_sum += from.delay_sum;
    into.delay_max = std::max(into.delay_max, from.delay_max);
  }
};

HourlyDelay to_result(const std::string& origin, const weir::TimeWindow& hour,
                      const DelayStatistics::Accumulator& statistics) {
  return {origin, hour.start, statistics.flights,
          static_cast<double>(statistics.delay_sum) / static_cast<double>(statistics.flights),
          statistics.delay_max};
}

template <class T>
std::shared_ptr<weir::Sink> rows_to(const std::string& topic, const PipelineOptions& options) {
  return weir::kafka::KafkaSink<T>::builder()
      .set_bootstrap_servers(options.brokers)
      .set_topic(topic)
      .set_record_serializer([](const T& record, TimestampMs, weir::kafka::Record& out) {
        out.key = record.origin;
        out.value = to_row(record);
      })
      .set_delivery_guarantee(weir::DeliveryGuarantee::kExactlyOnce)
      .build();
}

}  // namespace

void build_pipeline(weir::Environment& env, const PipelineOptions& options) {
  auto source = weir::kafka::KafkaSource<Flight>::builder()
                    .set_bootstrap_servers(options.brokers)
                    .set_topics({options.input})
                    .set_bounded(weir::kafka::OffsetsInitializer::latest())
                    .set_deserializer([](const weir::kafka::ConsumedMessage& message, Flight& out) {
                      return parse_flight(message.value.value_or(""), out);
                    })
                    .build();
  const weir::OutputTag<Flight> late("late-flights");

  auto hourly =
      env.from_source<Flight>(source,
                              weir::WatermarkStrategy<Flight>::for_bounded_out_of_orderness(
                                  options.bound)
                                  .with_timestamp_assigner(&Flight::scheduled_ms),
                              "flights")
          .uid("flights")
          .key_by(&Flight::origin)
          .window(weir::TumblingEventTimeWindows::of(1h))
          .side_output_late_data(late)
          .aggregate(DelayStatistics{}, to_result)
          .uid("hourly");
  hourly.sink_to(rows_to<HourlyDelay>(options.output, options)).uid("hourly-sink");
  hourly.side_output(late).sink_to(rows_to<Flight>(options.late, options)).uid("late-sink");
}

}  // namespace flights
