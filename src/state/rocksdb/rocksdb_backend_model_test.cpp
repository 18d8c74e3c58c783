// RocksModel with all kinds of keys and values, and with later versions of the job that take over.

#include <cstdint>
#include <string>
#include <vector>

#include "state/rocksdb/rocks_model.h"

namespace weir::state::test {
namespace {

TEST(RocksDbBackendModel, EightByteKeysWithPlainValues) {
  RocksModel<std::uint64_t, Sum> model(13);
  model.run(2 * kSteps, 20'000, 128);
  EXPECT_GT(model.operations(), 10'000U);
  EXPECT_GT(model.counts().reused, 0);
  EXPECT_GT(model.counts().rescales, 0);
}
TEST(RocksDbBackendModel, AMillionOperations) {
  ModelCounts seen;
  run_operations([&](std::uint64_t seed) {
    RocksModel<std::uint64_t, Sum> model(seed);
    model.run(kSteps, 20'000, 128);
    const std::uint64_t operations = run_later_versions(model, kSteps / 3);
    seen += model.counts();
    return operations;
  });
  EXPECT_GT(seen.versions, 0);
  if (kOperations < 1'000'000) {
    return;  // Under sanitizers there are fewer: some things may not happen.
  }
  EXPECT_GT(seen.crashes, 0);
  EXPECT_GT(seen.abandoned, 0);
  EXPECT_GT(seen.failed, 0);
  EXPECT_GT(seen.overlapped, 0);
}
TEST(RocksDbBackendModel, LaterVersionsOfTheJobTakeOver) {
  RocksModel<std::uint64_t, Sum> model(21);
  model.run(kSteps / 2, 3'000, 128);
  run_later_versions(model, kSteps / 2);
  EXPECT_EQ(model.counts().versions, 2);
}
TEST(RocksDbBackendModel, ALaterVersionOfStringsTakesOver) {
  RocksModel<std::int32_t, std::string> model(22);
  model.run(kSteps / 2, 1'500, 37);
  run_later_versions(model, kSteps / 2);
  EXPECT_EQ(model.counts().versions, 1);
}
TEST(RocksDbBackendModel, FewKeys) {
  RocksModel<std::int32_t, Sum> model(2);
  model.run(kSteps, 300, 128);
}
TEST(RocksDbBackendModel, OddMaxParallelism) {
  RocksModel<std::uint64_t, std::string> model(3);
  model.run(kSteps, 8'000, 37);
}
TEST(RocksDbBackendModel, StringKeysWithLists) {
  RocksModel<std::string, std::vector<std::string>> model(4);
  model.run(kSteps, 10'000, 128);
}
TEST(RocksDbBackendModel, SixteenByteKeys) {
  RocksModel<Point, Sum> model(5);
  model.run(kSteps, 12'000, 16);
}
TEST(RocksDbBackendModel, SixByteKeys) {
  RocksModel<Triple, std::string> model(6);
  model.run(kSteps / 2, 5'000, 8);
}

}  // namespace
}  // namespace weir::state::test
