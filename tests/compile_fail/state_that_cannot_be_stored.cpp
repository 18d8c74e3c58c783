// EXPECT: weir: state holds values that can be stored
#include "pipeline.h"

#include <memory>

#ifdef WEIR_WRONG
using Value = std::shared_ptr<Trade>;
#else
using Value = Trade;
#endif
class Last : public weir::KeyedProcessFunction<std::string, Trade, Trade> {
 public:
  void open(OpenContext& context) override { last_ = context.value_state<Value>("last"); }
  void process_element(const Trade& trade, Context&, weir::Collector<Trade>& out) override {
    out.collect(trade);
  }

 private:
  weir::ValueState<Value> last_;
};
void pipeline() { (void)trades().key_by(&Trade::symbol).process(Last()); }
