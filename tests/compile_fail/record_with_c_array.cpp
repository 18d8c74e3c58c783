// EXPECT: weir: C arrays cannot be members of records, keys or state
#include "pipeline.h"

#include <array>

struct Quote {
  std::int64_t time_ms = 0;
#ifdef WEIR_WRONG
  char symbol[8] = {};
#else
  std::array<char, 8> symbol{};
#endif
};
void pipeline() {
  (void)trades().map([](const Trade& trade) { return Quote{trade.time_ms, {}}; });
}
