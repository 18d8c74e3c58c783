// The canonical form of a state file: what savepoints hold.

#include "state/canonical_file.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "io/faulty_file_system.h"
#include "state/test_support.h"

namespace weir::state::test {
namespace {

/// The same entries, put in an order that `seed` chooses, into tables opened in another order.
RestoreFile snapshot_of(const std::string& path, unsigned seed) {
  HeapBackend backend({"orders", 128, {32, 95}});
  const bool is_swapped = seed % 2 != 0;
  StateTable* sums = nullptr;
  StateTable* names = nullptr;
  for (const bool is_sums : {is_swapped, !is_swapped}) {
    if (is_sums) {
      sums = value_or_fail(backend.open_table(describe<std::uint64_t, std::uint64_t>("sums")));
    } else {
      names = value_or_fail(backend.open_table(describe<std::string, std::string>("names")));
    }
  }
  TimerQueue* timers = value_or_fail(backend.open_timers("timers", type_ops<std::string>()));
  std::vector<std::uint64_t> numbers;
  for (std::uint64_t i = 0; i < 3000; ++i) {
    const int group = key_group_of(key_hash(i), 128);
    if (group >= 32 && group <= 95) {
      numbers.push_back(i);
    }
  }
  std::shuffle(numbers.begin(), numbers.end(), std::mt19937(seed));
  for (const std::uint64_t i : numbers) {
    *static_cast<std::uint64_t*>(
        sums->find_or_create(static_cast<StateNamespace>(i % 3), &i, key_hash(i))) = i * i;
    const std::string key = "key " + std::to_string(i);
    const int group = key_group_of(key_hash(key), 128);
    if (group >= 32 && group <= 95) {
      *static_cast<std::string*>(names->find_or_create(7, &key, key_hash(key))) =
          std::string(i % 40, 'v');
      timers->add(static_cast<TimestampMs>(1000 + i), 7, &key, key_hash(key));
    }
  }
  return take_snapshot(backend, local_file_system(), path);
}

class CanonicalFile : public ::testing::Test {
 protected:
  std::string canonical(const RestoreFile& from, const std::string& name,
                        const CanonicalOptions& options = {}) {
    const auto info =
        write_canonical_file(local_file_system(), from, directory_.file(name), options);
    EXPECT_TRUE(info.ok()) << info.error().message;
    last_ = {directory_.file(name), info.value().file};
    return read_file(directory_.file(name));
  }
  TemporaryDirectory directory_;
  RestoreFile last_;
};

TEST_F(CanonicalFile, EqualStateGivesEqualBytesWhateverItsHistory) {
  const RestoreFile a = snapshot_of(directory_.file("a"), 1);
  const RestoreFile b = snapshot_of(directory_.file("b"), 2);
  ASSERT_NE(read_file(a.path), read_file(b.path));
  const std::string bytes = canonical(a, "canonical-a");
  EXPECT_GT(bytes.size(), 50'000U);
  EXPECT_EQ(bytes, canonical(b, "canonical-b"));
  EXPECT_EQ(bytes, canonical(last_, "again")) << "of a canonical file it is the file itself";
}

TEST_F(CanonicalFile, ASmallMemoryGivesTheSameBytes) {
  const RestoreFile from = snapshot_of(directory_.file("a"), 1);
  CanonicalOptions options;
  options.memory_bytes_max = 4096;
  EXPECT_EQ(canonical(from, "whole"), canonical(from, "in-parts", options));
}

TEST_F(CanonicalFile, WhatIsRestoredFromItIsTheSameState) {
  const RestoreFile from = snapshot_of(directory_.file("a"), 1);
  static_cast<void>(canonical(from, "canonical"));
  HeapBackend backend({"orders", 128, {40, 50}});
  ASSERT_TRUE(backend.restore(local_file_system(), {last_}).ok());
  StateTable* sums =
      value_or_fail(backend.open_table(describe<std::uint64_t, std::uint64_t>("sums")));
  value_or_fail(backend.open_table(describe<std::string, std::string>("names")));
  value_or_fail(backend.open_timers("timers", type_ops<std::string>()));
  ASSERT_TRUE(backend.finish_restore().ok());
  int found = 0;
  for (std::uint64_t i = 0; i < 3000; ++i) {
    const int group = key_group_of(key_hash(i), 128);
    if (group >= 40 && group <= 50) {
      const void* sum = sums->find(static_cast<StateNamespace>(i % 3), &i, key_hash(i));
      ASSERT_NE(sum, nullptr);
      EXPECT_EQ(*static_cast<const std::uint64_t*>(sum), i * i);
      ++found;
    }
  }
  EXPECT_GT(found, 100);
}

TEST_F(CanonicalFile, ADamagedFileIsRefusedAndNothingIsLeft) {
  RestoreFile from = snapshot_of(directory_.file("a"), 1);
  from.expected.crc32c ^= 1;
  const auto info = write_canonical_file(local_file_system(), from, directory_.file("out"));
  ASSERT_FALSE(info.ok());
  EXPECT_EQ(info.error().code, ErrorCode::kCorruption);
  EXPECT_FALSE(std::filesystem::exists(directory_.file("out")));
}

TEST_F(CanonicalFile, AFullDiskOrACancelLeavesNoHalfFile) {
  const RestoreFile from = snapshot_of(directory_.file("a"), 1);
  FaultyFileSystem files(local_file_system());
  files.set_space_left(10'000);
  const auto full = write_canonical_file(files, from, directory_.file("out"));
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().code, ErrorCode::kNoSpace);
  EXPECT_FALSE(std::filesystem::exists(directory_.file("out")));
  CanonicalOptions options;
  options.is_cancelled = [] { return true; };
  const auto cancelled =
      write_canonical_file(local_file_system(), from, directory_.file("out"), options);
  ASSERT_FALSE(cancelled.ok());
  EXPECT_EQ(cancelled.error().code, ErrorCode::kCancelled);
  EXPECT_FALSE(std::filesystem::exists(directory_.file("out")));
}

}  // namespace
}  // namespace weir::state::test
