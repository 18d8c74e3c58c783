#include "oracle.h"

#include <gtest/gtest.h>

#include "payment.h"

namespace demo {
namespace {

const Row kFinal{'F', 7, 0, 2, 30, 0};
const Row kSale{'W', 7, 10'000, 2, 30, 20};

TEST(DemoOracle, EqualResultsInAnyOrderAreRight) {
  const Comparison result = compare({kFinal, kSale}, {kSale, kFinal});
  EXPECT_EQ(result.lost, 0);
  EXPECT_EQ(result.duplicated, 0);
}

TEST(DemoOracle, AMissingRowIsLostAndASecondOneDuplicated) {
  EXPECT_EQ(compare({kFinal, kSale}, {kSale}).lost, 1);
  EXPECT_EQ(compare({kFinal, kSale}, {kSale}).duplicated, 0);
  EXPECT_EQ(compare({kSale}, {kSale, kSale, kSale}).duplicated, 2);
  EXPECT_EQ(compare({kSale}, {kSale, kSale, kSale}).lost, 0);
}

TEST(DemoOracle, AWrongValueIsBoth) {
  Row wrong = kSale;
  ++wrong.max;
  EXPECT_EQ(compare({kSale}, {wrong}).lost, 1);
  EXPECT_EQ(compare({kSale}, {wrong}).duplicated, 1);
}

TEST(DemoOracle, OnlyWholeLinesAreRows) {
  EXPECT_EQ(parse_row("F,7,2,30"), kFinal);
  EXPECT_EQ(parse_row("W,7,10000,2,30,20"), kSale);
  for (const char* line : {"", "F", "F,7,2", "F,7,2,30,1", "F,7,2,30 ", "W,7,10000,2,30", "X,1,2,3",
                           "W,7,10000,2,30,x"}) {
    EXPECT_FALSE(parse_row(line).has_value()) << line;
  }
}

TEST(DemoOracle, EveryPaymentCountsOnceInTotalsAndWindows) {
  constexpr std::uint64_t kRecords = 200'000;
  std::int64_t paid = 0;
  for (std::uint64_t index = 0; index < kRecords; ++index) {
    paid += make_payment(1, index).amount_cents;
  }
  std::int64_t in_totals = 0;
  std::int64_t in_windows = 0;
  for (const Row& row : recompute(kRecords, 1)) {
    in_totals += row.kind == 'F' ? row.sum : 0;
    in_windows += row.kind == 'W' ? row.sum : 0;
  }
  EXPECT_EQ(in_totals, paid);
  EXPECT_EQ(in_windows, paid);
}

}  // namespace
}  // namespace demo
