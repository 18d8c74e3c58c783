#pragma once

#include <concepts>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "weir/collector.h"
#include "weir/keyed_state.h"
#include "weir/operator.h"
#include "weir/operator_state.h"
#include "weir/process_context.h"

namespace weir {

/// Offered to KeyedProcessFunction::open: declares state and side outputs.
template <class K>
class KeyedOpenContext {
 public:
  /// `operator_state`: null where only keyed state can be declared.
  KeyedOpenContext(OperatorContext& context, const detail::CurrentKey& current,
                   OperatorStateStore* operator_state)
      : context_(context), current_(current), operator_state_(operator_state) {}

  template <class T>
  ValueState<T> value_state(const std::string& name, const StateTtlConfig& ttl = {}) {
    check_storable<T>();
    return open_handle<ValueState<T>, T, detail::Expiring<T>>(name, ttl);
  }
  template <class T>
  ListState<T> list_state(const std::string& name, const StateTtlConfig& ttl = {}) {
    check_storable<T>();
    return open_handle<ListState<T>, std::vector<T>, std::vector<detail::Expiring<T>>>(name, ttl);
  }
  template <class UK, class UV>
  MapState<UK, UV> map_state(const std::string& name, const StateTtlConfig& ttl = {}) {
    check_storable<UV>();
    static_assert(Key<UK>, "weir: the keys of map_state() must be what key_by() takes as a key");
    using State = MapState<UK, UV>;
    if (!has_ttl(name, ttl)) {
      MapTable* const table = open_map<UK, UV, typename State::Map>(name, {});
      return table != nullptr ? State(table, &current_)
                              : State(open_table<typename State::Map>(name), &current_);
    }
    using Entry = detail::Expiring<UV>;
    MapTable* const table = open_map<UK, Entry, typename State::ExpiringMap>(
        name, detail::expiry_in_backend<Entry>(ttl));
    if (table == nullptr) {
      return open_handle<State, typename State::Map, typename State::ExpiringMap>(name, ttl);
    }
    auto rule = std::make_shared<detail::TtlRule>(ttl, context_.processing_time());
    cleaners_.push_back(std::make_unique<detail::MapTtlCleaner<Entry>>(*table, rule));
    return State(table, &current_, std::move(rule));
  }
  /// `reduce`: T(const T&, const T&).
  template <class T, class F>
  ReducingState<T> reducing_state(const std::string& name, F reduce,
                                  const StateTtlConfig& ttl = {}) {
    check_storable<T>();
    static_assert(std::is_invocable_r_v<T, const F&, const T&, const T&>,
                  "weir: reducing_state() takes a function T(const T&, const T&)");
    return {open_handle<detail::SingleValueHandle<T>, T, detail::Expiring<T>>(name, ttl),
            std::move(reduce)};
  }
  template <class In, class A>
  AggregatingState<In, A> aggregating_state(const std::string& name, A function,
                                            const StateTtlConfig& ttl = {}) {
    using Accumulator = typename A::Accumulator;
    check_storable<Accumulator>();
    using Handle = detail::SingleValueHandle<Accumulator>;
    return {open_handle<Handle, Accumulator, detail::Expiring<Accumulator>>(name, ttl),
            std::move(function)};
  }
  /// State of this subtask as a whole, not of a key.
  OperatorStateStore& operator_state() {
    WEIR_CHECK_MESSAGE(operator_state_ != nullptr, "operator state cannot be edited");
    return *operator_state_;
  }
  const SubtaskInfo& subtask() const { return context_.info(); }
  MetricGroup& metrics() { return context_.metrics(); }
  /// True when the job starts from a checkpoint or savepoint.
  bool is_restored() const { return context_.is_restored(); }
  /// First failure of a declaration.
  const Status& status() const { return status_; }
  /// For the runtime: the tables behind the declared states.
  const std::vector<StateTable*>& tables() const { return tables_; }
  /// For whoever has no runtime: from now on, what lives for a time is judged and stamped by the
  /// processing time of this call. REQUIRES: nobody took the cleaners.
  void update_time() {
    if (!cleaners_.empty()) {
      const TimestampMs now = context_.processing_time();
      for (const auto& cleaner : cleaners_) {
        cleaner->on_records(0, now);
      }
    }
  }
  /// For the runtime: what removes expired values, one per state that has a time to live.
  std::vector<std::unique_ptr<detail::TtlCleaner>> take_cleaners() { return std::move(cleaners_); }

