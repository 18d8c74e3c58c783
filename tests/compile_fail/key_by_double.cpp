// EXPECT: weir: a key must be an integer, enum, string, or a pair or aggregate of these
#include "pipeline.h"

void pipeline() {
#ifdef WEIR_WRONG
  (void)trades().key_by(&Trade::price);
#else
  (void)trades().key_by(&Trade::symbol);
#endif
}
