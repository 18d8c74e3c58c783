// EXPECT: weir: process(): the function's input type is not this stream's record type
#include "pipeline.h"

#ifdef WEIR_WRONG
using Input = std::string;
#else
using Input = Trade;
#endif
class Last : public weir::KeyedProcessFunction<std::string, Input, Input> {
 public:
  void process_element(const Input& record, Context&, weir::Collector<Input>& out) override {
    out.collect(record);
  }
};
void pipeline() { (void)trades().key_by(&Trade::symbol).process(Last()); }