 private:
  template <class T>
  static constexpr void check_storable() {
    static_assert(Encodable<T> && std::is_default_constructible_v<T>,
                  "weir: state holds values that can be stored: numbers, enums, strings, standard "
                  "containers, and structs of these without bases; or a default-constructible type "
                  "with a weir::Codec");
  }

  bool has_ttl(const std::string& name, const StateTtlConfig& ttl) {
    if (ttl.ttl.count() < 0 || ttl.cleanup_incrementally < 0 ||
        ttl.rocksdb_periodic_compaction.count() < 0) {
      fail({ErrorCode::kInvalidArgument,
            "state '" + name + "': StateTtlConfig takes no negative numbers"});
    }
    return ttl.ttl.count() > 0;
  }

  /// Plain: what is stored without a time to live; Expiring: with one.
  template <class Handle, class Plain, class Expiring>
  Handle open_handle(const std::string& name, const StateTtlConfig& ttl) {
    if (!has_ttl(name, ttl)) {
      return Handle(open_table<Plain>(name), &current_);
    }
    StateTable* const table = open_table<Expiring>(name, detail::expiry_in_backend<Expiring>(ttl));
    auto rule = std::make_shared<detail::TtlRule>(ttl, context_.processing_time());
    if (table != nullptr) {
      cleaners_.push_back(std::make_unique<detail::TableTtlCleaner<K, Expiring>>(*table, rule));
    }
    return Handle(table, &current_, std::move(rule));
  }

  void fail(Error error) { status_ = status_.ok() ? Status(std::move(error)) : status_; }

  template <class V>
  StateTable* open_table(const std::string& name, ValueExpiry expiry = {}) {
    Result<StateTable*> table = context_.keyed_state().open_table(
        {name, &type_ops<K>(), &type_ops<V>(), nullptr, std::move(expiry)});
    if (!table.ok()) {
      fail(table.error());
      return nullptr;
    }
    tables_.push_back(table.value());
    return table.value();
  }

  /// Null: the backend keeps each key's map as one value.
  template <class UK, class Stored, class Map>
  MapTable* open_map(const std::string& name, ValueExpiry expiry) {
    Result<MapTable*> table =
        context_.keyed_state().open_map({name, &type_ops<K>(), &type_ops<Map>(), nullptr, {}},
                                        {&type_ops<UK>(), &type_ops<Stored>(), std::move(expiry)});
    if (!table.ok()) {
      fail(table.error());
      return nullptr;
    }
    return table.value();
  }

  OperatorContext& context_;
  const detail::CurrentKey& current_;
  OperatorStateStore* operator_state_;
  std::vector<StateTable*> tables_;
  std::vector<std::unique_ptr<detail::TtlCleaner>> cleaners_;
  Status status_;
};

/// Event- and processing-time timers of the current key. Registering one twice fires it once.
class TimerService {
 public:
  TimerService(OperatorContext& context, const detail::CurrentKey& current)
      : context_(context), current_(current) {}

  /// Event time reached so far: no record with a timestamp <= this is expected any more.
  TimestampMs current_watermark() const { return watermark_; }
  TimestampMs current_processing_time() const { return context_.processing_time(); }
  void register_event_time_timer(TimestampMs time) {
    event_time_->add(time, kNoNamespace, current_.key, current_.hash);
  }
  void delete_event_time_timer(TimestampMs time) {
    event_time_->remove(time, kNoNamespace, current_.key, current_.hash);
  }
  void register_processing_time_timer(TimestampMs time) {
    processing_time_->add(time, kNoNamespace, current_.key, current_.hash);
  }
  void delete_processing_time_timer(TimestampMs time) {
    processing_time_->remove(time, kNoNamespace, current_.key, current_.hash);
  }

