// EXPECT: weir: map() needs a function that returns a value
#include "pipeline.h"

void pipeline() {
#ifdef WEIR_WRONG
  (void)trades().map([](const Trade&) {});
#else
  (void)trades().map([](const Trade&) { return 1; });
#endif
}
