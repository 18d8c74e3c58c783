// EXPECT: weir: process(): the function's broadcast type is not the broadcast stream's record type
#include "pipeline.h"

struct Limit {
  std::string symbol;
  double price = 0;
};
const weir::MapStateDescriptor<std::string, Limit> kLimits("limits");
weir::DataStream<Limit> limits();

#ifdef WEIR_WRONG
using Broadcast = Trade;
#else
using Broadcast = Limit;
#endif
class Check : public weir::BroadcastProcessFunction<Trade, Broadcast, Trade> {
 public:
  void process_element(const Trade& trade, ReadOnlyContext&, weir::Collector<Trade>& out) override {
    out.collect(trade);
  }
  void process_broadcast_element(const Broadcast&, Context&, weir::Collector<Trade>&) override {}
};
void pipeline() { (void)trades().connect(limits().broadcast(kLimits)).process(Check()); }
