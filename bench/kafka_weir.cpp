// Kafka to Kafka through weir, exactly once. Prints one line of JSON.
//   bench_kafka_weir --bootstrap B --from TOPIC --to TOPIC --linger-ms N --batch-bytes N
//                    [-D key=value ...]

#include <cstdio>
#include <string>

#include "arguments.h"
#include "kafka/kafka_sink.h"
#include "kafka/kafka_source.h"
#include "weir/environment.h"

namespace weir::bench {
namespace {

struct Line {
  std::string text;
};

int run(int argc, char** argv) {
  const Arguments arguments(argc, argv);
  std::vector<std::string> rest;
  Result<Configuration> configuration = Configuration::from_args(argc, argv, &rest);
  if (!configuration.ok()) {
    std::fprintf(stderr, "%s\n", configuration.error().message.c_str());
    return 2;
  }
  auto source = kafka::KafkaSource<Line>::builder()
                    .set_bootstrap_servers(arguments.text("bootstrap"))
                    .set_topics({arguments.text("from")})
                    .set_starting_offsets(kafka::OffsetsInitializer::earliest())
                    .set_bounded(kafka::OffsetsInitializer::latest())
                    .set_deserializer([](const kafka::ConsumedMessage& message, Line& out) {
                      out.text = message.value.value_or("");
                      return Status();
                    })
                    .build();
  auto sink = kafka::KafkaSink<Line>::builder()
                  .set_bootstrap_servers(arguments.text("bootstrap"))
                  .set_topic(arguments.text("to"))
                  .set_record_serializer([](const Line& line, TimestampMs /*time*/,
                                            kafka::Record& out) { out.value = line.text; })
                  .set_delivery_guarantee(DeliveryGuarantee::kExactlyOnce)
                  .set_property("linger.ms", arguments.text("linger-ms"))
                  .set_property("batch.size", arguments.text("batch-bytes"))
                  .build();
  JobStatus last_status;
  Environment environment(configuration.value());
  environment.set_listener([&](const JobStatus& status) { last_status = status; });
  environment.from_source(source, WatermarkStrategy<Line>::no_watermarks(), "in")
      .uid("in")
      .sink_to(sink)
      .uid("out");
  const Result<JobResult> ended = environment.execute("bench-kafka");
  if (!ended.ok()) {
    std::fprintf(stderr, "%s\n", ended.error().message.c_str());
    return 1;
  }
  std::printf("{\"events\": %lld, \"checkpoints\": %lld}\n",
              static_cast<long long>(last_status.records_in),
              static_cast<long long>(last_status.checkpoints_completed));
  return 0;
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) { return weir::bench::run(argc, argv); }
