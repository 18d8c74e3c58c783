// HeapModel with all kinds of keys and values, and with later versions of the job that take over.

#include "state/heap_model.h"

#include <cstdint>
#include <string>
#include <vector>

namespace weir::state::test {
namespace {

TEST(HeapBackendModel, EightByteKeysWithPlainValues) {
  HeapModel<std::uint64_t, Sum> model(1);
  model.run(kSteps, 20'000, 128);
  EXPECT_GT(model.operations(), 10'000U);
  EXPECT_GT(model.counts().rescales, 0);
}
TEST(HeapBackendModel, AMillionOperations) {
  ModelCounts seen;
  run_operations([&](std::uint64_t seed) {
    HeapModel<std::uint64_t, Sum> model(seed, seed % 2 == 0);
    model.run(kSteps, 20'000, 128);
    const std::uint64_t operations = run_later_versions(model, kSteps / 3);
    seen += model.counts();
    return operations;
  });
  EXPECT_GT(seen.versions, 0);
  EXPECT_GT(seen.crashes, 0);
  EXPECT_GT(seen.abandoned, 0);
  EXPECT_GT(seen.failed, 0);
  EXPECT_GT(seen.overlapped, 0);
}
TEST(HeapBackendModel, LaterVersionsOfTheJobTakeChainsOver) {
  HeapModel<std::uint64_t, Sum> model(21, true);
  model.run(kSteps, 3'000, 128);
  run_later_versions(model, kSteps);
  EXPECT_EQ(model.counts().versions, 2);
}
TEST(HeapBackendModel, ALaterVersionOfStringsTakesChainsOver) {
  HeapModel<std::int32_t, std::string> model(22, true);
  model.run(kSteps, 1'500, 37);
  run_later_versions(model, kSteps);
  EXPECT_EQ(model.counts().versions, 1);
}
TEST(HeapBackendModel, FewKeysStayInOneTable) {
  HeapModel<std::int32_t, Sum> model(2);
  model.run(kSteps, 300, 128);
}
TEST(HeapBackendModel, OddMaxParallelism) {
  HeapModel<std::uint64_t, std::string> model(3);
  model.run(kSteps, 8'000, 37);
}
TEST(HeapBackendModel, StringKeysWithLists) {
  HeapModel<std::string, std::vector<std::string>> model(4);
  model.run(kSteps / 2, 10'000, 128);
}
TEST(HeapBackendModel, SixteenByteKeys) {
  HeapModel<Point, Sum> model(5);
  model.run(kSteps, 12'000, 16);
}
TEST(HeapBackendModel, SixByteKeys) {
  HeapModel<Triple, std::string> model(6);
  model.run(kSteps / 2, 5'000, 8);
}

TEST(HeapBackendModel, DeltasOfEightByteKeys) {
  HeapModel<std::uint64_t, Sum> model(11, true);
  constexpr int kEnough = 1'400;  // until a chain loses a file that is not needed
  model.run(kEnough, 20'000, 128);
  EXPECT_GT(model.counts().deltas, kEnough / 100);
  EXPECT_GT(model.counts().left_out, 0);
}
TEST(HeapBackendModel, DeltasOfFewKeysInOneTable) {
  HeapModel<std::int32_t, Sum> model(12, true);
  model.run(2 * kSteps, 300, 128);
}
TEST(HeapBackendModel, DeltasWithAnOddMaxParallelism) {
  HeapModel<std::uint64_t, std::string> model(13, true);
  model.run(2 * kSteps, 8'000, 37);
}
TEST(HeapBackendModel, DeltasOfStringKeysWithLists) {
  HeapModel<std::string, std::vector<std::string>> model(14, true);
  model.run(kSteps, 10'000, 128);
}
TEST(HeapBackendModel, DeltasOfSixByteKeys) {
  HeapModel<Triple, std::string> model(16, true);
  model.run(kSteps, 5'000, 8);
}

}  // namespace
}  // namespace weir::state::test
