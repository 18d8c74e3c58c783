#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "weir/process_function.h"
#include "weir/state_table.h"
#include "weir/state_ttl.h"

namespace weir::state::test {

struct MeanOfNumbers {
  struct Accumulator {
    std::int64_t sum = 0;
    std::int64_t count = 0;
    friend bool operator==(const Accumulator&, const Accumulator&) = default;
  };
  Accumulator create_accumulator() const { return {1'000, 0}; }
  void add(Accumulator& into, const std::int64_t& value) const {
    into.sum += value;
    ++into.count;
  }
  Accumulator get_result(const Accumulator& from) const { return from; }
  void merge(Accumulator& into, const Accumulator& from) const {
    into.sum += from.sum;
    into.count += from.count;
  }
};

/// Every kind of keyed state of one subtask, through the handles that user code has, and moved from
/// batch to batch as an operator does.
template <class K>
class TypedStates {
 public:
  static constexpr std::int64_t kTtlMs = 100;

  TypedStates(KeyedStateBackend& backend, bool has_compact_filter)
      : context_(backend), timers(context_, current_) {
    const StateTtlConfig ttl{.ttl = DurationMs(kTtlMs),
                             .cleanup_incrementally = 3,
                             .cleanup_in_rocksdb_compact_filter = has_compact_filter};
    KeyedOpenContext<K> open(context_, current_, nullptr);
    value = open.template value_state<std::int64_t>("value");
    list = open.template list_state<std::string>("list");
    map = open.template map_state<std::string, std::int64_t>("map");
    total = open.template reducing_state<std::int64_t>("total", std::plus<>());
    mean = open.template aggregating_state<std::int64_t>("mean", MeanOfNumbers());
    brief_value = open.template value_state<std::string>("brief value", ttl);
    brief_list = open.template list_state<std::int64_t>("brief list", ttl);
    brief_map = open.template map_state<std::int64_t, std::string>("brief map", ttl);
    EXPECT_TRUE(open.status().ok()) << (open.status().ok() ? "" : open.status().error().message);
    tables_ = open.tables();
    cleaners_ = open.take_cleaners();
    const Status opened = timers.open(type_ops<K>());
    EXPECT_TRUE(opened.ok()) << (opened.ok() ? "" : opened.error().message);
  }

  /// A batch comes.
  void begin_batch(const KeyColumn& column, std::int64_t now) {
    tell_time(column.count, now);
    for (StateTable* table : tables_) {
      table->prefetch(kNoNamespace, column);
    }
  }
  void tell_time(std::size_t records, std::int64_t now) {
    for (const auto& cleaner : cleaners_) {
      cleaner->on_records(records, now);
    }
  }
  /// `key` outlives what is done with it.
  void set_key(const K& key, std::size_t index = detail::CurrentKey::kNotInColumn) {
    current_ = {&key, key_hash(key), index};
  }

 private:
  /// Of an operator that has keyed state and nothing else.
  class Context final : public OperatorContext {
   public:
    explicit Context(KeyedStateBackend& backend) : backend_(backend) {}
    KeyedStateBackend& keyed_state() override { return backend_; }
    const SubtaskInfo& info() const override { throw no_more(); }
    MetricGroup& metrics() override { throw no_more(); }
    Output& output() override { throw no_more(); }
    Output& side_output(int /*index*/) override { throw no_more(); }
    OperatorStateBackend& operator_state() override { throw no_more(); }
    bool is_restored() const override { throw no_more(); }
    TimestampMs processing_time() const override { return 0; }  // begin_batch() tells

   private:
    static std::logic_error no_more() { return std::logic_error("there is only keyed state"); }
    KeyedStateBackend& backend_;
  };

  Context context_;
  detail::CurrentKey current_;
  std::vector<StateTable*> tables_;
  std::vector<std::unique_ptr<detail::TtlCleaner>> cleaners_;

 public:
  ValueState<std::int64_t> value;
  ListState<std::string> list;
  MapState<std::string, std::int64_t> map;
  ReducingState<std::int64_t> total;
  AggregatingState<std::int64_t, MeanOfNumbers> mean;
  ValueState<std::string> brief_value;
  ListState<std::int64_t> brief_list;
  MapState<std::int64_t, std::string> brief_map;
  TimerService timers;
};

}  // namespace weir::state::test
