// EXPECT: weir: the keys of map_state() must be what key_by() takes as a key
#include "pipeline.h"

#ifdef WEIR_WRONG
using MapKey = double;
#else
using MapKey = std::string;
#endif
class Last : public weir::KeyedProcessFunction<std::string, Trade, Trade> {
 public:
  void open(OpenContext& context) override {
    map_ = context.map_state<MapKey, std::int64_t>("map");
  }
  void process_element(const Trade& trade, Context&, weir::Collector<Trade>& out) override {
    out.collect(trade);
  }

 private:
  weir::MapState<MapKey, std::int64_t> map_;
};
void pipeline() { (void)trades().key_by(&Trade::symbol).process(Last()); }
