// EXPECT: weir: C arrays cannot be members of records, keys or state
#include "pipeline.h"

#include <array>

struct Histogram {
#ifdef WEIR_WRONG
  int counts[10] = {};
#else
  std::array<int, 10> counts{};
#endif
};
class Last : public weir::KeyedProcessFunction<std::string, Trade, Trade> {
 public:
  void open(OpenContext& context) override { last_ = context.list_state<Histogram>("last"); }
  void process_element(const Trade& trade, Context&, weir::Collector<Trade>& out) override {
    out.collect(trade);
  }

 private:
  weir::ListState<Histogram> last_;
};
void pipeline() { (void)trades().key_by(&Trade::symbol).process(Last()); }
