// EXPECT: weir: with_timestamp_assigner() needs a function TimestampMs(const T&)
#include "pipeline.h"

void pipeline() {
  using Strategy = weir::WatermarkStrategy<Trade>;
#ifdef WEIR_WRONG
  (void)Strategy::for_monotonous_timestamps().with_timestamp_assigner(&Trade::symbol);
#else
  (void)Strategy::for_monotonous_timestamps().with_timestamp_assigner(&Trade::time_ms);
#endif
}
