// EXPECT: weir: a record, key or state type cannot contain itself
#include "pipeline.h"

#include <map>
#include <vector>

struct Leaf;
struct Branch {
  std::vector<Leaf> leaves;
};
struct Leaf {
  int colour = 0;
#ifdef WEIR_WRONG
  std::map<std::string, Branch> branches;
#endif
};
struct Tree {
  std::string name;
  Branch trunk;
};
void pipeline() {
  (void)trades().map([](const Trade& trade) { return Tree{trade.symbol, {}}; });
}
