// Payments above the limit of their country. Limits are a stream, too: every subtask keeps the
// latest of each country in broadcast state.

#include <cstdio>
#include <string>
#include <vector>

#include "generator/elements.h"
#include "print/print_sink.h"
#include "weir/environment.h"

struct Payment {
  std::string country;
  int amount = 0;
};

struct Limit {
  std::string country;
  int amount = 0;
};

struct Alert {
  std::string text;
};

const weir::MapStateDescriptor<std::string, Limit> kLimits("limits");

class Check : public weir::BroadcastProcessFunction<Payment, Limit, Alert> {
 public:
  // A payment may come before the limits do: such payments are held back.
  void open(OpenContext& context) override { early_ = context.list_state<Payment>("early"); }

  void process_element(const Payment& payment, ReadOnlyContext& context,
                       weir::Collector<Alert>& out) override {
    const Limit* const limit = context.broadcast_state(kLimits).get(payment.country);
    if (limit == nullptr) {
      early_.add(payment);
    } else {
      check(payment, *limit, out);
    }
  }

  void process_broadcast_element(const Limit& limit, Context& context,
                                 weir::Collector<Alert>& out) override {
    context.broadcast_state(kLimits).put(limit.country, limit);
    std::vector<Payment> still_early;
    for (const Payment& payment : early_.get()) {
      if (payment.country == limit.country) {
        check(payment, limit, out);
      } else {
        still_early.push_back(payment);
      }
    }
    early_.update(std::move(still_early));
  }

 private:
  static void check(const Payment& payment, const Limit& limit, weir::Collector<Alert>& out) {
    if (payment.amount > limit.amount) {
      out.collect(Alert{payment.country + ": " + std::to_string(payment.amount) + " is more than " +
                        std::to_string(limit.amount)});
    }
  }

  weir::OperatorListState<Payment> early_;
};

int main() {
  weir::Environment env;
  const auto limits =
      env.from_source(weir::generator::from_elements<Limit>({{"FR", 100}, {"DE", 50}}),
                      weir::WatermarkStrategy<Limit>::no_watermarks(), "limits");
  env.from_source(weir::generator::from_elements<Payment>(
                      {{"FR", 99}, {"DE", 99}, {"FR", 101}, {"DE", 7}, {"FR", 5}}),
                  weir::WatermarkStrategy<Payment>::no_watermarks(), "payments")
      .connect(limits.broadcast(kLimits))
      .process(Check())
      .sink_to(weir::print::to_stdout<Alert>());

  const auto result = env.execute("limits");
  if (!result.ok()) {
    std::fprintf(stderr, "%s\n", result.error().message.c_str());
    return 1;
  }
}
