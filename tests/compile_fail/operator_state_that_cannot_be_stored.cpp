// EXPECT: weir: operator state holds values that can be stored
#include "pipeline.h"

#include <memory>

#ifdef WEIR_WRONG
using Item = std::unique_ptr<Trade>;
#else
using Item = Trade;
#endif
class Keep : public weir::ProcessFunction<Trade, Trade> {
 public:
  void open(OpenContext& context) override { (void)context.list_state<Item>("kept"); }
  void process_element(const Trade& trade, Context&, weir::Collector<Trade>& out) override {
    out.collect(trade);
  }
};
void pipeline() { (void)trades().process(Keep()); }
