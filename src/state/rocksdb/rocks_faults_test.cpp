// What becomes of state when the disk below RocksDB is full or damaged.

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "state/rocksdb/faulty_working_files.h"
#include "state/rocksdb/rocksdb_backend.h"
#include "state/test_support.h"

namespace weir::state::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::int64_t kKeys = 2'000;

class RocksFaults : public ::testing::Test {
 protected:
  using Files = std::vector<RocksDbFile>;
  struct Subtask {
    std::unique_ptr<RocksDbBackend> backend;
    StateTable* sums = nullptr;
  };

  std::unique_ptr<RocksDbBackend> make() {
    RocksDbSettings settings;
    settings.local_directory = directory_.file("local");
    // Too little for the values: they are read from RocksDB, and for its blocks.
    settings.memory_bytes = std::size_t{1} << 20;
    settings.write_buffer_ratio = 0.05;
    auto backend = std::make_unique<RocksDbBackend>(
        RocksDbBackend::Options{"test", 128, {0, 127}, settings, executor_.runner()});
    EXPECT_TRUE(backend->open().ok());
    return backend;
  }
  Subtask start() {
    Subtask subtask{make(), nullptr};
    subtask.sums =
        value_or_fail(subtask.backend->open_table(describe<std::int64_t, std::int64_t>("sums")));
    return subtask;
  }
  Result<Subtask> restore(const Files& files) {
    Subtask subtask{make(), nullptr};
    std::vector<RocksDbBackend::RestoreFrom> from;
    for (const RocksDbFile& file : files) {
      from.push_back({file.name, file});
    }
    WEIR_TRY(subtask.backend->restore(local_file_system(), from));
    WEIR_ASSIGN(subtask.sums,
                subtask.backend->open_table(describe<std::int64_t, std::int64_t>("sums")));
    return subtask;
  }
  Result<Files> snapshot(const Subtask& subtask) {
    std::optional<Result<Files>> result;
    RocksDbBackend::SnapshotOptions options;
    options.checkpoint = ++checkpoint_;
    options.files = &local_file_system();
    options.new_file = [this](std::string_view hint) {
      std::string path =
          directory_.file("f" + std::to_string(next_file_++) + "-" + std::string(hint));
      return RocksDbBackend::NewFile{path, path};
    };
    options.on_done = [&](Result<Files> files) { result.emplace(std::move(files)); };
    subtask.backend->start_snapshot(std::move(options));
    while (subtask.backend->copy_slice() != RocksDbBackend::CopyProgress::kDone) {
    }
    executor_.run_all();
    EXPECT_TRUE(result.has_value());
    return std::move(*result);
  }
  static void put_all(const Subtask& subtask, std::int64_t factor) {
    for (std::int64_t key = 0; key < kKeys; ++key) {
      put<std::int64_t, std::int64_t>(*subtask.sums, kNoNamespace, key, factor * key);
    }
  }
  static void expect_all(const Subtask& subtask, std::int64_t factor) {
    for (std::int64_t key = 0; key < kKeys; ++key) {
      const void* const value = subtask.sums->find(kNoNamespace, &key, key_hash(key));
      ASSERT_NE(value, nullptr) << key;
      ASSERT_EQ(*static_cast<const std::int64_t*>(value), factor * key);
    }
  }
  static std::string of_process(const Subtask& subtask) {
    return std::filesystem::path(subtask.backend->local_path()).parent_path().string();
  }
  /// Nothing goes on with what may be wrong.
  static void expect_failed(const Subtask& subtask, ErrorCode code) {
    const Status status = subtask.backend->status();
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, code) << status.error().message;
    EXPECT_THAT(status.error().message,
                AllOf(HasSubstr("operator test"), HasSubstr(of_process(subtask)),
                      HasSubstr("state.backend.rocksdb.localdir")));
    const std::int64_t key = kKeys + 1;
    EXPECT_THROW(subtask.sums->find_or_create(kNoNamespace, &key, key_hash(key)),
                 std::runtime_error);
  }
  /// Puts other bytes into the middle of each of RocksDB's tables.
  static void damage(const RocksDbBackend& backend) {
    int damaged = 0;
    for (const auto& entry : std::filesystem::directory_iterator(backend.local_path())) {
      if (entry.path().extension() == ".sst") {
        std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(static_cast<std::streamoff>(entry.file_size() / 3));
        file << "these are not the bytes that were here";
        ++damaged;
      }
    }
    EXPECT_GT(damaged, 0);
  }

  TemporaryDirectory directory_;
  ManualExecutor executor_;
  FaultyWorkingFiles disk_;
  CheckpointId checkpoint_ = 0;
  int next_file_ = 0;
};

TEST_F(RocksFaults, AFullDiskIsOneErrorAndTheLastCheckpointIsStillThere) {
  Subtask subtask = start();
  put_all(subtask, 1);
  const Files files = value_or_fail(snapshot(subtask));
  put_all(subtask, 2);
  disk_.fill("");
  const auto failed = snapshot(subtask);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code, ErrorCode::kNoSpace) << failed.error().message;
  expect_failed(subtask, ErrorCode::kNoSpace);
  subtask = {};
  // The job restarts, and there is still no room.
  const auto refused = restore(files);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kNoSpace) << refused.error().message;
  EXPECT_THAT(refused.error().message,
              AllOf(HasSubstr(directory_.file("local")), HasSubstr("localdir")));
  disk_.make_room();
  const Subtask again = value_or_fail(restore(files));
  expect_all(again, 1);
  put_all(again, 3);
  expect_all(value_or_fail(restore(value_or_fail(snapshot(again)))), 3);
}

