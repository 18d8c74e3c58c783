// EXPECT: ReadOnlyBroadcastState
#include "pipeline.h"

const weir::MapStateDescriptor<std::string, Trade> kLast("last");

class Check : public weir::KeyedBroadcastProcessFunction<std::string, Trade, Trade, Trade> {
 public:
  void process_element(const Trade& trade, ReadOnlyContext& context,
                       weir::Collector<Trade>&) override {
#ifdef WEIR_WRONG
    context.broadcast_state(kLast).put(trade.symbol, trade);
#else
    (void)context.broadcast_state(kLast).get(trade.symbol);
#endif
  }
  void process_broadcast_element(const Trade& trade, Context& context,
                                 weir::Collector<Trade>&) override {
    context.broadcast_state(kLast).put(trade.symbol, trade);
  }
};
void pipeline() {
  (void)trades().key_by(&Trade::symbol).connect(trades().broadcast(kLast)).process(Check());
}
