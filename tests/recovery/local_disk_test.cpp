#include <gmock/gmock.h>

#include "recovery/scenario.h"
#include "state/rocksdb/faulty_working_files.h"

namespace weir::recovery {
namespace {

using ::testing::HasSubstr;

/// A job with its state in RocksDB, on a local disk that fills up.
class LocalDiskTest : public RecoveryTest {
 protected:
  Configuration on_rocksdb(int restarts) const {
    Configuration settings = configuration(2, restarts);
    settings.set(options::kStateBackend, StateBackendType::kRocksDb);
    settings.set(options::kRocksDbLocalDir, directory_ + "-local");
    return settings;
  }
  /// At this event the disk fills up, for so many writes of sorted files.
  Bomb full_disk(std::int64_t at_number, int writes) {
    return {at_number, 1, [this, writes] { disk_.fill("sorted-", writes); }};
  }

  state::test::FaultyWorkingFiles disk_;
};

TEST_F(LocalDiskTest, AFullDiskRestartsTheJobAndNothingIsLost) {
  const auto result = run_counts(on_rocksdb(3), full_disk(300, 1));
  expect_state(result, JobState::kFinished);
  EXPECT_EQ(disk_.refused(), 1);
  EXPECT_EQ(result.value().restarts, 1);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(LocalDiskTest, ADiskThatStaysFullFailsTheJobWhichGoesOnOnceThereIsRoom) {
  const auto failed = run_counts(on_rocksdb(2), full_disk(300, 1'000'000));
  ASSERT_FALSE(failed.ok());
  EXPECT_THAT(failed.error().message, HasSubstr(directory_ + "-local"));
  EXPECT_THAT(failed.error().message, HasSubstr("state.backend.rocksdb.localdir"));
  disk_.make_room();
  expect_state(run_counts(on_rocksdb(0), dud()), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

}  // namespace
}  // namespace weir::recovery
