#include "weir/process_operators.h"

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/operator_harness.h"
#include "weir/broadcast_process_function.h"

namespace weir::operators::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Numbers = std::vector<Emitted<std::int64_t>>;

const OutputTag<std::string> kOdd("odd");

/// Passes even numbers, tells odd ones aside, and their sum at the end.
class Sieve : public ProcessFunction<std::int64_t, std::int64_t> {
 public:
  explicit Sieve(std::vector<std::string> lists = {"odd"}) : lists_(std::move(lists)) {}
  void open(OpenContext& context) override {
    for (const std::string& name : lists_) {
      odd_ = context.list_state<std::int64_t>(name);
    }
  }
  void process_element(const std::int64_t& number, Context& context,
                       Collector<std::int64_t>& out) override {
    if (number % 2 == 0) {
      out.collect(number);
      return;
    }
    odd_.add(number);
    context.output(kOdd,
                   std::to_string(number) + " at " + std::to_string(context.current_watermark()));
  }
  void finish(Context&, Collector<std::int64_t>& out) override {
    std::int64_t sum = 0;
    for (const std::int64_t number : odd_.get()) {
      sum += number;
    }
    out.collect_with_timestamp(sum, 100);
  }

 private:
  std::vector<std::string> lists_;
  OperatorListState<std::int64_t> odd_;
};

std::unique_ptr<Operator> sieve(Sieve function = Sieve()) {
  return std::make_unique<detail::ProcessOperator<Sieve>>(std::move(function),
                                                          std::vector<std::string>{"odd"});
}

TEST(ProcessOperator, EmitsToTheSideAndWhenTheInputEnds) {
  OperatorHarness harness(sieve());
  harness.open();
  harness.watermark(5);
  harness.process(Numbers{{1, 10}, {2, 20}, {3, 30}});
  EXPECT_THAT(harness.out().take<std::int64_t>(), ElementsAre(Emitted<std::int64_t>{2, 20}));
  EXPECT_THAT(harness.side(0).take<std::string>(),
              ElementsAre(Emitted<std::string>{"1 at 5", 10}, Emitted<std::string>{"3 at 5", 30}));
  ASSERT_TRUE(harness.op().end_input().ok());
  EXPECT_THAT(harness.out().take<std::int64_t>(), ElementsAre(Emitted<std::int64_t>{4, 100}));
}

TEST(ProcessOperator, TwoStatesOfOneNameAreRefused) {
  OperatorHarness harness(sieve(Sieve({"twice", "twice"})));
  const Status opened = harness.try_open();
  ASSERT_FALSE(opened.ok());
  EXPECT_THAT(opened.error().message, HasSubstr("operator state 'twice' is declared twice"));
}

const MapStateDescriptor<std::string, std::int64_t> kKnown("known");
const MapStateDescriptor<std::string, std::int64_t> kUnknown("unknown");

class Ask : public BroadcastProcessFunction<std::int64_t, std::string, std::int64_t> {
 public:
  void process_element(const std::int64_t& number, ReadOnlyContext& context,
                       Collector<std::int64_t>& out) override {
    const std::int64_t* const found =
        context.broadcast_state(number == 0 ? kUnknown : kKnown).get("length");
    out.collect(found == nullptr ? -1 : *found);
  }
  void process_broadcast_element(const std::string& text, Context& context,
                                 Collector<std::int64_t>& out) override {
    context.broadcast_state(kKnown).put("length", static_cast<std::int64_t>(text.size()));
    out.collect(context.timestamp());
  }
};

TEST(BroadcastOperator, RecordsSeeWhatWasBroadcastAndOnlyStatesThatWereDeclared) {
  using Base = detail::ProcessOperator<Ask, Ask::ReadOnlyContext>;
  const std::vector<detail::BroadcastStateOpener> states{[](OperatorStateStore& store) {
    store.open_broadcast_state<std::string, std::int64_t>(kKnown.name());
  }};
  OperatorHarness harness(std::make_unique<detail::WithBroadcastInput<Ask, Base>>(
      states, Ask(), std::vector<std::string>()));
  harness.open();
  harness.process(Numbers{{1, 10}});
  BatchPtr batch = Batch::make<std::string>();
  batch->push_back(std::string("four"), 15);
  ASSERT_TRUE(harness.op().process_batch(std::move(batch), 1).ok());
  harness.process(Numbers{{1, 20}});
  EXPECT_THAT(harness.out().take<std::int64_t>(),
              ElementsAre(Emitted<std::int64_t>{-1, 10}, Emitted<std::int64_t>{15, 15},
                          Emitted<std::int64_t>{4, 20}));
  EXPECT_THROW(harness.process(Numbers{{0, 30}}), std::invalid_argument);
}

}  // namespace
}  // namespace weir::operators::test
