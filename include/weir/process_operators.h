#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "weir/collector.h"
#include "weir/process_function.h"

/// The operators behind process() on streams without a key and on connected streams.
namespace weir::detail {

/// Context: what the function sees when it takes a record.
template <class F, class Context = typename F::Context>
class ProcessOperator : public Operator {
 public:
  using In = typename F::InputType;
  using Out = typename F::OutputType;

  ProcessOperator(F function, std::vector<std::string> side_outputs)
      : function_(std::move(function)), side_outputs_(std::move(side_outputs)) {}

  Status open(OperatorContext& context) override {
    operator_state_.emplace(context.operator_state());
    record_context_.emplace(context);
    record_context_->add_side_outputs(side_outputs_);
    collector_.emplace(context.output());
    ProcessOpenContext open_context(context, *operator_state_);
    function_.open(open_context);
    return operator_state_->status();
  }

  Status process_batch(BatchPtr batch, int /*input*/) override {
    const auto records = std::as_const(*batch).template records<In>();
    for (std::size_t i = 0; i < records.size(); ++i) {
      record_context_->set_timestamp(batch->timestamps()[i]);
      collector_->set_timestamp(batch->timestamps()[i]);
      function_.F::process_element(records[i], *record_context_, *collector_);
    }
    flush();
    return {};
  }
  Status process_watermark(TimestampMs watermark) override {
    record_context_->set_watermark(watermark);
    return {};
  }
  Status end_input() override {
    function_.F::finish(*record_context_, *collector_);
    flush();
    return {};
  }
  Status snapshot_state(CheckpointId /*checkpoint*/) override {
    function_.F::snapshot_state();
    operator_state_->snapshot();
    return {};
  }

 protected:
  F& function() { return function_; }
  OperatorStateStore& operator_state() { return *operator_state_; }
  Context& record_context() { return *record_context_; }
  Collector<Out>& collector() { return *collector_; }
  const std::vector<std::string>& side_outputs() const { return side_outputs_; }

 private:
  void flush() {
    collector_->flush();
    record_context_->flush_side_outputs();
  }

  F function_;
  std::vector<std::string> side_outputs_;
  std::optional<OperatorStateStore> operator_state_;
  std::optional<Context> record_context_;
  std::optional<Collector<Out>> collector_;
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
