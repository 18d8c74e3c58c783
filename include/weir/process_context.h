#pragma once

#include <string>
#include <utility>
#include <vector>

#include "weir/batch.h"
#include "weir/check.h"
#include "weir/operator.h"
#include "weir/output_tag.h"
#include "weir/time.h"

namespace weir {

/// What every process function sees besides the record.
class ProcessContext {
 public:
  explicit ProcessContext(OperatorContext& context) : context_(context) {}

  /// Event time of the record, or time of the timer that fires.
  TimestampMs timestamp() const { return timestamp_; }
  /// Event time reached so far: no record with a timestamp <= this is expected any more.
  TimestampMs current_watermark() const { return watermark_; }
  TimestampMs current_processing_time() const { return context_.processing_time(); }
  /// Sends a record to a side output declared by with_side_output().
  template <class T, class U>
  void output(const OutputTag<T>& tag, U&& record) {
    for (SideBatch& side : sides_) {
      if (side.name == tag.name()) {
        add_to_side(side, T(std::forward<U>(record)));
        return;
      }
    }
    WEIR_CHECK_MESSAGE(false,
                       "the side output was not declared with with_side_output(): " + tag.name());
  }

  /// For the runtime.
  void set_timestamp(TimestampMs timestamp) { timestamp_ = timestamp; }
  void set_watermark(TimestampMs watermark) { watermark_ = watermark; }
  void add_side_outputs(const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      sides_.push_back({name, static_cast<int>(sides_.size()), nullptr});
    }
  }
  void flush_side_outputs() {
    for (SideBatch& side : sides_) {
      if (side.batch != nullptr) {
        context_.side_output(side.index).emit(std::move(side.batch));
      }
    }
  }

 private:
  struct SideBatch {
    std::string name;
    int index = 0;
    BatchPtr batch;
  };

  template <class T>
  void add_to_side(SideBatch& side, T record) {
    if (side.batch == nullptr) {
      side.batch = Batch::make<T>();
    }
    WEIR_CHECK_MESSAGE(&side.batch->type() == &type_ops<T>(),
                       "side output used with another record type: " + side.name);
    side.batch->push_back(std::move(record), timestamp_);
    if (side.batch->full()) {
      context_.side_output(side.index).emit(std::move(side.batch));
    }
  }

  OperatorContext& context_;
  TimestampMs timestamp_ = kMinTimestamp;
  TimestampMs watermark_ = kMinTimestamp;
  std::vector<SideBatch> sides_;
};

}  // namespace weir
