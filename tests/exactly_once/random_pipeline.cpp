#include <stdexcept>
#include <string>

#include "event_text.h"
#include "file/file_sink.h"
#include "generator/source.h"
#include "operators.h"
#include "pipelines.h"

namespace crash {
namespace {

using weir::DataStream;
using weir::WatermarkStrategy;

/// Oracle O1 inside the job: every key's events come in order, without a hole or a repetition. And
/// every timer fires once, at the end of the input, if it was not deleted: there are no watermarks
/// before.
class GaplessPerKey : public weir::KeyedProcessFunction<std::uint32_t, Event, Event> {
 public:
  void open(OpenContext& context) override {
    next_ = context.map_state<std::uint32_t, std::int64_t>("next");
    timers_ = context.map_state<std::int64_t, std::int64_t>("timers");
  }
  void process_element(const Event& event, Context& context, weir::Collector<Event>& out) override {
    const std::int64_t* const next = next_.get(event.key);
    const std::int64_t expected = next == nullptr ? 0 : *next;
    if (event.sequence != expected) {
      throw std::runtime_error("key " + std::to_string(event.key) + ": event " +
                               std::to_string(event.sequence) + " where " +
                               std::to_string(expected) + " is expected");
    }
    next_.put(event.key, expected + 1);
    set_timers(event, context.timer_service());
    out.collect(event);
  }
  void on_timer(weir::TimestampMs time, Context& /*context*/,
                weir::Collector<Event>& /*out*/) override {
    if (time == kLast) {
      if (!timers_.empty()) {
        throw std::runtime_error("the last timer of a key fires before others, or they are lost");
      }
    } else if (!timers_.contains(time)) {
      throw std::runtime_error("timer " + std::to_string(time) +
                               " was deleted, or fires a second time");
    } else {
      timers_.remove(time);
    }
  }

 private:
  static constexpr weir::TimestampMs kLast = 1'000'000'000'000;
  static constexpr std::int64_t kEventsPerTimer = 32;

  /// Some keys' events come often and those of others seldom: both get timers, and lose some.
  void set_timers(const Event& event, weir::TimerService& timers) {
    const std::int64_t round = event.sequence / kEventsPerTimer;
    const std::int64_t time = event.key * std::int64_t{1'000'000} + round;
    switch (event.sequence % kEventsPerTimer) {
      case 0:
        timers.register_event_time_timer(time);
        timers.register_event_time_timer(kLast);
        timers_.put(time, event.sequence);
        break;
      case kEventsPerTimer / 2:
        if (round % 2 == 1) {
          timers.delete_event_time_timer(time);
          timers_.remove(time);
        }
        break;
      default:
        break;
    }
  }

  weir::MapState<std::uint32_t, std::int64_t> next_;
  weir::MapState<std::int64_t, std::int64_t> timers_;
};

}  // namespace

/// One to four shuffles in a row, each with its own key and parallelism, between operators that
/// check what passes; some shapes split the stream and unite it again. Records of one key keep
/// their order on every way, so the same oracle judges all shapes.
void build_random_pipeline(weir::Environment& environment, const JobSettings& settings) {
  std::uint64_t state = settings.shape;
  const auto chance = [&state](std::uint64_t bound) { return scramble(++state) % bound; };
  auto source = weir::generator::Source<Event>::from(
                    [seed = settings.seed, keys = settings.keys](std::uint64_t index) {
                      return make_event(seed, keys, index);
                    })
                    .with_count(settings.records)
                    .with_splits(chance(2) == 0 ? 4 : 8)
                    .build();
  DataStream<Event> events = environment.from_source<Event>(
      std::move(source), WatermarkStrategy<Event>::no_watermarks(), "events");
  events.uid("events");
  const auto parallelism = [&] {
    return static_cast<int>((chance(3) + static_cast<std::uint64_t>(settings.parallelism)) % 4 + 1);
  };
  const std::uint64_t hops = chance(4);
  int width = settings.parallelism;  // of `events`
  for (std::uint64_t hop = 0; hop < hops; ++hop) {
    const std::string name = "hop-" + std::to_string(hop);
    const auto groups = static_cast<std::uint32_t>(1 + chance(settings.keys));
    if (chance(3) == 0) {
      DataStream<Event> even = events.filter([](const Event& event) { return event.key % 2 == 0; });
      DataStream<Event> odd = events.filter([](const Event& event) { return event.key % 2 != 0; });
      // Of another width they would be fed round robin, which keeps no order.
      even.uid(name + "-even").set_parallelism(width);
      odd.uid(name + "-odd").set_parallelism(width);
      events = even.union_with(odd);
    }
    events = events.key_by([groups](const Event& event) { return event.key % groups; })
                 .process(GaplessPerKey());
    width = parallelism();
    events.uid(name).set_parallelism(width);
  }
  const int last = parallelism();
  const int delay_us = settings.delay_us;
  DataStream<Total> totals = events.key_by(&Event::key).process(RunningTotals());
  totals.uid("totals").set_parallelism(last);
  // Makes the input of all shuffles pile up.
  DataStream<Total> slow = totals.map([delay_us](const Total& total) {
    pass_time(delay_us);
    return total;
  });
  slow.uid("slow").set_parallelism(last);
  slow.sink_to(weir::file::FileSink<Total>::for_row_format(settings.output, append_total)
                   .with_prefix_suffix("part", ".csv")
                   .with_delivery_guarantee(settings.guarantee)
                   .build())
      .uid("totals-out")
      .set_parallelism(last);
}

}  // namespace crash
