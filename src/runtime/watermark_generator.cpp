#include <algorithm>

#include "weir/watermark_strategy.h"

namespace weir {
namespace {

class BoundedOutOfOrderness final : public WatermarkGenerator {
 public:
  explicit BoundedOutOfOrderness(DurationMs bound) : bound_(bound.count()) {}
  void on_events(std::span<const TimestampMs> timestamps) override {
    TimestampMs highest = highest_;  // not the member, which the timestamps might overlap
    for (const TimestampMs timestamp : timestamps) {
      highest = std::max(highest, timestamp);
    }
    highest_ = highest;
  }
  TimestampMs current_watermark() override {
    return highest_ < kMinTimestamp + bound_ + 1 ? kMinTimestamp : highest_ - bound_ - 1;
  }

 private:
  const TimestampMs bound_;
  TimestampMs highest_ = kMinTimestamp;
};

}  // namespace

std::unique_ptr<WatermarkGenerator> make_bounded_out_of_orderness_generator(DurationMs bound) {
  return std::make_unique<BoundedOutOfOrderness>(bound);
}

}  // namespace weir
