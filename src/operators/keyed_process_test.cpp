#include <map>
#include <set>
#include <string>
#include <vector>

#include "operators/operator_harness.h"
#include "weir/keyed_operators.h"

namespace weir::operators::test {
namespace {

struct Event {
  std::string key;
  std::int64_t number = 0;
  friend bool operator==(const Event&, const Event&) = default;
};

const std::shared_ptr<const KeySelector>& by_key() {
  static const std::shared_ptr<const KeySelector> keys =
      std::make_shared<detail::TypedKeySelector<Event, std::string Event::*>>(&Event::key);
  return keys;
}

template <class F>
std::unique_ptr<OperatorHarness> host(F function, std::vector<std::string> side_outputs = {},
                                      OperatorHarness::Options options = {}) {
  return std::make_unique<OperatorHarness>(
      std::make_unique<detail::KeyedProcessOperator<F>>(std::move(function), by_key(),
                                                        std::move(side_outputs)),
      options);
}

void feed(OperatorHarness& harness, std::vector<Emitted<Event>> records) {
  harness.process(std::move(records), by_key().get());
}

using Lines = std::vector<std::string>;
Lines take_lines(OperatorHarness& harness) {
  Lines lines;
  for (auto& emitted : harness.out().take<std::string>()) {
    lines.push_back(emitted.record + " @" + std::to_string(emitted.time));
  }
  return lines;
}

/// What a test wants to happen, as lambdas.
class Scripted : public KeyedProcessFunction<std::string, Event, std::string> {
 public:
  using Element = std::function<void(Scripted&, const Event&, Context&, Collector<std::string>&)>;
  using Timer = std::function<void(Scripted&, TimestampMs, Context&, Collector<std::string>&)>;

  explicit Scripted(Element on_element, Timer on_time = nullptr)
      : on_element_(std::move(on_element)), on_time_(std::move(on_time)) {}

  void open(OpenContext& context) override {
    value = context.value_state<std::int64_t>("value");
    list = context.list_state<std::string>("list");
    map = context.map_state<std::string, std::int64_t>("map");
  }
  void process_element(const Event& event, Context& context, Collector<std::string>& out) override {
    on_element_(*this, event, context, out);
  }
  void on_timer(TimestampMs time, Context& context, Collector<std::string>& out) override {
    if (on_time_ == nullptr) {
      out.collect("timer " + context.current_key());
    } else {
      on_time_(*this, time, context, out);
    }
  }

  ValueState<std::int64_t> value;
  ListState<std::string> list;
  MapState<std::string, std::int64_t> map;

