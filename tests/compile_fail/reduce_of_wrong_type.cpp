// EXPECT: weir: reduce() needs a function T(const T&, const T&)
#include "pipeline.h"

void pipeline() {
#ifdef WEIR_WRONG
  (void)trades().key_by(&Trade::symbol).reduce([](const Trade& a) { return a; });
#else
  (void)trades().key_by(&Trade::symbol).reduce([](const Trade& a, const Trade&) { return a; });
#endif
}
