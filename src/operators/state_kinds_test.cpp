// Reducing and aggregating state, and state with a time to live, against models that remember when
// everything was written.

#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "operators/operator_harness.h"
#include "weir/keyed_operators.h"

namespace weir::operators::test {

// Outside the unnamed namespace: clang warns of reflected types that have internal linkage.
namespace state_kinds {
struct Event {
  std::int64_t key = 0;
  std::int64_t number = 0;
};
struct Mean {
  struct Accumulator {
    std::int64_t sum = 0;
    std::int64_t count = 0;
  };
  Accumulator create_accumulator() const { return {1'000, 0}; }
  void add(Accumulator& into, const std::int64_t& value) const {
    into.sum += value;
    ++into.count;
  }
  double get_result(const Accumulator& from) const {
    return static_cast<double>(from.sum) / static_cast<double>(from.count);
  }
  void merge(Accumulator& into, const Accumulator& from) const {
    into.sum += from.sum;
    into.count += from.count;
  }
};
struct Incomparable {
  std::int64_t a = 0;
};
}  // namespace state_kinds

namespace {

using namespace state_kinds;
using Visibility = StateTtlConfig::StateVisibility;
using UpdateType = StateTtlConfig::UpdateType;

constexpr TimestampMs kTtl = 100;

/// Every kind of state under one setup, used by a lambda.
class Kinds : public KeyedProcessFunction<std::int64_t, Event, std::string> {
 public:
  using Body = std::function<void(Kinds&, const Event&)>;
  Kinds(const StateTtlConfig& ttl, Body body) : ttl_(ttl), body_(std::move(body)) {}

  void open(OpenContext& context) override {
    value = context.value_state<std::int64_t>("value", ttl_);
    list = context.list_state<std::int64_t>("list", ttl_);
    map = context.map_state<std::string, std::int64_t>("map", ttl_);
    total = context.reducing_state<std::int64_t>("total", std::plus<>(), ttl_);
    mean = context.aggregating_state<std::int64_t>("mean", Mean{}, ttl_);
  }
  void process_element(const Event& event, Context& context,
                       Collector<std::string>& /*out*/) override {
    now = context.timer_service().current_processing_time();
    body_(*this, event);
  }
  void on_timer(TimestampMs, Context&, Collector<std::string>&) override {}

  ValueState<std::int64_t> value;
  ListState<std::int64_t> list;
  MapState<std::string, std::int64_t> map;
  ReducingState<std::int64_t> total;
  AggregatingState<std::int64_t, Mean> mean;
  TimestampMs now = 0;

 private:
  StateTtlConfig ttl_;
  Body body_;
};

const std::shared_ptr<const KeySelector>& by_key() {
  static const std::shared_ptr<const KeySelector> keys =
      std::make_shared<detail::TypedKeySelector<Event, std::int64_t Event::*>>(&Event::key);
  return keys;
}

std::unique_ptr<OperatorHarness> host(const StateTtlConfig& ttl, Kinds::Body body) {
  return std::make_unique<OperatorHarness>(std::make_unique<detail::KeyedProcessOperator<Kinds>>(
      Kinds(ttl, std::move(body)), by_key(), std::vector<std::string>()));
}

void feed(OperatorHarness& harness, const std::vector<Event>& events) {
  std::vector<Emitted<Event>> records;
  for (const Event& event : events) {
    records.push_back({event, 0});
  }
  harness.process(std::move(records), by_key().get());
}

TEST(StateKinds, ReducingAndAggregatingStateFoldWhatIsAdded) {
  auto harness = host({}, [](Kinds& self, const Event& event) {
    if (event.number == 0) {
      EXPECT_EQ(self.total.get(), nullptr);
      EXPECT_EQ(self.mean.get(), std::nullopt);
      return;
    }
    if (event.number < 0) {
      EXPECT_EQ(*self.total.get(), 6);
      EXPECT_EQ(self.mean.get(), 1'006 / 3.0) << "begins with the accumulator that was created";
      self.total.clear();
      self.mean.clear();
      return;
    }
    self.total.add(event.number);
    self.mean.add(event.number);
  });
  harness->open();
  feed(*harness, {{1, 0}, {1, 1}, {2, 50}, {1, 2}, {1, 3}, {1, -1}, {1, 0}});
}

/// Maps of values that cannot be compared are state, too.
class MapOfIncomparable : public KeyedProcessFunction<std::int64_t, Event, std::string> {
 public:
  void open(OpenContext& context) override {
    map_ = context.map_state<std::string, Incomparable>("map");
  }
  void process_element(const Event& event, Context&, Collector<std::string>& out) override {
    out.collect(std::to_string(map_.mutable_value("sum").a += event.number));
  }
  void on_timer(TimestampMs, Context&, Collector<std::string>&) override {}

 private:
  MapState<std::string, Incomparable> map_;
};

TEST(StateKinds, MapsMayHoldWhatCannotBeCompared) {
  OperatorHarness harness(std::make_unique<detail::KeyedProcessOperator<MapOfIncomparable>>(
      MapOfIncomparable(), by_key(), std::vector<std::string>()));
  harness.open();
  feed(harness, {{1, 5}, {1, 6}});
  EXPECT_EQ(harness.out().take<std::string>().back().record, "11");
}

TEST(StateKinds, NegativeTimesToLiveAreRefused) {
  auto harness = host({.ttl = DurationMs(-1)}, [](Kinds&, const Event&) {});
  const Status status = harness->try_open();
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("'value'"), std::string::npos) << status.error().message;
}

/// What is there of one key, with the time of its last access.
struct Expected {
  template <class T>
  struct Timed {
    T value{};
    TimestampMs at = 0;
  };
  std::optional<Timed<std::int64_t>> value;
  std::vector<Timed<std::int64_t>> list;
  std::map<std::string, Timed<std::int64_t>> map;
  std::optional<Timed<std::int64_t>> total;
  std::optional<Timed<std::int64_t>> mean_sum;
};

class TtlModel {
 public:
  explicit TtlModel(const StateTtlConfig& ttl) : ttl_(ttl) {}