TEST_F(RocksFaults, AnAbandonedSnapshotStoresNothingMore) {
  const Subtask subtask = start();
  put_all(subtask, 1);
  std::vector<std::string> paths;
  std::optional<Result<Files>> result;
  RocksDbBackend::SnapshotOptions options;
  options.checkpoint = 7;
  options.files = &local_file_system();
  options.new_file = [&](std::string_view hint) {
    paths.push_back(directory_.file("abandoned-" + std::string(hint)));
    return RocksDbBackend::NewFile{paths.back(), paths.back()};
  };
  options.on_done = [&](Result<Files> files) { result.emplace(std::move(files)); };
  subtask.backend->start_snapshot(std::move(options));
  while (subtask.backend->copy_slice() != RocksDbBackend::CopyProgress::kDone) {
  }
  ASSERT_FALSE(subtask.backend->is_copying()) << "only I/O threads have work left";
  subtask.backend->abandon_snapshot(6, Error{ErrorCode::kCancelled, "another one"});
  subtask.backend->abandon_snapshot(7, Error{ErrorCode::kCancelled, "it took too long"});
  executor_.run_all();
  ASSERT_TRUE(result.has_value());
  ASSERT_FALSE(result->ok());
  EXPECT_EQ(result->error().message, "it took too long");
  for (const std::string& path : paths) {
    EXPECT_FALSE(std::filesystem::exists(path)) << path;
  }
  // The state goes on, and so does the next checkpoint.
  expect_all(subtask, 1);
  expect_all(value_or_fail(restore(value_or_fail(snapshot(subtask)))), 1);
}

TEST_F(RocksFaults, SnapshotsLeaveNoDirectoriesOfLinks) {
  const Subtask subtask = start();
  const auto directories = [&] {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(of_process(subtask))) {
      count += entry.is_directory() ? 1 : 0;
    }
    return count;
  };
  EXPECT_EQ(directories(), 1);
  ASSERT_TRUE(snapshot(subtask).ok()) << "of no entries";
  EXPECT_EQ(directories(), 1);
  put_all(subtask, 1);
  ASSERT_TRUE(snapshot(subtask).ok());
  EXPECT_EQ(directories(), 1);
  // A table that is gone cannot be linked.
  for (const auto& entry : std::filesystem::directory_iterator(subtask.backend->local_path())) {
    if (entry.path().extension() == ".sst") {
      std::filesystem::remove(entry.path());
    }
  }
  ASSERT_FALSE(snapshot(subtask).ok());
  EXPECT_EQ(directories(), 1);
}

TEST_F(RocksFaults, ACompactionThatFindsNoRoomEndsTheAttempt) {
  Subtask subtask = start();
  put_all(subtask, 1);
  const Files files = value_or_fail(snapshot(subtask));
  disk_.fill(".sst");  // Sorted files of weir have other names.
  for (int round = 0; round < 10'000 && subtask.backend->status().ok(); ++round) {
    for (std::int64_t key = 0; key < 10; ++key) {
      put<std::int64_t, std::int64_t>(*subtask.sums, kNoNamespace, key, 2 * key);
    }
    subtask.backend->write_all_down();
    executor_.run_all();
  }
  EXPECT_GT(disk_.refused(), 0);
  expect_failed(subtask, ErrorCode::kNoSpace);
  subtask = {};
  disk_.make_room();
  expect_all(value_or_fail(restore(files)), 1);
}

TEST_F(RocksFaults, DamagedFilesAreNoticedWhereTheyAreRead) {
  Subtask subtask = start();
  put_all(subtask, 1);
  const Files files = value_or_fail(snapshot(subtask));
  // The restored files are the checkpoint's, by another name, so that copies of it have to be kept.
  Files kept = files;
  for (RocksDbFile& file : kept) {
    file.name += ".kept";
    std::filesystem::copy_file(file.name.substr(0, file.name.size() - 5), file.name);
  }
  subtask = {};
  subtask = value_or_fail(restore(files));
  damage(*subtask.backend);
  EXPECT_THROW(
      {
        for (std::int64_t key = 0; key < kKeys; ++key) {
          subtask.sums->find(kNoNamespace, &key, key_hash(key));
        }
      },
      std::runtime_error);
  expect_failed(subtask, ErrorCode::kIo);
  subtask = {};
  expect_all(value_or_fail(restore(kept)), 1);
}

TEST_F(RocksFaults, DamagedFilesGoIntoNoCheckpointAndEndTheAttempt) {
  Subtask subtask = start();
  put_all(subtask, 1);
  const Files files = value_or_fail(snapshot(subtask));
  put_all(subtask, 2);
  subtask.backend->write_all_down();
  damage(*subtask.backend);
  const auto failed = snapshot(subtask);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code, ErrorCode::kIo) << failed.error().message;
  EXPECT_THAT(failed.error().message, HasSubstr("state.backend.rocksdb.localdir"));
  // Later checkpoints would fail as well.
  expect_failed(subtask, ErrorCode::kIo);
  subtask = {};
  expect_all(value_or_fail(restore(files)), 1);
}

}  // namespace
}  // namespace weir::state::test
