#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "recovery/scenario.h"
#include "weir/process_function.h"

namespace weir::recovery {

/// What EveryState says after an event, or about a timer.
struct Seen {
  std::int64_t key = 0;
  std::int64_t number = 0;  ///< of the event; the time of a timer
  std::string text;
  friend auto operator<=>(const Seen&, const Seen&) = default;
  friend void PrintTo(const Seen& seen, std::ostream* out) {
    *out << seen.key << '/' << seen.number << ": " << seen.text;
  }
};

/// What one key has in every kind of state, in plain containers: what EveryState is compared with.
struct EveryValue {
  static constexpr std::size_t kListMax = 3;

  std::int64_t value = 0;
  std::vector<std::int64_t> list;
  std::map<std::int64_t, std::int64_t> map;
  std::int64_t greatest = 0;
  std::int64_t sum = 0;

  void add(const Event& event) {
    ++value;
    list.push_back(event.number);
    if (list.size() > kListMax) {
      list.erase(list.begin());
    }
    ++map[event.number % 3];
    greatest = std::max(greatest, event.number);
    sum += event.number;
  }
  std::string text() const {
    std::string text = "value " + std::to_string(value) + " list";
    for (const std::int64_t element : list) {
      text += " " + std::to_string(element);
    }
    text += " map";
    for (const auto& [key, count] : map) {
      text += " " + std::to_string(key) + "=" + std::to_string(count);
    }
    return text + " greatest " + std::to_string(greatest) + " sum " + std::to_string(sum);
  }
};

/// The states of EveryState, as its open() and a SavepointEditor declare them.
struct EveryHandle {
  EveryHandle() = default;
  EveryHandle(KeyedOpenContext<std::int64_t>& context, const StateTtlConfig& ttl)
      : value(context.value_state<std::int64_t>("value", ttl)),
        list(context.list_state<std::int64_t>("list", ttl)),
        map(context.map_state<std::int64_t, std::int64_t>("map", ttl)),
        greatest(context.reducing_state<std::int64_t>(
            "greatest", [](std::int64_t a, std::int64_t b) { return std::max(a, b); }, ttl)),
        sum(context.aggregating_state<Event>("sum", SumOfNumbers(), ttl)) {}

  void add(const Event& event) {
    value.update(value.value_or(0) + 1);
    list.add(event.number);
    if (const auto* all = list.get(); all->size() > EveryValue::kListMax) {
      list.update(std::vector<std::int64_t>(all->begin() + 1, all->end()));
    }
    ++map.mutable_value(event.number % 3);
    greatest.add(event.number);
    sum.add(event);
  }
  EveryValue get() const {
    EveryValue all;
    all.value = value.value_or(0);
    if (const auto* elements = list.get()) {
      all.list = *elements;
    }
    map.for_each([&](std::int64_t key, std::int64_t count) { all.map[key] = count; });
    if (const std::int64_t* found = greatest.get()) {
      all.greatest = *found;
    }
    all.sum = sum.get().value_or(0);
    return all;
  }

  ValueState<std::int64_t> value;
  ListState<std::int64_t> list;
  MapState<std::int64_t, std::int64_t> map;
  ReducingState<std::int64_t> greatest;
  AggregatingState<Event, SumOfNumbers> sum;
};

/// Every kind of keyed state, and timers of both clocks: after each event a row of what its key
/// has, and one per timer that fires.
class EveryState : public KeyedProcessFunction<std::int64_t, Event, Seen> {
 public:
  static constexpr std::int64_t kTimerDelay = 60;
  /// Processing times that are over, so that such a timer fires as soon as it can ...
  static constexpr std::int64_t kPast = 1'000'000'000;
  /// ... and those of a day that no test sees.
  static constexpr std::int64_t kFuture = 100'000'000'000'000;

  explicit EveryState(StateTtlConfig ttl = {}) : ttl_(ttl) {}
  void open(OpenContext& context) override { state_ = EveryHandle(context, ttl_); }
  void process_element(const Event& event, Context& context, Collector<Seen>& out) override {
    state_.add(event);
    out.collect(Seen{event.key, event.number, state_.get().text()});
    context.timer_service().register_event_time_timer(event.time + kTimerDelay);
    context.timer_service().register_processing_time_timer(kPast + event.number);
    context.timer_service().register_processing_time_timer(kFuture + event.number);
  }
  void on_timer(TimestampMs time, Context& context, Collector<Seen>& out) override {
    out.collect(Seen{context.current_key(), time, "timer"});
  }

 private:
  const StateTtlConfig ttl_;
  EveryHandle state_;
};

/// What EveryState says of all events when it begins with `first` of each key.
inline std::vector<Seen> expected_seen(const SourceSettings& settings,
                                       std::map<std::int64_t, EveryValue> first = {}) {
  std::vector<Seen> rows;
  for (std::int64_t number = 0; number < settings.count; ++number) {
    const Event event = event_of(number, settings);
    EveryValue& value = first[event.key];
    value.add(event);
    rows.push_back({event.key, number, value.text()});
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}
inline std::vector<Seen> timers_in(const std::vector<Seen>& rows) {
  std::vector<Seen> timers;
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(timers),
               [](const Seen& row) { return row.text == "timer"; });
  return timers;
}
inline std::vector<Seen> values_in(const std::vector<Seen>& rows) {
  std::vector<Seen> values;
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(values),
               [](const Seen& row) { return row.text != "timer"; });
  return values;
}

}  // namespace weir::recovery
