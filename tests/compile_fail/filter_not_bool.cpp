// EXPECT: weir: filter() needs a function bool(const T&)
#include "pipeline.h"

void pipeline() {
#ifdef WEIR_WRONG
  (void)trades().filter([](const Trade& trade) { return trade.symbol; });
#else
  (void)trades().filter([](const Trade& trade) { return trade.price > 10; });
#endif
}
