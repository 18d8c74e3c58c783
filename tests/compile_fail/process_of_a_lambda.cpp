// EXPECT: weir: process() needs a class derived from KeyedProcessFunction<K, In, Out>
#include "pipeline.h"

class Last : public weir::KeyedProcessFunction<std::string, Trade, Trade> {
 public:
  void process_element(const Trade& trade, Context&, weir::Collector<Trade>& out) override {
    out.collect(trade);
  }
};
void pipeline() {
#ifdef WEIR_WRONG
  (void)trades().key_by(&Trade::symbol).process([](const Trade& trade) { return trade; });
#else
  (void)trades().key_by(&Trade::symbol).process(Last());
#endif
}
