#include <memory>
#include <string>

#include "event_text.h"
#include "file/file_sink.h"
#include "file/file_source.h"
#include "generator/source.h"
#include "operators.h"
#include "pipelines.h"
#include "weir/window.h"

namespace crash {
namespace {

using weir::DataStream;
using weir::DurationMs;
using weir::TimeWindow;
using weir::WatermarkStrategy;

std::shared_ptr<weir::Sink> total_files(const JobSettings& settings, const std::string& folder) {
  return weir::file::FileSink<Total>::for_row_format(folder, append_total)
      .with_prefix_suffix("part", ".csv")
      .with_delivery_guarantee(settings.guarantee)
      .build();
}

DataStream<Total> running_totals(const DataStream<Event>& events) {
  DataStream<Total> totals = events.key_by(&Event::key).process(RunningTotals());
  totals.uid("totals");
  return totals;
}

void build_file_to_file(weir::Environment& environment, const JobSettings& settings) {
  auto source =
      weir::file::FileSource<Event>::for_lines(
          settings.input,
          [delay_us = settings.delay_us](std::string_view line, Event& out) -> weir::Status {
            pass_time(delay_us);
            const auto event = parse_event(line);
            if (!event.has_value()) {
              return weir::Error{weir::ErrorCode::kUser, "no event"};
            }
            out = *event;
            return {};
          })
          .with_bad_records(settings.bad_records == "skip" ? weir::file::BadRecords::kSkip
                                                           : weir::file::BadRecords::kFail)
          .build();
  DataStream<Event> events = environment.from_source<Event>(
      std::move(source), WatermarkStrategy<Event>::no_watermarks(), "events");
  events.uid("events");
  if (settings.pipeline == "file-anonymous") {
    events = events.filter([](const Event&) { return true; });
  }
  running_totals(events).sink_to(total_files(settings, settings.output)).uid("totals-out");
}

struct SumOfWindow {
  struct Accumulator {
    std::int64_t count = 0;
    std::int64_t total = 0;
  };
  Accumulator create_accumulator() const { return {}; }
  void add(Accumulator& into, const Event& event) const {
    ++into.count;
    into.total += event.value;
  }
  Accumulator get_result(const Accumulator& from) const { return from; }
  void merge(Accumulator& into, const Accumulator& from) const {
    into.count += from.count;
    into.total += from.total;
  }
};

void build_generator_to_windows(weir::Environment& environment, const JobSettings& settings) {
  auto source = weir::generator::Source<Event>::from(
                    [seed = settings.seed, keys = settings.keys](std::uint64_t index) {
                      return make_event(seed, keys, index);
                    })
                    .with_count(settings.records)
                    .with_splits(4)
                    .with_rate_limit(settings.records_per_second)
                    .build();
  DataStream<Event> events = environment.from_source<Event>(
      std::move(source),
      WatermarkStrategy<Event>::for_bounded_out_of_orderness(DurationMs(kDisorderMs))
          .with_timestamp_assigner(&Event::time_ms),
      "events");
  events.uid("events");
  running_totals(events).sink_to(total_files(settings, settings.output)).uid("totals-out");

  DataStream<WindowTotal> windows =
      events.key_by([](const Event& event) { return event.key % kWindowGroups; })
          .window(weir::TumblingEventTimeWindows::of(DurationMs(kWindowMs)))
          .aggregate(SumOfWindow{}, [](std::uint32_t group, const TimeWindow& window,
                                       const SumOfWindow::Accumulator& sum) {
            return WindowTotal{group, window.start, sum.count, sum.total};
          });
  windows.uid("windows");
  windows
      .sink_to(
          weir::file::FileSink<WindowTotal>::for_row_format(settings.second_output, append_window)
              .with_prefix_suffix("part", ".csv")
              .with_delivery_guarantee(settings.guarantee)
              .build())
      .uid("windows-out");
}

}  // namespace

weir::Status build_pipeline(weir::Environment& environment, const JobSettings& settings) {
  if (settings.pipeline == "file-file" || settings.pipeline == "file-anonymous") {
    build_file_to_file(environment, settings);
    return {};
  }
  if (settings.pipeline == "gen-window") {
    build_generator_to_windows(environment, settings);
    return {};
  }
  if (settings.pipeline == "random") {
    build_random_pipeline(environment, settings);
    return {};
  }
  return build_kafka_pipeline(environment, settings);
}

}  // namespace crash
