// EXPECT: weir: process() without key_by() needs a class derived from ProcessFunction<In, Out>
#include "pipeline.h"

#ifdef WEIR_WRONG
using Base = weir::KeyedProcessFunction<std::string, Trade, Trade>;
#else
using Base = weir::ProcessFunction<Trade, Trade>;
#endif
class Pass : public Base {
 public:
  void process_element(const Trade& trade, Context&, weir::Collector<Trade>& out) override {
    out.collect(trade);
  }
};
void pipeline() { (void)trades().process(Pass()); }
