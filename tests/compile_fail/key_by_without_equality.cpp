// EXPECT: weir: a key must be an integer, enum, string, or a pair or aggregate of these
#include "pipeline.h"

struct Key {
  std::string symbol;
#ifndef WEIR_WRONG
  friend bool operator==(const Key&, const Key&) = default;
#endif
};
void pipeline() {
  (void)trades().key_by([](const Trade& trade) { return Key{trade.symbol}; });
}
