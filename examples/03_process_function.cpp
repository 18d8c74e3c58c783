// Orders that were not paid within 15 minutes: state and an event-time timer per order.

#include <cstdio>
#include <string>

#include "generator/elements.h"
#include "print/print_sink.h"
#include "weir/environment.h"

constexpr weir::TimestampMs kMinute = 60'000;
constexpr weir::TimestampMs kPatience = 15 * kMinute;

enum class Step { kOrdered, kPaid };

struct Event {
  int order = 0;
  Step step = Step::kOrdered;
  weir::TimestampMs time_ms = 0;
};

struct Outcome {
  int order = 0;
  std::string text;
};

class PaidInTime : public weir::KeyedProcessFunction<int, Event, Outcome> {
 public:
  void open(OpenContext& context) override {
    deadline_ = context.value_state<weir::TimestampMs>("deadline");
  }

  void process_element(const Event& event, Context& context,
                       weir::Collector<Outcome>& out) override {
    if (event.step == Step::kOrdered) {
      deadline_.update(event.time_ms + kPatience);
      context.timer_service().register_event_time_timer(event.time_ms + kPatience);
    } else if (deadline_.value() != nullptr && event.time_ms <= *deadline_.value()) {
      context.timer_service().delete_event_time_timer(*deadline_.value());
      deadline_.clear();
      out.collect(Outcome{event.order, "paid in time"});
    }
  }

  void on_timer(weir::TimestampMs time, Context& context, weir::Collector<Outcome>& out) override {
    deadline_.clear();
    out.collect(
        Outcome{context.current_key(), "cancelled at minute " + std::to_string(time / kMinute)});
  }

 private:
  weir::ValueState<weir::TimestampMs> deadline_;
};

int main() {
  const auto events = weir::generator::from_elements<Event>({
      {1, Step::kOrdered, 0},
      {2, Step::kOrdered, 2 * kMinute},
      {3, Step::kOrdered, 3 * kMinute},
      {1, Step::kPaid, 10 * kMinute},
      {2, Step::kPaid, 30 * kMinute},  // too late
  });

  weir::Environment env;
  env.from_source(
         events,
         weir::WatermarkStrategy<Event>::for_monotonous_timestamps().with_timestamp_assigner(
             &Event::time_ms),
         "events")
      .key_by(&Event::order)
      .process(PaidInTime())
      .sink_to(weir::print::to_stdout<Outcome>());

  const auto result = env.execute("paid in time");
  if (!result.ok()) {
    std::fprintf(stderr, "%s\n", result.error().message.c_str());
    return 1;
  }
}
