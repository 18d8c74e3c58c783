// EXPECT: weir: flat_map<U>() needs a function void(const T&, Collector<U>&)
#include "pipeline.h"

void pipeline() {
#ifdef WEIR_WRONG
  (void)trades().flat_map<std::string>([](const Trade& trade) { return trade.symbol; });
#else
  (void)trades().flat_map<std::string>(
      [](const Trade& trade, weir::Collector<std::string>& out) { out.collect(trade.symbol); });
#endif
}
