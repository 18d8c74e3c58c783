// EXPECT: weir: aggregate() needs an AggregateFunction for this stream's record type
#include "pipeline.h"

struct Count {
  using Accumulator = std::int64_t;
  Accumulator create_accumulator() const { return 0; }
  void add(Accumulator& into, const Trade&) const { ++into; }
  std::int64_t get_result(const Accumulator& from) const { return from; }
#ifndef WEIR_WRONG
  void merge(Accumulator& into, const Accumulator& from) const { into += from; }
#endif
};
void pipeline() {
  using std::chrono_literals::operator""s;
  (void)trades()
      .key_by(&Trade::symbol)
      .window(weir::TumblingEventTimeWindows::of(10s))
      .aggregate(Count());
}
