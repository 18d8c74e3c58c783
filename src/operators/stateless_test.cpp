#include <stdexcept>
#include <string>
#include <vector>

#include "operators/operator_harness.h"
#include "weir/stateless_operators.h"

namespace weir::operators::test {
namespace {

template <class T, class U, class F>
std::unique_ptr<OperatorHarness> map_of(F function) {
  auto harness = std::make_unique<OperatorHarness>(
      std::make_unique<detail::MapOperator<T, U, F>>(std::move(function)));
  harness->open();
  return harness;
}
template <class T, class F>
std::unique_ptr<OperatorHarness> filter_of(F function) {
  auto harness = std::make_unique<OperatorHarness>(
      std::make_unique<detail::FilterOperator<T, F>>(std::move(function)));
  harness->open();
  return harness;
}
template <class T, class U, class F>
std::unique_ptr<OperatorHarness> flat_map_of(F function) {
  auto harness = std::make_unique<OperatorHarness>(
      std::make_unique<detail::FlatMapOperator<T, U, F>>(std::move(function)));
  harness->open();
  return harness;
}

template <class T>
using Rows = std::vector<Emitted<T>>;

std::string text(int number) {
  return "a text too long to be stored inside " + std::to_string(number);
}

Rows<std::string> texts(int count) {
  Rows<std::string> rows;
  for (int i = 0; i < count; ++i) {
    rows.push_back({text(i), i});
  }
  return rows;
}

TEST(Map, GivesOneResultPerRecordWithItsTime) {
  auto harness = map_of<int, std::string>([](int number) { return std::to_string(number * 2); });
  harness->process<int>({{1, 10}, {2, 20}});
  EXPECT_EQ(harness->out().take<std::string>(), (Rows<std::string>{{"2", 10}, {"4", 20}}));
}

TEST(Map, WorksForTriviallyCopyableRecords) {
  auto harness = map_of<int, double>([](int number) { return number / 2.0; });
  harness->process<int>({{1, 10}, {2, 20}});
  EXPECT_EQ(harness->out().take<double>(), (Rows<double>{{0.5, 10}, {1.0, 20}}));
}

TEST(Map, ABatchLargerThanTheDefaultPasses) {
  auto harness = map_of<std::string, std::string>([](const std::string& in) { return in + "!"; });
  harness->process<std::string>(texts(3000));
  const auto results = harness->out().take<std::string>();
  ASSERT_EQ(results.size(), 3000U);
  EXPECT_EQ(results[2999], (Emitted<std::string>{text(2999) + "!", 2999}));
}

TEST(Filter, KeepsWhatTheFunctionSaysInOrder) {
  auto numbers = filter_of<int>([](int number) { return number % 3 == 0; });
  auto strings = filter_of<std::string>([](const std::string& in) { return in.back() == '7'; });
  Rows<int> rows;
  for (int i = 0; i < 10; ++i) {
    rows.push_back({i, i * 10});
  }
  numbers->process<int>(rows);
  EXPECT_EQ(numbers->out().take<int>(), (Rows<int>{{0, 0}, {3, 30}, {6, 60}, {9, 90}}));
  strings->process<std::string>(texts(30));
  EXPECT_EQ(strings->out().take<std::string>(),
            (Rows<std::string>{{text(7), 7}, {text(17), 17}, {text(27), 27}}));
}

TEST(Filter, EmitsNothingWhenNothingIsLeft) {
  auto harness = filter_of<std::string>([](const std::string&) { return false; });
  harness->process<std::string>(texts(10));
  EXPECT_TRUE(harness->out().take<std::string>().empty());
}

TEST(FlatMap, GivesAnyNumberOfResultsWithTheRecordsTime) {
  auto harness = flat_map_of<int, std::string>([](int number, Collector<std::string>& out) {
    for (int i = 0; i < number; ++i) {
      out.collect(text(i));
    }
  });
  harness->process<int>({{2, 10}, {0, 20}, {2500, 30}});
  const auto results = harness->out().take<std::string>();
  ASSERT_EQ(results.size(), 2502U);
  EXPECT_EQ(results[1], (Emitted<std::string>{text(1), 10}));
  EXPECT_EQ(results[2501], (Emitted<std::string>{text(2499), 30}));
}

// Run under the address sanitizer, these also show that nothing leaks or is destroyed twice.
TEST(ThrowingUserFunctions, LeaveOnlyWholeRecordsBehind) {
  const auto throws_at_5 = [](const std::string& in) {
    if (in.back() == '5') {
      throw std::runtime_error("record 5");
    }
    return in + "!";
  };
  const auto batch = [] {
    BatchPtr result = Batch::make<std::string>();
    for (const Emitted<std::string>& row : texts(9)) {
      result->push_back(row.record, row.time);
    }
    return result;
  };
  auto map = map_of<std::string, std::string>(throws_at_5);
  EXPECT_THROW((void)map->op().process_batch(batch(), 0), std::runtime_error);

  auto filter = filter_of<std::string>([&](const std::string& in) {
    (void)throws_at_5(in);
    return in.back() % 2 == 0;
  });
  EXPECT_THROW((void)filter->op().process_batch(batch(), 0), std::runtime_error);

  auto flat_map = flat_map_of<std::string, std::string>(
      [&](const std::string& in, Collector<std::string>& out) { out.collect(throws_at_5(in)); });
  EXPECT_THROW((void)flat_map->op().process_batch(batch(), 0), std::runtime_error);
}

}  // namespace
}  // namespace weir::operators::test
