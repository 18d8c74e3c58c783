#ifndef WEIR_TESTS_COMPILE_FAIL_PIPELINE_H
#define WEIR_TESTS_COMPILE_FAIL_PIPELINE_H

#include <chrono>
#include <cstdint>
#include <string>

#include "weir/environment.h"

/// What the snippets have in common.
struct Trade {
  std::string symbol;
  double price = 0;
  std::int64_t quantity = 0;
  std::int64_t time_ms = 0;
};
weir::DataStream<Trade> trades();

struct Volume {
  struct Accumulator {
    std::int64_t sum = 0;
  };
  Accumulator create_accumulator() const { return {}; }
  void add(Accumulator& into, const Trade& trade) const { into.sum += trade.quantity; }
  std::int64_t get_result(const Accumulator& from) const { return from.sum; }
  void merge(Accumulator& into, const Accumulator& from) const { into.sum += from.sum; }
};

#endif
