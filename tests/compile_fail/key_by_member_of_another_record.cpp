// EXPECT: weir: key_by() needs a function K(const T&) or a pointer to a member of T
#include "pipeline.h"

struct Other {
  std::string symbol;
};
void pipeline() {
#ifdef WEIR_WRONG
  (void)trades().key_by(&Other::symbol);
#else
  (void)trades().key_by(&Trade::symbol);
#endif
}
