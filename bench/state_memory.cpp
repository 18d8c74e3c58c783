// Memory of keyed state: one entry of 16 bytes (a sum and a count) per key, through the public
// API. Prints one line of JSON.
//   bench_state_memory --keys N [-D key=value ...]

#include <cstdio>
#include <fstream>

#include "arguments.h"
#include "blackhole_sink.h"
#include "generator/source.h"
#include "weir/environment.h"
#include "weir/keyed_stream.h"

namespace weir::bench {
namespace {

/// Resident memory of this process, in bytes.
std::uint64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t size_pages = 0;
  std::uint64_t resident_pages = 0;
  statm >> size_pages >> resident_pages;
  return resident_pages * 4096;
}

struct Total {
  std::uint64_t sum = 0;
  std::uint64_t count = 0;
};

struct Measured {
  std::uint64_t before_bytes = 0;
  std::uint64_t after_bytes = 0;
};
Measured measured;

/// Keeps a total per user. Its first record is the moment before there is state; the record with
/// `cents` == 0 is the last one.
class KeepTotal final : public KeyedProcessFunction<std::uint64_t, Payment, Payment> {
 public:
  void open(OpenContext& context) override { total_ = context.value_state<Total>("total"); }

  void process_element(const Payment& payment, Context& /*context*/,
                       Collector<Payment>& /*out*/) override {
    if (measured.before_bytes == 0) {
      measured.before_bytes = resident_bytes();
    }
    Total& total = total_.mutable_value();
    total.sum += payment.cents;
    ++total.count;
    if (payment.cents == 0) {
      measured.after_bytes = resident_bytes();
    }
  }

 private:
  ValueState<Total> total_;
};

int run(int argc, char** argv) {
  const Arguments arguments(argc, argv);
  const std::uint64_t keys = arguments.number("keys");
  std::vector<std::string> rest;
  Result<Configuration> configuration = Configuration::from_args(argc, argv, &rest);
  if (!configuration.ok()) {
    std::fprintf(stderr, "%s\n", configuration.error().message.c_str());
    return 2;
  }
  BlackholeResult result;
  Environment environment(configuration.value());
  // Each key once, in an order that is none: an odd factor is a bijection of 64-bit numbers.
  auto source = generator::Source<Payment>::from([keys](std::uint64_t index) {
                  return Payment{index * 0xD6E8FEB86659FD93ULL, keys - 1 - index};
                })
                    .with_count(keys)
                    .build();
  environment.from_source(source, WatermarkStrategy<Payment>::no_watermarks(), "payments")
      .key_by(&Payment::user)
      .process(KeepTotal())
      .sink_to(std::make_shared<BlackholeSink<Payment>>(result));
  const Result<JobResult> ended = environment.execute("bench-state-memory");
  if (!ended.ok()) {
    std::fprintf(stderr, "%s\n", ended.error().message.c_str());
    return 1;
  }
  std::printf("{\"keys\": %llu, \"before_bytes\": %llu, \"after_bytes\": %llu}\n",
              static_cast<unsigned long long>(keys),
              static_cast<unsigned long long>(measured.before_bytes),
              static_cast<unsigned long long>(measured.after_bytes));
  return 0;
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) { return weir::bench::run(argc, argv); }
