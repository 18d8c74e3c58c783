// Keyed state on the heap, read, modified and written once per event, through the public API.
// Prints one line of JSON.
//   bench_keyed_weir --keys N --updates N --spread zipf|uniform [-D key=value ...]

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arguments.h"
#include "blackhole_sink.h"
#include "generator/source.h"
#include "keyed_workload.h"
#include "weir/environment.h"
#include "weir/keyed_stream.h"

namespace weir::bench {
namespace {

using ::bench::KeyedEvent;
using ::bench::KeyedEvents;
using ::bench::Total;

struct Measured {
  std::uint64_t keys = 0;
  std::uint64_t events = 0;
  std::uint64_t fold = 0;
  std::optional<::bench::Stopwatch> watch;
};
Measured measured;

class KeepTotal final : public KeyedProcessFunction<std::uint64_t, KeyedEvent, Payment> {
 public:
  void open(OpenContext& context) override { total_ = context.value_state<Total>("total"); }

  void process_element(const KeyedEvent& event, Context& /*context*/,
                       Collector<Payment>& /*out*/) override {
    if (measured.events++ == measured.keys) {
      measured.watch.emplace();
    }
    Total& total = total_.mutable_value();
    total.add(event.amount);
    measured.fold += total.fold();
  }

 private:
  ValueState<Total> total_;
};

int run(int argc, char** argv) {
  const Arguments arguments(argc, argv);
  const std::uint64_t keys = arguments.number("keys");
  const std::uint64_t updates = arguments.number("updates");
  std::vector<std::string> rest;
  Result<Configuration> configuration = Configuration::from_args(argc, argv, &rest);
  if (!configuration.ok()) {
    std::fprintf(stderr, "%s\n", configuration.error().message.c_str());
    return 2;
  }
  measured.keys = keys;
  const auto events =
      std::make_shared<const KeyedEvents>(keys, updates, arguments.text("spread") == "zipf");
  BlackholeResult result;
  Environment environment(configuration.value());
  environment
      .from_source(generator::Source<KeyedEvent>::from(
                       [events](std::uint64_t index) { return (*events)(index); })
                       .with_count(keys + updates)
                       .build(),
                   WatermarkStrategy<KeyedEvent>::no_watermarks(), "events")
      .key_by(&KeyedEvent::key)
      .process(KeepTotal())
      .uid("totals")
      .sink_to(std::make_shared<BlackholeSink<Payment>>(result));
  const Result<JobResult> ended = environment.execute("bench-keyed");
  if (!ended.ok()) {
    std::fprintf(stderr, "%s\n", ended.error().message.c_str());
    return 1;
  }
  ::bench::print_updates(*measured.watch, updates, measured.fold);
  return 0;
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) { return weir::bench::run(argc, argv); }
