#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "weir/collector.h"
#include "weir/key_selector.h"
#include "weir/process_operators.h"

/// The operators behind KeyedStream::process and KeyedStream::reduce.
namespace weir::detail {

/// Context: what the function sees when it takes a record or a timer.
template <class F, class Context = typename F::Context>
class KeyedProcessOperator : public FunctionOperator<F, Context> {
  using Base = FunctionOperator<F, Context>;

 public:
  using K = typename F::KeyType;

  KeyedProcessOperator(F function, std::shared_ptr<const KeySelector> keys,
                       std::vector<std::string> side_outputs)
      : Base(std::move(function), std::move(side_outputs)),
        keys_(std::move(keys)),
        scratch_(keys_->make_scratch()) {}

  Status open(OperatorContext& context) override {
    context_ = &context;
    timers_.emplace(context, current_);
    WEIR_TRY(timers_->open(type_ops<K>()));
    this->prepare(context, *timers_, current_);
    KeyedOpenContext<K> open_context(context, current_, &this->operator_state());
    this->function().open(open_context);
    tables_ = open_context.tables();
    cleaners_ = open_context.take_cleaners();
    WEIR_TRY(this->operator_state().status());
    return open_context.status();
  }

  void restore_watermarks(const std::vector<TimestampMs>& per_key_group) override {
    // Timers at or before the lowest watermark have fired; the rest of the range follows.
    TimestampMs lowest = kMaxTimestamp;
    for (const TimestampMs watermark : per_key_group) {
      lowest = std::min(lowest, watermark);
    }
    timers_->set_watermark(per_key_group.empty() ? kMinTimestamp : lowest);
  }

  Status process_batch(BatchPtr batch, int /*input*/) override {
    const KeyColumn column = keys_->keys(*batch, *scratch_);
    const auto records = std::as_const(*batch).template records<typename Base::In>();
    clean_up(records.size());
    for (std::size_t begin = 0; begin < records.size(); begin += kBlockRecords) {
      const std::size_t count = std::min(kBlockRecords, records.size() - begin);
      // The loads of a block overlap here; one by one each would be waited for.
      const KeyColumn block = column.part(begin, count);
      for (StateTable* table : tables_) {
        table->prefetch(kNoNamespace, block);
      }
      this->process(records.subspan(begin, count), batch->timestamps() + begin,
                    [this, &block](std::size_t i) {
                      current_ = {block.data + i * block.stride, block.hashes[i], i};
                    });
    }
    end_call();
    return context_->keyed_state().status();
  }

  Status process_watermark(TimestampMs watermark) override {
    if (watermark <= timers_->current_watermark()) {
      return {};  // restored further ahead than the sources are by now
    }
    timers_->set_watermark(watermark);
    event_time_due_ = watermark;
    return fire_due();
  }
  Status process_time(TimestampMs now) override {
    processing_time_due_ = now;
    return fire_due();
  }
  TimestampMs next_processing_time_timer() override {
    return timers_->processing_time().next_timestamp();
  }
  bool is_busy() const override { return is_busy_; }
  Status resume() override { return fire_due(); }

 private:
  /// What is found for so many records is still in the first-level cache when they are processed.
  static constexpr std::size_t kBlockRecords = 256;

  /// Removes a part of what has expired.
  void clean_up(std::size_t records) {
    if (cleaners_.empty()) {
      return;
    }
    const TimestampMs now = context_->processing_time();
    for (const auto& cleaner : cleaners_) {
      cleaner->on_records(records, now);
    }
  }

  Status fire_due() {
    clean_up(0);
    is_busy_ = !fire(timers_->event_time(), event_time_due_) ||
               !fire(timers_->processing_time(), processing_time_due_);
    if (!is_busy_) {
      // A timer registered for a time that is over waits for the next advance of its own clock.
      event_time_due_ = kMinTimestamp;
      processing_time_due_ = kMinTimestamp;
    }
    end_call();
    return context_->keyed_state().status();
  }

  /// False when it stopped early because the output is full.
  bool fire(TimerQueue& queue, TimestampMs due) {
    TimerQueue::Timer timer;
    for (int fired = 0; queue.pop(due, timer); ++fired) {
      // The callback may change the queue, so it gets a key of its own.
      const K key = *static_cast<const K*>(timer.key);
      const TimestampMs time = timer.timestamp;
      current_ = {.key = &key, .hash = timer.hash};
      this->record_context().set_timestamp(time);
      this->collector().set_timestamp(time);
      this->function().F::on_timer(time, this->record_context(), this->collector());
      constexpr int kTimersPerCheck = 256;
      if (fired % kTimersPerCheck == kTimersPerCheck - 1 && context_->output().is_full()) {
        return queue.next_timestamp() > due;
      }
    }
    return true;
  }

  /// After the last record or timer of a call.
  void end_call() {
    current_ = {};  // The key goes with the batch or the timer.
    this->flush();
  }

  std::shared_ptr<const KeySelector> keys_;
  std::unique_ptr<KeySelector::Scratch> scratch_;
  OperatorContext* context_ = nullptr;
  CurrentKey current_;
  std::optional<TimerService> timers_;
  std::vector<StateTable*> tables_;
  std::vector<std::unique_ptr<TtlCleaner>> cleaners_;
  TimestampMs event_time_due_ = kMinTimestamp;
  TimestampMs processing_time_due_ = kMinTimestamp;
  bool is_busy_ = false;
};

/// Rolling reduce: one result per record, the reduction of all records of its key so far.
template <class K, class T, class F>
class ReduceOperator final : public Operator {
 public:
  ReduceOperator(F function, std::shared_ptr<const KeySelector> keys)
      : function_(std::move(function)), keys_(std::move(keys)), scratch_(keys_->make_scratch()) {}

  Status open(OperatorContext& context) override {
    context_ = &context;
    WEIR_ASSIGN(table_, context.keyed_state().open_table(
                            {"reduce", &type_ops<K>(), &type_ops<std::optional<T>>(), nullptr}));
    return {};
  }

  Status process_batch(BatchPtr batch, int /*input*/) override {
    const KeyColumn column = keys_->keys(*batch, *scratch_);
    values_.resize(column.count);
    table_->upsert(kNoNamespace, column, values_.data());
    WEIR_TRY(context_->keyed_state().status());
    const auto records = batch->template records<T>();
    for (std::size_t i = 0; i < records.size(); ++i) {
      auto& value = *static_cast<std::optional<T>*>(values_[i]);
      if (value.has_value()) {
        *value = function_(std::as_const(*value), std::as_const(records[i]));
      } else {
        value = records[i];
      }
      reduced_.push_back(*value);
    }
    // The keys may lie in the records, so these are overwritten only after the loop.
    std::move(reduced_.begin(), reduced_.end(), records.begin());
    reduced_.clear();
    batch->set_keyed(false);
    context_->output().emit(std::move(batch));
    return {};
  }

 private:
  F function_;
  std::shared_ptr<const KeySelector> keys_;
  std::unique_ptr<KeySelector::Scratch> scratch_;
  OperatorContext* context_ = nullptr;
  StateTable* table_ = nullptr;
  std::vector<void*> values_;
  std::vector<T> reduced_;
};

}  // namespace weir::detail
