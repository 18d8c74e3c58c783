// EXPECT: weir: process(): the function's key type is not the type of key_by()'s key
#include "pipeline.h"

#ifdef WEIR_WRONG
using Key = std::int64_t;
#else
using Key = std::string;
#endif
class Last : public weir::KeyedProcessFunction<Key, Trade, Trade> {
 public:
  void process_element(const Trade& trade, Context&, weir::Collector<Trade>& out) override {
    out.collect(trade);
  }
};
void pipeline() { (void)trades().key_by(&Trade::symbol).process(Last()); }
