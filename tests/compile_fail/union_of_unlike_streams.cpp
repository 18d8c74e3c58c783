// EXPECT: weir: union_with() needs streams of the same record type
#include "pipeline.h"

void pipeline() {
  const auto prices = trades().map([](const Trade& trade) { return trade.price; });
#ifdef WEIR_WRONG
  (void)trades().union_with(prices);
#else
  (void)prices.union_with(prices);
#endif
}
