#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "recovery/scenario.h"

/// Process functions that keep what they saw in operator state until the end of the input.
namespace weir::recovery {

/// Holds every event back in a list, and lets all go at the end.
template <class Item>
class HoldBack : public ProcessFunction<Event, Counted> {
 public:
  void open(OpenContext& context) override { held_ = context.list_state<Item>("held"); }
  void process_element(const Event& event, Context&, Collector<Counted>&) override {
    Item item;
    item.number = static_cast<decltype(item.number)>(event.number);
    held_.add(std::move(item));
  }
  void finish(Context&, Collector<Counted>& out) override {
    for (const Item& item : held_.get()) {
      out.collect(Counted{static_cast<std::int64_t>(item.number), 1});
    }
    held_.clear();
  }

 private:
  OperatorListState<Item> held_;
};

/// What one subtask has counted.
struct Tally {
  std::int32_t subtask = 0;
  std::int64_t events = 0;
};

/// Keys of the rows of CountInUnion.
inline constexpr std::int64_t kOwnEvents = 1;
inline constexpr std::int64_t kSeenAtStart = 2;
inline constexpr std::int64_t kMarks = 3;

/// Counts events. After a restore subtask 0 takes over what all had counted; that all of them saw
/// the same is for the test to check. The marks of the first start are left alone ever after.
class CountInUnion : public ProcessFunction<Event, Counted> {
 public:
  void open(OpenContext& context) override {
    subtask_ = context.subtask().subtask;
    tallies_ = context.union_list_state<Tally>("tallies");
    marks_ = context.union_list_state<std::string>("marks");
    if (!context.is_restored()) {
      marks_.add("mark of " + std::to_string(subtask_));
    }
    for (const Tally& tally : tallies_.get()) {
      seen_at_start_ += tally.events;
    }
    own_ = subtask_ == 0 ? seen_at_start_ : 0;
  }
  void process_element(const Event&, Context&, Collector<Counted>&) override { ++own_; }
  void snapshot_state() override { tallies_.update({Tally{subtask_, own_}}); }
  void finish(Context&, Collector<Counted>& out) override {
    out.collect(Counted{kOwnEvents, own_});
    out.collect(Counted{kSeenAtStart, seen_at_start_});
    out.collect(Counted{kMarks, static_cast<std::int64_t>(marks_.get().size())});
  }

 private:
  std::int32_t subtask_ = 0;
  std::int64_t own_ = 0;
  std::int64_t seen_at_start_ = 0;
  OperatorListState<Tally> tallies_;
  OperatorListState<std::string> marks_;
};

struct Rule {
  std::string name;
  std::int64_t number = 0;
};
/// What a rule's name stands for: how many rules it had, and the greatest number of one.
struct RuleCount {
  std::int32_t count = 0;
  std::int64_t greatest = 0;
};
/// The same in a later version of the program.
struct WiderRuleCount {
  std::string note = "none";
  std::int64_t greatest = 0;
  std::int64_t count = 0;
};

inline bool is_rule(const Event& event) { return event.number % 7 == 0; }
inline Rule rule_of(const Event& event) {
  return {"rule " + std::to_string(event.number % 5), event.number};
}

template <class Count>
const MapStateDescriptor<std::string, Count>& rules_state() {
  static const MapStateDescriptor<std::string, Count> state("rules");
  return state;
}
template <class Count>
void add_rule(const Rule& rule, BroadcastState<std::string, Count> rules) {
  Count& count = rules.mutable_value(rule.name);
  ++count.count;
  count.greatest = std::max(count.greatest, rule.number);
}
/// The rows that a subtask makes of its copy of the state.
template <class Count, class State>
void collect_rules(const State& rules, Collector<Counted>& out) {
  for (const auto& [name, count] : rules.entries()) {
    out.collect(Counted{-count.greatest - 1, static_cast<std::int64_t>(count.count)});
  }
}

/// Every subtask tells at the end what it knows of the rules; events pass.
template <class Count>
class KnowRules : public BroadcastProcessFunction<Event, Rule, Counted> {
 public:
  using Base = BroadcastProcessFunction<Event, Rule, Counted>;
  void process_element(const Event& event, typename Base::ReadOnlyContext&,
                       Collector<Counted>& out) override {
    out.collect(Counted{event.number, 1});
  }
  void process_broadcast_element(const Rule& rule, typename Base::Context& context,
                                 Collector<Counted>&) override {
    add_rule<Count>(rule, context.broadcast_state(rules_state<Count>()));
  }
  void finish(typename Base::ReadOnlyContext& context, Collector<Counted>& out) override {
    collect_rules<Count>(context.broadcast_state(rules_state<Count>()), out);
  }
};

/// Counts per key in keyed state; a timer of each key at the end of time tells the rules.
class CountAndKnowRules : public KeyedBroadcastProcessFunction<std::int64_t, Event, Rule, Counted> {
 public:
  void open(OpenContext& context) override { count_ = context.value_state<std::int64_t>("count"); }
  void process_element(const Event& event, ReadOnlyContext& context,
                       Collector<Counted>& out) override {
    out.collect(Counted{event.key, ++count_.mutable_value()});
    context.timer_service().register_event_time_timer(kMaxTimestamp - 1);
  }
  void process_broadcast_element(const Rule& rule, Context& context, Collector<Counted>&) override {
    add_rule<RuleCount>(rule, context.broadcast_state(rules_state<RuleCount>()));
  }
  void on_timer(TimestampMs, ReadOnlyContext& context, Collector<Counted>& out) override {
    collect_rules<RuleCount>(context.broadcast_state(rules_state<RuleCount>()), out);
  }

 private:
  ValueState<std::int64_t> count_;
};

/// Rows of `copies` equal copies of the rules.
inline std::vector<Counted> expected_rules(const SourceSettings& settings, int copies) {
  std::map<std::string, std::pair<std::int64_t, std::int64_t>> rules;  // greatest, count
  for (std::int64_t number = 0; number < settings.count; ++number) {
    const Event event = event_of(number, settings);
    if (is_rule(event)) {
      auto& [greatest, count] = rules[rule_of(event).name];
      greatest = std::max(greatest, number);
      ++count;
    }
  }
  std::vector<Counted> rows;
  for (const auto& [name, rule] : rules) {
    rows.insert(rows.end(), static_cast<std::size_t>(copies),
                Counted{-rule.first - 1, rule.second});
  }
  return rows;
}
inline std::vector<Counted> sorted(std::vector<Counted> rows) {
  std::sort(rows.begin(), rows.end());
  return rows;
}
inline std::vector<Counted> every_number(const SourceSettings& settings) {
  std::vector<Counted> rows;
  for (std::int64_t number = 0; number < settings.count; ++number) {
    rows.push_back({number, 1});
  }
  return rows;
}

}  // namespace weir::recovery
