// The window benchmark as a weir pipeline. Prints one line of JSON.
//   bench_window_weir --users N --ids dense|spread --window-events N --events N [-D key=value ...]

#include <algorithm>
#include <cstdio>

#include "arguments.h"
#include "blackhole_sink.h"
#include "generator/source.h"
#include "weir/environment.h"
#include "weir/keyed_stream.h"

namespace weir::bench {
namespace {

struct Count {
  using Accumulator = std::uint64_t;
  Accumulator create_accumulator() const { return 0; }
  void add(Accumulator& into, const Payment& /*payment*/) const { ++into; }
  std::uint64_t get_result(const Accumulator& from) const { return from; }
  void merge(Accumulator& into, const Accumulator& from) const { into += from; }
};

template <class Ids>
int run(int argc, char** argv) {
  const Arguments arguments(argc, argv);
  const EventMaker<Ids> make_event(arguments.number("users"), arguments.number("window-events"));
  const std::uint64_t events = arguments.number("events");
  std::vector<std::string> rest;
  Result<Configuration> configuration = Configuration::from_args(argc, argv, &rest);
  if (!configuration.ok()) {
    std::fprintf(stderr, "%s\n", configuration.error().message.c_str());
    return 2;
  }
  JobStatus last_status;
  BlackholeResult result;
  Environment environment(configuration.value());
  std::uint64_t checkpoint_bytes_max = 0;
  std::int64_t checkpoint_ms_max = 0;
  environment.set_listener([&](const JobStatus& status) {
    last_status = status;
    checkpoint_bytes_max = std::max(checkpoint_bytes_max, status.last_checkpoint_size_bytes);
    checkpoint_ms_max = std::max(checkpoint_ms_max, status.last_checkpoint_duration_ms);
  });
  auto source = generator::Source<Event>::from(make_event)
                    .with_event_time([](const Event& event) { return event.time_ms; })
                    .with_count(events)
                    .build();
  environment.from_source(source, WatermarkStrategy<Event>::for_monotonous_timestamps(), "events")
      .uid("events")
      .filter([](const Event& event) { return is_payment(event); })
      .map([](const Event& event) { return to_payment(event); })
      .key_by(&Payment::user)
      .window(TumblingEventTimeWindows::of(DurationMs(kWindowMs)))
      .aggregate(Count{}, [](const std::uint64_t& user, const TimeWindow& window,
                             std::uint64_t count) { return WindowCount{user, window.end, count}; })
      .uid("counts")
      .sink_to(std::make_shared<BlackholeSink<WindowCount>>(result))
      .uid("blackhole");
  const Result<JobResult> ended = environment.execute("bench-window");
  if (!ended.ok()) {
    std::fprintf(stderr, "%s\n", ended.error().message.c_str());
    return 1;
  }
  std::printf(
      "{\"events\": %llu, \"rows\": %llu, \"hash\": \"%016llx%016llx\", \"first_row_ns\": %lld, "
      "\"checkpoints\": %lld, \"checkpoint_ms_max\": %lld, \"checkpoint_bytes_max\": %llu}\n",
      static_cast<unsigned long long>(events), static_cast<unsigned long long>(result.sums.rows),
      static_cast<unsigned long long>(result.sums.sum),
      static_cast<unsigned long long>(result.sums.mixed),
      static_cast<long long>(result.first_row_ns),
      static_cast<long long>(last_status.checkpoints_completed),
      static_cast<long long>(checkpoint_ms_max),
      static_cast<unsigned long long>(checkpoint_bytes_max));
  return 0;
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  using namespace weir::bench;
  const bool is_spread = Arguments(argc, argv).text("ids") == "spread";
  return is_spread ? run<SpreadIds>(argc, argv) : run<DenseIds>(argc, argv);
}
