// EXPECT: weir: map() needs a function that takes a (const T&) record of this stream
#include "pipeline.h"

void pipeline() {
#ifdef WEIR_WRONG
  (void)trades().map([](const std::string& text) { return text.size(); });
#else
  (void)trades().map([](const Trade& trade) { return trade.symbol.size(); });
#endif
}
