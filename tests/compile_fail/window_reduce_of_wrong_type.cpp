// EXPECT: weir: reduce() needs a function T(const T&, const T&)
#include "pipeline.h"

void pipeline() {
  using std::chrono_literals::operator""s;
  const auto windows =
      trades().key_by(&Trade::symbol).window(weir::TumblingEventTimeWindows::of(10s));
#ifdef WEIR_WRONG
  (void)windows.reduce([](const Trade& a, const Trade&) { return a.price; });
#else
  (void)windows.reduce([](const Trade& a, const Trade&) { return a; });
#endif
}
