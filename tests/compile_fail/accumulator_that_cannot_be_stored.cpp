// EXPECT: weir: aggregate() needs an AggregateFunction for this stream's record type
#include "pipeline.h"

#include <memory>

struct Count {
  struct Accumulator {
#ifdef WEIR_WRONG
    std::shared_ptr<int> count;
#else
    int count = 0;
#endif
  };
  Accumulator create_accumulator() const { return {}; }
  void add(Accumulator&, const Trade&) const {}
  int get_result(const Accumulator&) const { return 0; }
  void merge(Accumulator&, const Accumulator&) const {}
};
void pipeline() {
  using std::chrono_literals::operator""s;
  (void)trades()
      .key_by(&Trade::symbol)
      .window(weir::TumblingEventTimeWindows::of(10s))
      .aggregate(Count());
}
