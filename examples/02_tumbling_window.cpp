// Mean temperature per sensor and ten seconds of event time. A reading may come two seconds out of
// order; what comes later still is not dropped but goes to a side output.

#include <cstdio>
#include <string>
#include <vector>

#include "generator/source.h"
#include "print/print_sink.h"
#include "weir/config_options.h"
#include "weir/environment.h"

using weir::DurationMs;

struct Reading {
  std::string sensor;
  double celsius = 0;
  weir::TimestampMs time_ms = 0;
};

struct Average {
  std::string sensor;
  weir::TimestampMs from_ms = 0;
  double celsius = 0;
};

struct Mean {
  struct Accumulator {
    double sum = 0;
    int count = 0;
  };
  Accumulator create_accumulator() const { return {}; }
  void add(Accumulator& into, const Reading& reading) const {
    into.sum += reading.celsius;
    ++into.count;
  }
  double get_result(const Accumulator& from) const { return from.sum / from.count; }
  void merge(Accumulator& into, const Accumulator& from) const {
    into.sum += from.sum;
    into.count += from.count;
  }
};

const std::vector<Reading> kReadings = {
    {"roof", 20, 1'000},  {"cellar", 11, 4'000}, {"roof", 22, 9'000},
    {"roof", 30, 10'500}, {"roof", 24, 8'500},  // out of order, but in time
    {"roof", 31, 25'000},  // time is 23 s now: closes the windows [0 s, 10 s) and [10 s, 20 s)
    {"roof", 99, 3'000},   // late
};

int main() {
  // Ten readings a second, and event time is told at once, as if the sensors were real.
  weir::Environment env(
      weir::Configuration().set(weir::options::kAutoWatermarkInterval, DurationMs(1)));
  const auto source =
      weir::generator::Source<Reading>::from([](std::uint64_t index) { return kReadings[index]; })
          .with_count(kReadings.size())
          .with_rate_limit(10)
          .build();
  const weir::OutputTag<Reading> late("late");
  auto averages =
      env.from_source(
             source,
             weir::WatermarkStrategy<Reading>::for_bounded_out_of_orderness(DurationMs(2'000))
                 .with_timestamp_assigner(&Reading::time_ms),
             "readings")
          .key_by(&Reading::sensor)
          .window(weir::TumblingEventTimeWindows::of(DurationMs(10'000)))
          .side_output_late_data(late)
          .aggregate(Mean{}, [](const std::string& sensor, const weir::TimeWindow& window,
                                double mean) { return Average{sensor, window.start, mean}; });
  averages.sink_to(weir::print::to_stdout<Average>());
  averages.side_output(late).sink_to(weir::print::to_stdout<Reading>());

  const auto result = env.execute("mean temperature");
  if (!result.ok()) {
    std::fprintf(stderr, "%s\n", result.error().message.c_str());
    return 1;
  }
}
