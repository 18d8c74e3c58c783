// EXPECT: weir: aggregate()'s second argument needs to be a function
#include "pipeline.h"

void pipeline() {
  using std::chrono_literals::operator""s;
  const auto windows =
      trades().key_by(&Trade::symbol).window(weir::TumblingEventTimeWindows::of(10s));
#ifdef WEIR_WRONG
  (void)windows.aggregate(Volume(), [](std::int64_t volume) { return volume; });
#else
  (void)windows.aggregate(Volume(), [](const std::string&, const weir::TimeWindow&,
                                       std::int64_t volume) { return volume; });
#endif
}
