#pragma once

#include <chrono>
#include <thread>

#include "event.h"
#include "weir/process_function.h"

namespace crash {

/// Takes a known time per record, in pieces long enough to be slept. Called by sources, so that a
/// barrier never has to wait behind records that are slept over.
inline void pass_time(int delay_us) {
  constexpr int kPieceUs = 2'000;
  thread_local int due_us = 0;
  due_us += delay_us;
  if (due_us >= kPieceUs) {
    std::this_thread::sleep_for(std::chrono::microseconds(due_us));
    due_us = 0;
  }
}

/// Running total per key. Count and sum are this operator's state alone; a result is right only if
/// the state, the input position and the output belong together.
class RunningTotals : public weir::KeyedProcessFunction<std::uint32_t, Event, Total> {
 public:
  void open(OpenContext& context) override { sum_ = context.value_state<Sum>("sum"); }
  void process_element(const Event& event, Context& /*context*/,
                       weir::Collector<Total>& out) override {
    Sum& sum = sum_.mutable_value();
    ++sum.count;
    sum.total += event.value;
    out.collect(Total{event.key, event.sequence, sum.count, sum.total});
  }

 private:
  struct Sum {
    std::int64_t count = 0;
    std::int64_t total = 0;
  };
  weir::ValueState<Sum> sum_;
};

}  // namespace crash
