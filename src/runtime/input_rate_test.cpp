#include "runtime/input_rate.h"

#include <gtest/gtest.h>

#include "runtime/row_budget.h"

namespace weir::runtime {
namespace {

constexpr std::int64_t kMs = 1'000'000;

TEST(InputRate, QueuesSoMuchWorkAsIsDoneInTheTarget) {
  InputRate rate;
  EXPECT_EQ(rate.rows_queued_max(), std::numeric_limits<std::size_t>::max());
  bool has_changed = false;
  for (std::int64_t ms = 1; ms <= 200; ++ms) {
    has_changed |= rate.on_step(ms * kMs, 5, false);  // 5,000 records a second
  }
  EXPECT_TRUE(has_changed);
  EXPECT_NEAR(static_cast<double>(rate.rows_queued_max()), 250, 15);
}

TEST(InputRate, TimeWithoutInputDoesNotMakeItSlow) {
  InputRate rate;
  std::int64_t now_ns = kMs;
  for (int i = 0; i < 1'000; ++i) {
    now_ns += kMs;
    (void)rate.on_step(now_ns, 1'000, false);
    now_ns += 99 * kMs;
    (void)rate.on_step(now_ns, 0, true);
  }
  EXPECT_NEAR(static_cast<double>(rate.rows_queued_max()), 50'000, 5'000);
}

TEST(InputRate, OneIsTheLeast) {
  InputRate rate;
  (void)rate.on_step(1, 0, false);
  (void)rate.on_step(1'000 * kMs, 0, false);
  EXPECT_EQ(rate.rows_queued_max(), 1U);
}

TEST(RowBudget, CutsBatchesOnlyOfSlowOperators) {
  RowBudget budget;
  EXPECT_EQ(budget.rows_max(), std::numeric_limits<std::size_t>::max());
  budget.on_processed(1'000, 500'000);  // 500 ns per record
  EXPECT_EQ(budget.rows_max(), std::numeric_limits<std::size_t>::max());
  budget.on_processed(100, 100 * 200'000);
  EXPECT_EQ(budget.rows_max(), 5U);
  for (int i = 0; i < 200; ++i) {
    budget.on_processed(1'000, 50'000);
  }
  EXPECT_GT(budget.rows_max(), 1'000'000U) << "it recovers";
}

}  // namespace
}  // namespace weir::runtime
