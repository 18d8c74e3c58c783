#include "runtime/memory_budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "weir/memory_options.h"
#include "weir/rocksdb_options.h"

namespace weir::runtime {
namespace {

constexpr std::int64_t kMiB = 1 << 20;

Configuration of_size(std::int64_t mib) {
  Configuration configuration;
  configuration.set(options::kProcessMemory, SizeBytes{mib * kMiB});
  return configuration;
}

TEST(MemoryPool, CountsWhatIsTakenEvenBeyondTheLimit) {
  MemoryPool pool(100);
  pool.take(60);
  EXPECT_FALSE(pool.is_exhausted());
  pool.take(60);
  EXPECT_TRUE(pool.is_exhausted());
  pool.give_back(100);
  EXPECT_EQ(pool.used(), 20);
  EXPECT_EQ(pool.peak(), 120);
  EXPECT_FALSE(pool.is_exhausted());
}

TEST(MemoryLease, GivesBackOnceHoweverItMoves) {
  MemoryPool pool(100);
  {
    MemoryLease lease(&pool);
    lease.grow(30);
    MemoryLease moved(std::move(lease));
    moved.grow(10);
    MemoryLease other(&pool);
    other.grow(5);
    other = std::move(moved);
    EXPECT_EQ(pool.used(), 40);
  }
  EXPECT_EQ(pool.used(), 0);
  MemoryLease without_pool;
  without_pool.grow(1);
}

TEST(MemorySettings, AreSharesOfTheProcessWithinTheirBounds) {
  const auto settings = memory_settings_of(of_size(2'000));
  ASSERT_TRUE(settings.ok()) << settings.error().message;
  EXPECT_EQ(settings.value().process, 2'000 * kMiB);
  EXPECT_EQ(settings.value().network, 200 * kMiB);
  EXPECT_EQ(settings.value().connectors, 200 * kMiB);
  EXPECT_EQ(settings.value().rocksdb, 0);
  EXPECT_EQ(memory_settings_of(of_size(100)).value().network, 16 * kMiB);
  EXPECT_EQ(memory_settings_of(of_size(50'000)).value().network, 1'024 * kMiB);
}

TEST(MemorySettings, OfAMachineLeaveSomethingToOthers) {
  const auto settings = memory_settings_of(Configuration());
  ASSERT_TRUE(settings.ok()) << settings.error().message;
  EXPECT_GT(settings.value().process, 0);
}

TEST(MemorySettings, PartsThatLeaveNothingForStateAreRefused) {
  Configuration configuration = of_size(600);
  configuration.set(options::kStateBackend, StateBackendType::kRocksDb);
  const auto settings = memory_settings_of(configuration);
  ASSERT_FALSE(settings.ok());
  EXPECT_EQ(settings.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(settings.error().message,
              ::testing::HasSubstr("taskmanager.memory.process.size is 600 MiB"));
  EXPECT_THAT(settings.error().message,
              ::testing::HasSubstr("state.backend.rocksdb.memory.fixed-per-tm 512 MiB"));
  configuration.set(options::kRocksDbMemory, SizeBytes{64 * kMiB});
  EXPECT_TRUE(memory_settings_of(configuration).ok());
}

class MemoryBudgetTest : public ::testing::Test {
 protected:
  Status watch_at(std::int64_t ms) { return budget_.watch(ms * 1'000'000); }

  std::int64_t used_ = 0;
  MemoryBudget budget_{{1'000 * kMiB, 100 * kMiB, 90 * kMiB, 0}, [this] { return used_; }};
};

TEST_F(MemoryBudgetTest, ReadersAndWritersShareTheConnectorsPart) {
  EXPECT_EQ(budget_.connector_share(3), 30 * kMiB);
  EXPECT_EQ(budget_.connector_share(0), 90 * kMiB);
}

TEST_F(MemoryBudgetTest, SourcesWaitNearTheLimitAndGoOnBelowIt) {
  used_ = 900 * kMiB;
  EXPECT_TRUE(watch_at(1'000).ok());
  EXPECT_FALSE(budget_.is_tight());
  used_ = 960 * kMiB;
  EXPECT_TRUE(watch_at(1'010).ok());
  EXPECT_FALSE(budget_.is_tight()) << "not measured again that soon";
  EXPECT_TRUE(watch_at(2'000).ok());
  EXPECT_TRUE(budget_.is_tight());
  used_ = 900 * kMiB;
  EXPECT_TRUE(watch_at(3'000).ok());
  EXPECT_FALSE(budget_.is_tight());
}

TEST_F(MemoryBudgetTest, WhoeverStaysNearTheLimitGivesUp) {
  used_ = 960 * kMiB;
  EXPECT_TRUE(watch_at(1'000).ok());
  EXPECT_TRUE(watch_at(30'000).ok());
  EXPECT_EQ(watch_at(31'001).error().code, ErrorCode::kOutOfMemory);
}

TEST_F(MemoryBudgetTest, PatienceBeginsAnewEachTime) {
  for (std::int64_t ms = 1'000; ms < 100'000; ms += 20'000) {
    used_ = 960 * kMiB;
    EXPECT_TRUE(watch_at(ms).ok());
    used_ = 10 * kMiB;
    EXPECT_TRUE(watch_at(ms + 15'000).ok());
  }
}

TEST_F(MemoryBudgetTest, BeyondTheLimitTheErrorSaysWhatTakesIt) {
  used_ = 1'001 * kMiB;
  budget_.network().take(7 * kMiB);
  const Status status = watch_at(1'000);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kOutOfMemory);
  EXPECT_THAT(status.error().message,
              ::testing::AllOf(::testing::HasSubstr("taskmanager.memory.process.size"),
                               ::testing::HasSubstr("1001 MiB of 1000 MiB"),
                               ::testing::HasSubstr("7 MiB are records between tasks"),
                               ::testing::HasSubstr("state.backend.type rocksdb")));
}

}  // namespace
}  // namespace weir::runtime
