// Working files of RocksDB that are not what was written.

#include <fstream>

#include "recovery/scenario.h"
#include "weir/rocksdb_options.h"

namespace weir::recovery {
namespace {

class LocalDamageTest : public RecoveryTest {
 protected:
  std::string local() const { return directory_ + "-local"; }
  /// The second quarter of each file is overwritten where it lies.
  static void damage_tables(const std::string& below) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(below)) {
      std::error_code gone;
      const std::uintmax_t size = entry.file_size(gone);
      if (!gone && entry.path().extension() == ".sst") {
        std::fstream file(entry.path(), std::ios::binary | std::ios::in | std::ios::out);
        file.seekp(static_cast<std::streamoff>(size / 4));
        file << std::string(size / 4, 'x');
      }
    }
  }
};

TEST_F(LocalDamageTest, ARestartMakesDamagedWorkingFilesAnew) {
  // More keys than fit into the cache, each of which comes again.
  source_ = {.count = 80'000, .splits = 4, .keys = 40'000, .events_per_checkpoint = 10'000};
  Configuration settings = configuration(2, 3);
  settings.set(options::kStateBackend, StateBackendType::kRocksDb);
  settings.set(options::kRocksDbLocalDir, local());
  settings.set(options::kRocksDbMemory, SizeBytes{1024 * 1024});
  const Bomb damage(50'000, 1, [&] { damage_tables(local()); });
  const auto result = run_counts(settings, damage);
  ASSERT_TRUE(result.ok()) << result.error().message;
  expect_state(result, JobState::kFinished);
  EXPECT_EQ(damage.went_off(), 1);
  EXPECT_GE(result.value().restarts, 1);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

}  // namespace
}  // namespace weir::recovery