 private:
  Element on_element_;
  Timer on_time_;
};
using Context = Scripted::Context;
using Out = Collector<std::string>;

TEST(KeyedProcess, ValueStateBelongsToTheKey) {
  auto harness = host(Scripted([](Scripted& self, const Event& event, Context&, Out& out) {
    if (event.number < 0) {
      self.value.clear();
      out.collect("cleared " + std::to_string(self.value.value() == nullptr));
      return;
    }
    self.value.update(self.value.value_or(0) + event.number);
    self.value.mutable_value() += 100;
    out.collect(event.key + " " + std::to_string(*self.value.value()));
  }));
  harness->open();
  feed(*harness, {{{"a", 1}, 1}, {{"b", 2}, 2}, {{"a", 3}, 3}, {{"a", -1}, 4}, {{"a", 5}, 5}});
  EXPECT_EQ(take_lines(*harness),
            (Lines{"a 101 @1", "b 102 @2", "a 204 @3", "cleared 1 @4", "a 105 @5"}));
}

TEST(KeyedProcess, ListStateKeepsItsElementsInOrder) {
  auto harness = host(Scripted([](Scripted& self, const Event& event, Context&, Out& out) {
    EXPECT_EQ(self.list.get(), nullptr);
    self.list.add("x");
    self.list.add_all({});
    self.list.add_all({"y", "z"});
    EXPECT_EQ(*self.list.get(), (Lines{"x", "y", "z"}));
    self.list.update({"only"});
    EXPECT_EQ(*self.list.get(), (Lines{"only"}));
    self.list.update({});  // an empty list is no list
    EXPECT_EQ(self.list.get(), nullptr);
    out.collect("done " + event.key);
  }));
  harness->open();
  feed(*harness, {{{"a", 1}, 1}});
  EXPECT_EQ(take_lines(*harness), (Lines{"done a @1"}));
}

TEST(KeyedProcess, MapStateForgetsAKeyWithItsLastEntry) {
  auto harness = host(Scripted([](Scripted& self, const Event&, Context&, Out&) {
    EXPECT_TRUE(self.map.empty());
    EXPECT_EQ(self.map.get("one"), nullptr);
    self.map.remove("one");
    self.map.put("one", 1);
    self.map.mutable_value("two") += 2;
    EXPECT_TRUE(self.map.contains("two"));
    EXPECT_EQ(*self.map.get("one"), 1);
    EXPECT_EQ(self.map.entries()->size(), 2U);
    self.map.remove("one");
    self.map.remove("two");
    EXPECT_TRUE(self.map.empty());
  }));
  harness->open();
  feed(*harness, {{{"a", 1}, 1}});
  EXPECT_EQ(harness->entry_count(), 0U);
}

TEST(KeyedProcess, EveryStateComesBackAtAnyParallelism) {
  SnapshotDirectory directory;
  const auto remember = [](Scripted& self, const Event& event, Context&, Out& out) {
    self.value.mutable_value() += event.number;
    self.list.add(std::to_string(event.number));
    self.map.mutable_value(event.number % 2 == 0 ? "even" : "odd") += 1;
    out.collect(event.key + " " + std::to_string(*self.value.value()) + " " +
                std::to_string(self.list.get()->size()) + " " +
                std::to_string(self.map.entries()->size()));
  };
  auto one = host(Scripted(remember));
  one->open();
  std::vector<Emitted<Event>> events;
  for (int i = 0; i < 300; ++i) {
    events.push_back({{"key" + std::to_string(i), i}, i});
  }
  feed(*one, events);
  const Snapshot snapshot = one->snapshot(directory);

  for (const int parallelism : {1, 3}) {
    std::set<std::string> lines;
    for (int subtask = 0; subtask < parallelism; ++subtask) {
      auto harness = host(Scripted(remember), {}, {.subtask = subtask, .parallelism = parallelism});
      harness->open_from({snapshot});
      for (const Emitted<Event>& event : events) {
        const int group = key_group_of(key_hash(event.record.key), 128);
        if (harness->info().key_groups.contains(group)) {
          feed(*harness, {{{event.record.key, 1}, 0}});
        }
      }
      for (std::string& line : take_lines(*harness)) {
        lines.insert(std::move(line));
      }
    }
    ASSERT_EQ(lines.size(), 300U);
    EXPECT_TRUE(lines.contains("key7 8 2 1 @0"));
    EXPECT_TRUE(lines.contains("key8 9 2 2 @0"));
  }
}

TEST(Timers, RegisteredTwiceFiresOnce) {
  auto harness = host(Scripted([](Scripted&, const Event&, Context& context, Out&) {
    context.timer_service().register_event_time_timer(10);
    context.timer_service().register_event_time_timer(10);
  }));
  harness->open();
  feed(*harness, {{{"a", 1}, 1}, {{"a", 2}, 2}, {{"b", 1}, 3}});
  harness->watermark(9);
  EXPECT_TRUE(take_lines(*harness).empty());
  harness->watermark(10);
  const Lines lines = take_lines(*harness);
  EXPECT_EQ(std::set<std::string>(lines.begin(), lines.end()),
            (std::set<std::string>{"timer a @10", "timer b @10"}));
  EXPECT_EQ(lines.size(), 2U);
  harness->watermark(100);
  EXPECT_TRUE(take_lines(*harness).empty());
}

TEST(Timers, FireInTheOrderOfTheirTimes) {
  auto harness = host(Scripted([](Scripted&, const Event& event, Context& context, Out&) {
    context.timer_service().register_event_time_timer(event.number);
  }));
  harness->open();
  feed(*harness, {{{"a", 30}, 1}, {{"b", -5}, 2}, {{"c", 20}, 3}});
  harness->watermark(25);
  EXPECT_EQ(take_lines(*harness), (Lines{"timer b @-5", "timer c @20"}));
  harness->watermark(kMaxTimestamp);
  EXPECT_EQ(take_lines(*harness), (Lines{"timer a @30"}));
}

TEST(Timers, ADeletedTimerDoesNotFireAndOthersDo) {
  auto harness = host(Scripted([](Scripted&, const Event& event, Context& context, Out&) {
    if (event.number > 0) {
      context.timer_service().register_event_time_timer(event.number);
    } else {
      context.timer_service().delete_event_time_timer(-event.number);
    }
  }));
  harness->open();
  feed(*harness,
       {{{"a", 10}, 1}, {{"a", 11}, 1}, {{"b", 10}, 1}, {{"a", -10}, 2}, {{"a", -99}, 2}});
  harness->watermark(kMaxTimestamp);
  EXPECT_EQ(take_lines(*harness), (Lines{"timer b @10", "timer a @11"}));
}

TEST(Timers, CallbacksSeeTheNewWatermarkAndTheirTimersFireInTheSamePass) {
  auto harness = host(Scripted(
      [](Scripted&, const Event&, Context& context, Out&) {
        EXPECT_EQ(context.timer_service().current_watermark(), kMinTimestamp);
        context.timer_service().register_event_time_timer(10);
      },
      [](Scripted&, TimestampMs time, Context& context, Out& out) {
        out.collect(std::to_string(context.timer_service().current_watermark()));
        if (time < 30) {
          context.timer_service().register_event_time_timer(time + 10);
          context.timer_service().register_event_time_timer(time + 1000);
        }
      }));
  harness->open();
  feed(*harness, {{{"a", 1}, 1}});
  harness->watermark(50);
  EXPECT_EQ(take_lines(*harness), (Lines{"50 @10", "50 @20", "50 @30"}));
}

TEST(Timers, AnEventTimeTimerInThePastWaitsForTheNextWatermark) {
  auto harness = host(Scripted([](Scripted&, const Event& event, Context& context, Out&) {
    context.timer_service().register_event_time_timer(event.number);
    context.timer_service().register_processing_time_timer(500);
  }));
  harness->open();
  harness->watermark(100);
  feed(*harness, {{{"a", 50}, 120}});
  EXPECT_TRUE(take_lines(*harness).empty());
  harness->advance_clock_to(500);  // nor does the passing of processing time fire it
  EXPECT_EQ(take_lines(*harness), (Lines{"timer a @500"}));
  harness->watermark(101);
  EXPECT_EQ(take_lines(*harness), (Lines{"timer a @50"}));
}

TEST(Timers, ProcessingTimeTimersFollowTheClock) {
  auto harness = host(Scripted([](Scripted&, const Event& event, Context& context, Out&) {
    context.timer_service().register_processing_time_timer(
        context.timer_service().current_processing_time() + event.number);
    context.timer_service().register_processing_time_timer(70);
    context.timer_service().delete_processing_time_timer(70);
  }));
  harness->open();
  harness->advance_clock_to(50);
  feed(*harness, {{{"a", 10}, 1}, {{"b", 5}, 1}});
  EXPECT_EQ(harness->op().next_processing_time_timer(), 55);
  harness->watermark(1000);  // event time does not move them
  EXPECT_TRUE(take_lines(*harness).empty());
  harness->advance_clock_to(60);
  EXPECT_EQ(take_lines(*harness), (Lines{"timer b @55", "timer a @60"}));
  EXPECT_EQ(harness->op().next_processing_time_timer(), kMaxTimestamp);
}

// I4: each kind returns to its own queue.
TEST(Timers, ComeBackFromASnapshotAndOverdueOnesFireAtOnce) {
  SnapshotDirectory directory;
  const auto script = [](Scripted&, const Event& event, Context& context, Out&) {
    context.timer_service().register_event_time_timer(event.number);
    context.timer_service().register_processing_time_timer(event.number + 1);
  };
  auto before = host(Scripted(script));
  before->open();
  feed(*before, {{{"a", 100}, 1}, {{"b", 200}, 1}});
  before->watermark(20);
  const Snapshot snapshot = before->snapshot(directory);

  auto after = host(Scripted(script));
  after->open_from({snapshot});
  after->advance_clock_to(150);
  EXPECT_EQ(take_lines(*after), (Lines{"timer a @101"}));
  after->watermark(250);
  EXPECT_EQ(take_lines(*after), (Lines{"timer a @100", "timer b @200"}));
  after->advance_clock_to(201);
  EXPECT_EQ(take_lines(*after), (Lines{"timer b @201"}));
}

TEST(Timers, TheWatermarkDoesNotGoBackAfterARestore) {
  SnapshotDirectory directory;
  const auto script = [](Scripted&, const Event&, Context& context, Out& out) {
    out.collect(std::to_string(context.timer_service().current_watermark()));
  };
  auto before = host(Scripted(script));
  before->open();
  before->watermark(1000);
  const Snapshot snapshot = before->snapshot(directory);

  auto after = host(Scripted(script));
  after->open_from({snapshot});
  after->watermark(400);  // the sources start again from their positions
  feed(*after, {{{"a", 1}, 5}});
  after->watermark(1200);
  feed(*after, {{{"a", 1}, 6}});
  EXPECT_EQ(take_lines(*after), (Lines{"1000 @5", "1200 @6"}));
}

TEST(Timers, ManyTimersOfOneInstantAreFiredInPiecesWhenTheOutputIsFull) {
  auto harness = host(Scripted([](Scripted&, const Event&, Context& context, Out&) {
    context.timer_service().register_event_time_timer(10);
  }));
  harness->open();
  for (int i = 0; i < 5000; ++i) {
    feed(*harness, {{{"key" + std::to_string(i), 0}, 1}});
  }
  harness->out().set_room(1);
  ASSERT_TRUE(harness->op().process_watermark(10).ok());
  EXPECT_TRUE(harness->op().is_busy());
  std::size_t fired = take_lines(*harness).size();
  EXPECT_LT(fired, 5000U);
  while (harness->op().is_busy()) {
    harness->out().make_room();
    ASSERT_TRUE(harness->op().resume().ok());
    fired += take_lines(*harness).size();
  }
  EXPECT_EQ(fired, 5000U);
}

TEST(KeyedProcess, SideOutputsTakeRecordsOfTheirOwnType) {
  const OutputTag<Event> odd("odd");
  const OutputTag<std::int64_t> numbers("numbers");
  auto harness = host(Scripted([=](Scripted&, const Event& event, Context& context, Out& out) {
                        context.output(numbers, event.number);
                        if (event.number % 2 != 0) {
                          context.output(odd, event);
                        } else {
                          out.collect(event.key);
                        }
                      }),
                      {"odd", "numbers"}, {.side_outputs = 2});
  harness->open();
  feed(*harness, {{{"a", 1}, 11}, {{"b", 2}, 12}, {{"c", 3}, 13}});
  EXPECT_EQ(take_lines(*harness), (Lines{"b @12"}));
  EXPECT_EQ(harness->side(0).take<Event>(),
            (std::vector<Emitted<Event>>{{{"a", 1}, 11}, {{"c", 3}, 13}}));
  EXPECT_EQ(harness->side(1).take<std::int64_t>(),
            (std::vector<Emitted<std::int64_t>>{{1, 11}, {2, 12}, {3, 13}}));
}

TEST(KeyedProcess, ManyResultsPerRecordAllArriveInOrder) {
  auto harness = host(Scripted([](Scripted&, const Event& event, Context&, Out& out) {
    for (std::int64_t i = 0; i < event.number; ++i) {
      out.collect_with_timestamp(std::to_string(i), i);
    }
  }));
  harness->open();
  feed(*harness, {{{"a", 5000}, 0}});
  const auto results = harness->out().take<std::string>();
  ASSERT_EQ(results.size(), 5000U);
  EXPECT_EQ(results[4999], (Emitted<std::string>{"4999", 4999}));
}

class TwoStatesOfOneName : public KeyedProcessFunction<std::string, Event, std::string> {
 public:
  void open(OpenContext& context) override {
    (void)context.value_state<std::int64_t>("state");
    (void)context.value_state<std::string>("state");
    (void)context.value_state<std::int64_t>("another");
  }
  void process_element(const Event&, Context&, Collector<std::string>&) override {}
};

TEST(KeyedProcess, TwoStatesOfOneNameAndDifferentTypesAreAnErrorAtOpen) {
  auto harness = host(TwoStatesOfOneName());
  const Status status = harness->try_open();
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("state"), std::string::npos);
}

// --- reduce -------------------------------------------------------------------------------------

TEST(Reduce, EmitsTheRollingReductionPerKey) {
  const auto add = [](const Event& a, const Event& b) { return Event{a.key, a.number + b.number}; };
  OperatorHarness harness(
      std::make_unique<detail::ReduceOperator<std::string, Event, decltype(add)>>(add, by_key()));
  harness.open();
  harness.process<Event>({{{"a", 1}, 1}, {{"b", 10}, 2}, {{"a", 2}, 3}}, by_key().get());
  harness.process<Event>({{{"a", 3}, 4}}, by_key().get());
  EXPECT_EQ(
      harness.out().take<Event>(),
      (std::vector<Emitted<Event>>{{{"a", 1}, 1}, {{"b", 10}, 2}, {{"a", 3}, 3}, {{"a", 6}, 4}}));
}

TEST(Reduce, GoesOnFromASnapshot) {
  SnapshotDirectory directory;
  const auto add = [](const Event& a, const Event& b) { return Event{a.key, a.number + b.number}; };
  using Reduce = detail::ReduceOperator<std::string, Event, decltype(add)>;
  OperatorHarness before(std::make_unique<Reduce>(add, by_key()));
  before.open();
  before.process<Event>({{{"a", 1}, 1}, {{"b", 10}, 2}}, by_key().get());
  const Snapshot snapshot = before.snapshot(directory);
  before.process<Event>({{{"a", 1000}, 3}}, by_key().get());  // after the barrier

  OperatorHarness after(std::make_unique<Reduce>(add, by_key()));
  after.open_from({snapshot});
  after.process<Event>({{{"a", 2}, 3}, {{"b", 5}, 4}}, by_key().get());
  EXPECT_EQ(after.out().take<Event>(),
            (std::vector<Emitted<Event>>{{{"a", 3}, 3}, {{"b", 15}, 4}}));
}

}  // namespace
}  // namespace weir::operators::test