  /// For the runtime.
  Status open(const TypeOps& key) {
    WEIR_ASSIGN(event_time_, context_.keyed_state().open_timers("event-time-timers", key));
    WEIR_ASSIGN(processing_time_,
                context_.keyed_state().open_timers("processing-time-timers", key));
    return {};
  }
  TimerQueue& event_time() { return *event_time_; }
  TimerQueue& processing_time() { return *processing_time_; }
  void set_watermark(TimestampMs watermark) { watermark_ = watermark; }

 private:
  OperatorContext& context_;
  const detail::CurrentKey& current_;
  TimerQueue* event_time_ = nullptr;
  TimerQueue* processing_time_ = nullptr;
  TimestampMs watermark_ = kMinTimestamp;
};

/// What a keyed process function sees besides the record.
template <class K>
class KeyedContext : public ProcessContext {
 public:
  KeyedContext(OperatorContext& context, TimerService& timers, const detail::CurrentKey& current)
      : ProcessContext(context), timers_(timers), current_(current) {}

  const K& current_key() const { return *static_cast<const K*>(current_.key); }
  TimestampMs current_watermark() const { return timers_.current_watermark(); }
  TimerService& timer_service() { return timers_; }

 private:
  TimerService& timers_;
  const detail::CurrentKey& current_;
};

/// Flink's KeyedProcessFunction: sees each record of a keyed stream with the state and timers of
/// its key. Every subtask works on its own copy of the object, so members set in open() are safe.
template <class K, class In, class Out>
class KeyedProcessFunction {
 public:
  using KeyType = K;
  using InputType = In;
  using OutputType = Out;
  using OpenContext = KeyedOpenContext<K>;
  using Context = KeyedContext<K>;

  virtual ~KeyedProcessFunction() = default;
  virtual void open(OpenContext& /*context*/) {}
  virtual void process_element(const In& record, Context& context, Collector<Out>& out) = 0;
  /// Called for every timer, in time order; context.timestamp() is the timer's time.
  virtual void on_timer(TimestampMs /*time*/, Context& /*context*/, Collector<Out>& /*out*/) {}
  /// A checkpoint is about to store the operator state: the last chance to bring it up to date.
  virtual void snapshot_state() {}
};

/// Offered to the open() of process functions on streams without a key: declares operator state.
class ProcessOpenContext {
 public:
  ProcessOpenContext(OperatorContext& context, OperatorStateStore& states)
      : context_(context), states_(states) {}

  /// A list whose items are dealt out when the parallelism changes.
  template <class T>
  OperatorListState<T> list_state(const std::string& name) {
    return states_.list_state<T>(name);
  }
  /// A list of which every subtask gets all items of all subtasks back.
  template <class T>
  OperatorListState<T> union_list_state(const std::string& name) {
    return states_.union_list_state<T>(name);
  }
  const SubtaskInfo& subtask() const { return context_.info(); }
  MetricGroup& metrics() { return context_.metrics(); }
  /// True when the job starts from a checkpoint or savepoint.
  bool is_restored() const { return context_.is_restored(); }

 private:
  OperatorContext& context_;
  OperatorStateStore& states_;
};

/// Flink's ProcessFunction with what CheckpointedFunction adds: sees each record of a stream, with
/// operator state. Every subtask works on its own copy of the object, so members set in open() are
/// safe.
template <class In, class Out>
class ProcessFunction {
 public:
  using InputType = In;
  using OutputType = Out;
  using OpenContext = ProcessOpenContext;
  using Context = ProcessContext;

  virtual ~ProcessFunction() = default;
  virtual void open(OpenContext& /*context*/) {}
  virtual void process_element(const In& record, Context& context, Collector<Out>& out) = 0;
  /// A checkpoint is about to store the operator state: the last chance to bring it up to date.
  virtual void snapshot_state() {}
  /// No record follows. What was held back leaves now; lists should be cleared of it.
  virtual void finish(Context& /*context*/, Collector<Out>& /*out*/) {}
};

}  // namespace weir
