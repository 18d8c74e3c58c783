#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "weir/collector.h"
#include "weir/process_function.h"

/// The operators behind process() on streams without a key and on connected streams.
namespace weir::detail {

/// What a function of process() works with, with and without keys. Context: what it sees when it
/// takes a record.
template <class F, class Context>
class FunctionOperator : public Operator {
 public:
  using In = typename F::InputType;
  using Out = typename F::OutputType;

  FunctionOperator(F function, std::vector<std::string> side_outputs)
      : function_(std::move(function)), side_outputs_(std::move(side_outputs)) {}

  Status snapshot_state(CheckpointId /*checkpoint*/) override {
    function_.F::snapshot_state();
    operator_state_->snapshot();
    return {};
  }

 protected:
  template <class... OfContext>
  void prepare(OperatorContext& context, OfContext&... of_context) {
    operator_state_.emplace(context.operator_state());
    record_context_.emplace(context, of_context...);
    record_context_->add_side_outputs(side_outputs_);
    collector_.emplace(context.output());
  }
  /// Gives records to the function, record i with timestamps[i]. `before_each(i)` is called before
  /// record i.
  template <class BeforeEach>
  void process(std::span<const In> records, const TimestampMs* timestamps,
               const BeforeEach& before_each) {
    Context& context = *record_context_;
    Collector<Out>& collector = *collector_;
    const In* const first = records.data();
    for (std::size_t i = 0; i < records.size(); ++i) {
      before_each(i);
      context.set_timestamp(timestamps[i]);
      collector.set_timestamp(timestamps[i]);
      function_.F::process_element(first[i], context, collector);
    }
  }
  void flush() {
    collector_->flush();
    record_context_->flush_side_outputs();
  }

  F& function() { return function_; }
  OperatorStateStore& operator_state() { return *operator_state_; }
  Context& record_context() { return *record_context_; }
  Collector<Out>& collector() { return *collector_; }
  const std::vector<std::string>& side_outputs() const { return side_outputs_; }

 private:
  F function_;
  std::vector<std::string> side_outputs_;
  std::optional<OperatorStateStore> operator_state_;
  std::optional<Context> record_context_;
  std::optional<Collector<Out>> collector_;
};

template <class F, class Context = typename F::Context>
class ProcessOperator : public FunctionOperator<F, Context> {
  using Base = FunctionOperator<F, Context>;

 public:
  using Base::Base;

  Status open(OperatorContext& context) override {
    this->prepare(context);
    ProcessOpenContext open_context(context, this->operator_state());
    this->function().open(open_context);
    return this->operator_state().status();
  }
  Status process_batch(BatchPtr batch, int /*input*/) override {
    const Batch& records = *batch;
    this->process(records.records<typename Base::In>(), records.timestamps(), [](std::size_t) {});
    this->flush();
    return {};
  }
  Status process_watermark(TimestampMs watermark) override {
    this->record_context().set_watermark(watermark);
    return {};
  }
  Status end_input() override {
    this->function().F::finish(this->record_context(), this->collector());
    this->flush();
    return {};
  }
};

/// Opens the broadcast states that broadcast() was given.
using BroadcastStateOpener = std::function<void(OperatorStateStore&)>;

/// Base with a second input, of broadcast records.
template <class F, class Base>
class WithBroadcastInput final : public Base {
 public:
  using Broadcast = typename F::BroadcastType;

  template <class... OfBase>
  explicit WithBroadcastInput(std::vector<BroadcastStateOpener> states, OfBase... of_base)
      : Base(std::move(of_base)...), states_(std::move(states)) {}

  Status open(OperatorContext& context) override {
    WEIR_TRY(Base::open(context));
    for (const BroadcastStateOpener& open_state : states_) {
      open_state(this->operator_state());
    }
    this->record_context().set_states(this->operator_state());
    broadcast_context_.emplace(context);
    broadcast_context_->set_states(this->operator_state());
    broadcast_context_->add_side_outputs(this->side_outputs());
    return this->operator_state().status();
  }

  Status process_batch(BatchPtr batch, int input) override {
    if (input == 0) {
      return Base::process_batch(std::move(batch), input);
    }
    const auto records = std::as_const(*batch).template records<Broadcast>();
    broadcast_context_->set_watermark(this->record_context().current_watermark());
    for (std::size_t i = 0; i < records.size(); ++i) {
      broadcast_context_->set_timestamp(batch->timestamps()[i]);
      this->collector().set_timestamp(batch->timestamps()[i]);
      this->function().F::process_broadcast_element(records[i], *broadcast_context_,
                                                    this->collector());
    }
    this->collector().flush();
    broadcast_context_->flush_side_outputs();
    return {};
  }

 private:
  const std::vector<BroadcastStateOpener> states_;
  std::optional<typename F::Context> broadcast_context_;
};

}  // namespace weir::detail