  void apply(Kinds& self, const Event& event) {
    now_ = self.now;
    Expected& expected = of_key_[event.key];
    switch (event.number % 10) {
      case 0:
        check_single(self.value.value(), expected.value);
        break;
      case 1:
        self.value.update(event.number);
        expected.value = {event.number, now_};
        break;
      case 2:
        check_single(self.total.get(), expected.total);
        break;
      case 3:
        self.total.add(event.number);
        drop_expired(expected.total);
        expected.total = {(expected.total ? expected.total->value : 0) + event.number, now_};
        break;
      case 4:
        check_list(self, expected);
        break;
      case 5:
        self.list.add(event.number);
        expected.list.push_back({event.number, now_});
        break;
      case 6: {
        const std::string key = "k" + std::to_string(event.number % 7);
        const std::int64_t* found = self.map.get(key);
        const auto entry = expected.map.find(key);
        const bool is_there = entry != expected.map.end() && is_visible(entry->second.at);
        ASSERT_EQ(found != nullptr, is_there);
        if (is_there) {
          ASSERT_EQ(*found, entry->second.value);
          refresh(entry->second.at);
        } else {
          expected.map.erase(key);
        }
        break;
      }
      case 7: {
        const std::string key = "k" + std::to_string(event.number % 7);
        self.map.put(key, event.number);
        expected.map[key] = {event.number, now_};
        break;
      }
      case 8:
        check_map(self, expected);
        break;
      default: {
        self.mean.add(event.number);
        drop_expired(expected.mean_sum);
        expected.mean_sum = {(expected.mean_sum ? expected.mean_sum->value : 1'000) + event.number,
                             now_};
        const auto mean = self.mean.get();
        ASSERT_TRUE(mean.has_value());
        // How often was added is not modelled: the sum is a multiple of the mean.
        const double count = static_cast<double>(expected.mean_sum->value) / *mean;
        ASSERT_NEAR(count, std::round(count), 1e-6);
      }
    }
  }

 private:
  bool is_expired(TimestampMs at) const { return at + kTtl <= now_; }
  bool is_visible(TimestampMs at) const {
    return !is_expired(at) || ttl_.state_visibility == Visibility::kReturnExpiredIfNotCleanedUp;
  }
  void refresh(TimestampMs& at) const {
    at = ttl_.update_type == UpdateType::kOnReadAndWrite ? now_ : at;
  }
  template <class T>
  void drop_expired(std::optional<Expected::Timed<T>>& value) const {
    if (value.has_value() && is_expired(value->at)) {
      value.reset();
    }
  }
  void check_single(const std::int64_t* found,
                    std::optional<Expected::Timed<std::int64_t>>& expected) const {
    const bool is_there = expected.has_value() && is_visible(expected->at);
    ASSERT_EQ(found != nullptr, is_there);
    if (is_there) {
      ASSERT_EQ(*found, expected->value);
      refresh(expected->at);
    } else {
      expected.reset();
    }
  }
  void check_list(Kinds& self, Expected& expected) const {
    std::erase_if(expected.list, [&](const auto& element) { return !is_visible(element.at); });
    std::vector<std::int64_t> values;
    for (auto& element : expected.list) {
      values.push_back(element.value);
      refresh(element.at);
    }
    const auto* found = self.list.get();
    ASSERT_EQ(found == nullptr ? std::vector<std::int64_t>() : *found, values);
  }
  void check_map(Kinds& self, Expected& expected) const {
    std::erase_if(expected.map, [&](const auto& entry) { return !is_visible(entry.second.at); });
    const auto* found = self.map.entries();
    ASSERT_EQ(found == nullptr ? 0 : found->size(), expected.map.size());
    for (auto& [key, timed] : expected.map) {
      ASSERT_EQ(found->at(key), timed.value);
      refresh(timed.at);
    }
  }

  const StateTtlConfig ttl_;
  TimestampMs now_ = 0;
  std::map<std::int64_t, Expected> of_key_;
};

class StateTtlModel : public ::testing::TestWithParam<std::pair<UpdateType, Visibility>> {};

TEST_P(StateTtlModel, IsWhatAModelWithClocksSays) {
  StateTtlConfig ttl{.ttl = DurationMs(kTtl),
                     .update_type = GetParam().first,
                     .state_visibility = GetParam().second};
  // What is returned until it is cleaned up depends on when that happens.
  const bool is_hidden = ttl.state_visibility == Visibility::kNeverReturnExpired;
  ttl.cleanup_incrementally = is_hidden ? 5 : 0;
  ttl.cleanup_in_rocksdb_compact_filter = is_hidden;
  TtlModel model(ttl);
  auto harness = host(ttl, [&](Kinds& self, const Event& event) { model.apply(self, event); });
  harness->open();
  std::mt19937_64 random(7);
  for (TimestampMs now = 1; now < 6'000; now += static_cast<TimestampMs>(random() % 20)) {
    harness->advance_clock_to(now);
    std::vector<Event> events;
    for (std::uint64_t i = random() % 40; i > 0; --i) {
      events.push_back(
          {static_cast<std::int64_t>(random() % 30), static_cast<std::int64_t>(random() % 1'000)});
    }
    if (!events.empty()) {
      feed(*harness, events);
    }
    if (HasFatalFailure()) {
      return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    , StateTtlModel,
    ::testing::Values(
        std::pair(UpdateType::kOnCreateAndWrite, Visibility::kNeverReturnExpired),
        std::pair(UpdateType::kOnReadAndWrite, Visibility::kNeverReturnExpired),
        std::pair(UpdateType::kOnCreateAndWrite, Visibility::kReturnExpiredIfNotCleanedUp),
        std::pair(UpdateType::kOnReadAndWrite, Visibility::kReturnExpiredIfNotCleanedUp)),
    [](const auto& setup) {
      return std::string(setup.param.first == UpdateType::kOnReadAndWrite ? "Reads" : "Writes") +
             (setup.param.second == Visibility::kNeverReturnExpired ? "Hidden" : "Visible");
    });

/// Ten thousand keys, once each.
void fill(OperatorHarness& harness) {
  std::vector<Event> events;
  for (std::int64_t key = 1; key <= 10'000; ++key) {
    events.push_back({key, 1});
  }
  feed(harness, events);
}
void write_everything(Kinds& self, const Event& event) {
  if (event.key == 0) {
    return;
  }
  self.value.update(event.number);
  self.list.add(event.number);
  self.map.put("a", event.number);
  self.total.add(event.number);
  self.mean.add(event.number);
}

TEST(StateTtl, WhatNobodyReadsIsCleanedUpABitWithEveryRecord) {
  auto harness =
      host({.ttl = DurationMs(kTtl), .cleanup_in_rocksdb_compact_filter = false}, write_everything);
  harness->open();
  fill(*harness);
  EXPECT_EQ(harness->entry_count(), 50'000U);
  harness->advance_clock_to(kTtl * 10);
  feed(*harness, std::vector<Event>(1'000));
  const std::uint64_t some = harness->entry_count();
  EXPECT_LT(some, 30'000U);
  EXPECT_GT(some, 20'000U) << "five entries per record and state";
  for (int i = 0; i < 3; ++i) {
    feed(*harness, std::vector<Event>(1'000));
  }
  EXPECT_EQ(harness->entry_count(), 0U);
}

TEST(StateTtl, WithoutCleanUpWhatNobodyReadsStays) {
  auto harness = host({.ttl = DurationMs(kTtl),
                       .cleanup_incrementally = 0,
                       .cleanup_in_rocksdb_compact_filter = false},
                      write_everything);
  harness->open();
  fill(*harness);
  harness->advance_clock_to(kTtl * 10);
  feed(*harness, std::vector<Event>(5'000));
  EXPECT_EQ(harness->entry_count(), 50'000U);
}

TEST(StateTtl, TimesOfLastAccessAreRestored) {
  SnapshotDirectory directory;
  auto before = host({.ttl = DurationMs(kTtl)}, write_everything);
  before->open();
  before->advance_clock_to(1'000);
  feed(*before, {{1, 5}});
  before->advance_clock_to(1'060);
  feed(*before, {{2, 6}});
  const Snapshot snapshot = before->snapshot(directory);

  std::vector<std::int64_t> seen;
  auto after = host({.ttl = DurationMs(kTtl)}, [&](Kinds& self, const Event&) {
    seen.push_back(self.value.value_or(-1));
    seen.push_back(self.list.get() == nullptr ? -1 : self.list.get()->front());
    seen.push_back(self.map.contains("a") ? *self.map.get("a") : -1);
  });
  after->open_from({snapshot});
  after->advance_clock_to(1'120);
  feed(*after, {{1, 0}, {2, 0}});
  EXPECT_EQ(seen, (std::vector<std::int64_t>{-1, -1, -1, 6, 6, 6}));
}

}  // namespace
}  // namespace weir::operators::test
