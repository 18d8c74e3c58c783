#pragma once

#include <utility>

#include "weir/batch.h"
#include "weir/operator.h"
#include "weir/time.h"

namespace weir {

/// Takes the results of a user function. Results are batched; each carries the event time of the
/// record (or timer) that caused it unless another one is given.
template <class T>
class Collector {
 public:
  explicit Collector(Output& output) : output_(output) {}

  template <class U>
  void collect(U&& result) {
    collect_with_timestamp(std::forward<U>(result), timestamp_);
  }
  template <class U>
  void collect_with_timestamp(U&& result, TimestampMs timestamp) {
    if (batch_ == nullptr) {
      batch_ = Batch::make<T>();
    } else if (batch_->full()) {
      output_.emit(std::exchange(batch_, Batch::make<T>()));
    }
    batch_->push_back(T(std::forward<U>(result)), timestamp);
  }

  /// For the runtime: the time that collect() gives to results.
  void set_timestamp(TimestampMs timestamp) { timestamp_ = timestamp; }
  /// For the runtime: sends what was collected.
  void flush() {
    if (batch_ != nullptr && !batch_->empty()) {
      output_.emit(std::move(batch_));
    }
    batch_.reset();
  }

 private:
  Output& output_;
  BatchPtr batch_;
  TimestampMs timestamp_ = kMinTimestamp;
};

}  // namespace weir
