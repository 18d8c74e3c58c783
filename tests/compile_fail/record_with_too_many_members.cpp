// EXPECT: weir: a record, key or state type has at most 24 members
#include "pipeline.h"

struct Wide {
  int a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11;
  int b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11;
#ifdef WEIR_WRONG
  int one_too_many;
#endif
};
void pipeline() {
  (void)trades().map([](const Trade&) { return Wide{}; });
}
