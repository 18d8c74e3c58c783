#include "state/rocksdb/rocksdb_backend.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "base/clock.h"
#include "state/heap_backend.h"
#include "state/test_support.h"

namespace weir::state::test {

// Outside the unnamed namespace: clang warns of reflected types that have internal linkage.
namespace rocks_types {
struct Short {
  std::int32_t a = 0;
  friend bool operator==(const Short&, const Short&) = default;
};
struct Long {
  std::int64_t a = 0;
  std::int64_t b = 7;
  friend bool operator==(const Long&, const Long&) = default;
};
}  // namespace rocks_types

namespace {

using namespace rocks_types;
using ::testing::AllOf;
using ::testing::HasSubstr;

/// A backend, and the files that its snapshots leave.
class RocksDbBackendTest : public ::testing::Test {
 protected:
  using Files = std::vector<RocksDbFile>;

  std::unique_ptr<RocksDbBackend> make(KeyGroupRange key_groups = {0, 127},
                                       std::size_t memory_bytes = std::size_t{4} << 20) {
    RocksDbSettings settings;
    settings.memory_bytes = memory_bytes;
    return make_with(settings, key_groups);
  }
  std::unique_ptr<RocksDbBackend> make_with(RocksDbSettings settings,
                                            KeyGroupRange key_groups = {0, 127}) {
    settings.local_directory = directory_.file("local");
    auto backend = std::make_unique<RocksDbBackend>(
        RocksDbBackend::Options{"test", 128, key_groups, settings, executor_.runner()});
    EXPECT_TRUE(backend->open().ok());
    return backend;
  }
  Result<Files> snapshot(RocksDbBackend& backend, const Files& reusable = {},
                         bool is_state_file = false) {
    std::optional<Result<Files>> result;
    RocksDbBackend::SnapshotOptions options;
    options.checkpoint = ++checkpoint_;
    options.files = &local_file_system();
    options.reusable = reusable;
    options.is_state_file = is_state_file;
    options.new_file = [this](std::string_view hint) {
      std::string path =
          directory_.file("f" + std::to_string(next_file_++) + "-" + std::string(hint));
      return RocksDbBackend::NewFile{path, path};
    };
    options.on_done = [&](Result<Files> files) { result.emplace(std::move(files)); };
    backend.start_snapshot(std::move(options));
    while (backend.copy_slice() != RocksDbBackend::CopyProgress::kDone) {
    }
    executor_.run_all();
    EXPECT_TRUE(result.has_value());
    return std::move(*result);
  }
  static std::vector<RocksDbBackend::RestoreFrom> from(const Files& files) {
    std::vector<RocksDbBackend::RestoreFrom> all;
    for (const RocksDbFile& file : files) {
      all.push_back({file.name, file});
    }
    return all;
  }
  static StateTable& open_sums(RocksDbBackend& backend) {
    return *value_or_fail(backend.open_table(describe<std::int64_t, std::int64_t>("sums")));
  }
  static void put_sums(StateTable& table, std::int64_t first, std::int64_t count) {
    for (std::int64_t key = first; key < first + count; ++key) {
      put<std::int64_t, std::int64_t>(table, kNoNamespace, key, 10 * key);
    }
  }
  static std::optional<std::int64_t> sum_of(StateTable& table, std::int64_t key) {
    const void* value = table.find(kNoNamespace, &key, key_hash(key));
    return value == nullptr ? std::nullopt
                            : std::optional(*static_cast<const std::int64_t*>(value));
  }

  TemporaryDirectory directory_;
  ManualExecutor executor_;
  CheckpointId checkpoint_ = 0;
  int next_file_ = 0;
};

TEST_F(RocksDbBackendTest, WritesAfterTheBarrierAreNotInTheSnapshot) {
  const auto backend = make();
  StateTable& sums = open_sums(*backend);
  put_sums(sums, 0, 100);
  std::optional<Result<Files>> result;
  RocksDbBackend::SnapshotOptions options;
  options.checkpoint = 1;
  options.files = &local_file_system();
  options.new_file = [this](std::string_view hint) {
    std::string path = directory_.file(std::string(hint));
    return RocksDbBackend::NewFile{path, path};
  };
  options.on_done = [&](Result<Files> files) { result.emplace(std::move(files)); };
  backend->start_snapshot(std::move(options));
  // Before anything was copied, and after: changed, erased, created.
  put<std::int64_t, std::int64_t>(sums, kNoNamespace, 1, -1);
  const std::int64_t erased = 2;
  EXPECT_TRUE(sums.erase(kNoNamespace, &erased, key_hash(erased)));
  while (backend->copy_slice(10) != RocksDbBackend::CopyProgress::kDone) {
  }
  put<std::int64_t, std::int64_t>(sums, kNoNamespace, 3, -3);
  put<std::int64_t, std::int64_t>(sums, kNoNamespace, 1000, 1);
  executor_.run_all();
  ASSERT_TRUE(result.has_value() && result->ok());

  const auto restored = make();
  ASSERT_TRUE(restored->restore(local_file_system(), from(result->value())).ok());
  StateTable& again = open_sums(*restored);
  EXPECT_EQ(again.size(kNoNamespace), 100U);
  EXPECT_EQ(sum_of(again, 1), 10);
  EXPECT_EQ(sum_of(again, 2), 20);
  EXPECT_EQ(sum_of(again, 3), 30);
  EXPECT_EQ(sum_of(again, 1000), std::nullopt);
}

TEST_F(RocksDbBackendTest, FilesAreNamedAgainOnlyIfTheirContentIsTheSame) {
  const auto backend = make();
  StateTable& sums = open_sums(*backend);
  put_sums(sums, 0, 1000);
  const Files first = value_or_fail(snapshot(*backend));
  put_sums(sums, 1000, 10);
  const Files second = value_or_fail(snapshot(*backend, first));
  const auto is_in = [](const Files& files, const std::string& name) {
    return std::any_of(files.begin(), files.end(),
                       [&](const RocksDbFile& file) { return file.name == name; });
  };
  EXPECT_TRUE(is_in(second, first[1].name));

  Files other = second;
  for (RocksDbFile& file : other) {
    file.file.crc32c ^= 1;
  }
  const Files third = value_or_fail(snapshot(*backend, other));
  EXPECT_FALSE(is_in(third, first[1].name));
}

TEST_F(RocksDbBackendTest, ADamagedFileIsRefusedByName) {
  const auto backend = make();
  put_sums(open_sums(*backend), 0, 1000);
  const Files files = value_or_fail(snapshot(*backend));
  ASSERT_GE(files.size(), 2U);
  for (const RocksDbFile& file : files) {
    const std::string whole = read_file(file.name);
    for (const std::size_t at : {std::size_t{0}, whole.size() / 2, whole.size() - 1}) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
      std::ofstream(file.name, std::ios::binary | std::ios::trunc) << damaged;
      const Status status = make()->restore(local_file_system(), from(files));
      ASSERT_FALSE(status.ok());
      EXPECT_EQ(status.error().code, ErrorCode::kCorruption);
      EXPECT_THAT(status.error().message, HasSubstr(file.name));
    }
    std::ofstream(file.name, std::ios::binary | std::ios::trunc) << whole.substr(0, 10);
    EXPECT_THAT(make()->restore(local_file_system(), from(files)).error().message,
                HasSubstr(file.name));
    std::ofstream(file.name, std::ios::binary | std::ios::trunc) << whole;
  }
  EXPECT_TRUE(make()->restore(local_file_system(), from(files)).ok());
}

TEST_F(RocksDbBackendTest, WorkingOnARestoredStateLeavesTheCheckpointAlone) {
  const auto backend = make();
  put_sums(open_sums(*backend), 0, 5000);
  const Files files = value_or_fail(snapshot(*backend));
  for (int round = 0; round < 2; ++round) {
    const auto restored = make();
    ASSERT_TRUE(restored->restore(local_file_system(), from(files)).ok());
    StateTable& sums = open_sums(*restored);
    EXPECT_EQ(sums.size(kNoNamespace), 5000U);
    for (int i = 0; i < 40; ++i) {  // compactions happen
      put_sums(sums, i * 125, 500);
      restored->write_all_down();
    }
  }
}

TEST_F(RocksDbBackendTest, StateThatNobodyOpensIsCarriedOn) {
  const auto backend = make();
  put_sums(open_sums(*backend), 0, 100);
  for (const bool is_state_file : {false, true}) {
    Files files = value_or_fail(snapshot(*backend, {}, is_state_file));
    for (int generation = 0; generation < 2; ++generation) {
      const auto restored = make();
      ASSERT_TRUE((is_state_file && generation == 0
                       ? restored->restore_state_files(local_file_system(),
                                                       {{files[0].name, files[0].file}})
                       : restored->restore(local_file_system(), from(files)))
                      .ok());
      EXPECT_THAT(value_or_fail(restored->finish_restore()), ::testing::ElementsAre("sums"));
      files = value_or_fail(snapshot(*restored));
    }
    const auto restored = make();
    ASSERT_TRUE(restored->restore(local_file_system(), from(files)).ok());
    EXPECT_EQ(sum_of(open_sums(*restored), 42), 420);
  }
}

TEST_F(RocksDbBackendTest, ValuesOfAnotherSchemaAreRewritten) {
  const auto backend = make();
  StateTable& before = *value_or_fail(backend->open_table(describe<std::int64_t, Short>("values")));
  for (std::int64_t key = 0; key < 1000; ++key) {
    put<std::int64_t, Short>(before, kNoNamespace, key, {static_cast<std::int32_t>(key)});
  }
  Files files = value_or_fail(snapshot(*backend));
  for (int generation = 0; generation < 2; ++generation) {
    const auto restored = make();
    ASSERT_TRUE(restored->restore(local_file_system(), from(files)).ok());
    StateTable& after =
        *value_or_fail(restored->open_table(describe<std::int64_t, Long>("values")));
    EXPECT_EQ(after.size(kNoNamespace), 1000U);
    const std::int64_t key = 99;
    EXPECT_EQ(*static_cast<const Long*>(after.find(kNoNamespace, &key, key_hash(key))),
              (Long{99, 7}));
    files = value_or_fail(snapshot(*restored));
  }
  const auto restored = make();
  ASSERT_TRUE(restored->restore(local_file_system(), from(files)).ok());
  const auto refused = restored->open_table(describe<std::int64_t, std::string>("values"));
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, AllOf(HasSubstr("'values'"), HasSubstr("stored as")));
}

TEST_F(RocksDbBackendTest, WhatRocksDbCannotWriteIsOneErrorThatNamesTheDirectory) {
  const auto backend = make();
  StateTable& sums = open_sums(*backend);
  put_sums(sums, 0, 100);
  const std::string path = backend->local_path();
  std::filesystem::remove_all(path);
  const auto failed = snapshot(*backend);
  ASSERT_FALSE(failed.ok());
  ASSERT_FALSE(backend->status().ok());
  EXPECT_THAT(backend->status().error().message, AllOf(HasSubstr(path), HasSubstr("test")));
  // Nothing goes on with what may be wrong.
  const std::int64_t key = 1;
  EXPECT_THROW(sums.find_or_create(kNoNamespace, &key, key_hash(key)), std::runtime_error);
}

TEST_F(RocksDbBackendTest, ADamagedWorkingFileIsNoReasonToGiveUpForGood) {
  const auto backend = make({0, 127}, std::size_t{1} << 20);
  StateTable& sums = open_sums(*backend);
  constexpr std::int64_t kKeys = 50'000;
  put_sums(sums, 0, kKeys);
  backend->write_all_down();
  backend->evict_all();
  for (const auto& entry : std::filesystem::directory_iterator(backend->local_path())) {
    if (entry.path().extension() == ".sst") {
      std::fstream file(entry.path(), std::ios::binary | std::ios::in | std::ios::out);
      file.seekp(static_cast<std::streamoff>(entry.file_size() / 4));
      file << std::string(entry.file_size() / 4, 'x');
    }
  }
  EXPECT_THROW(
      {
        for (std::int64_t key = 0; key < kKeys; ++key) {
          sum_of(sums, key);
        }
      },
      std::runtime_error);
  // A restart restores from the checkpoint; kCorruption would end the job.
  EXPECT_EQ(backend->status().error().code, ErrorCode::kIo);
  EXPECT_THAT(backend->status().error().message,
              AllOf(HasSubstr("working file"), HasSubstr(backend->local_path())));
}

TEST_F(RocksDbBackendTest, ExpiredValuesAreLeftOutByCompactions) {
  StateTableDescriptor descriptor = describe<std::int64_t, std::int64_t>("sums");
  descriptor.expiry.of = [](std::string_view encoded, TimestampMs, std::string&) {
    std::int64_t value = 0;
    std::memcpy(&value, encoded.data(), sizeof(value));
    return value < 0 ? Expiry::kAll : Expiry::kNothing;
  };
  descriptor.expiry.in_compactions = true;
  const auto backend = make();
  StateTable& sums = *value_or_fail(backend->open_table(descriptor));
  EXPECT_TRUE(sums.removes_expired());
  for (int round = 0; round < 40; ++round) {  // more files than RocksDB leaves alone
    for (std::int64_t key = round * 50; key < round * 50 + 50; ++key) {
      put<std::int64_t, std::int64_t>(sums, kNoNamespace, key, key % 2 == 0 ? -1 : key);
    }
    backend->write_all_down();
  }
  std::uint64_t found = 2000;
  for (int tries = 0; tries < 500 && found > 1400; ++tries) {
    const Files files = value_or_fail(snapshot(*backend));
    const auto restored = make();
    ASSERT_TRUE(restored->restore(local_file_system(), from(files)).ok());
    StateTable& again = *value_or_fail(restored->open_table(descriptor));
    found = 0;
    again.for_each(kNoNamespace, [&](const void*, std::uint32_t, const void*) { ++found; });
  }
  EXPECT_LE(found, 1400U);
  EXPECT_EQ(sum_of(sums, 1), 1);
}

TEST_F(RocksDbBackendTest, E9_WhatKilledProcessesLeftIsRemoved) {
  const std::string stale = directory_.file("local") + "/weir-rocksdb-1-1";
  std::filesystem::create_directories(stale + "/1-count");
  std::ofstream(stale + "/1-count/000001.sst") << "x";
  const std::string foreign = directory_.file("local") + "/something";
  std::filesystem::create_directories(foreign);
  {
    const auto backend = make();
    open_sums(*backend);
    EXPECT_FALSE(std::filesystem::exists(stale));
    EXPECT_TRUE(std::filesystem::exists(foreign));
    EXPECT_TRUE(std::filesystem::exists(backend->local_path()));
  }
  std::filesystem::remove(foreign);
  for (const auto& entry : std::filesystem::directory_iterator(directory_.file("local"))) {
    EXPECT_FALSE(entry.is_directory()) << entry.path();
  }
}

TEST_F(RocksDbBackendTest, StateFarBeyondItsMemoryStaysWithinIt) {
  const auto backend = make();
  StateTable& sums = open_sums(*backend);
  constexpr std::int64_t keys = 300'000;
  for (std::int64_t first = 0; first < keys; first += 1000) {
    put_sums(sums, first, 1000);
    EXPECT_LT(backend->memory_bytes(), std::size_t{4} << 20);
  }
  for (std::int64_t key = 0; key < keys; key += 997) {
    ASSERT_EQ(sum_of(sums, key), 10 * key);
  }
  EXPECT_LT(backend->memory_bytes(), std::size_t{4} << 20);
  EXPECT_EQ(sums.size(kNoNamespace), static_cast<std::size_t>(keys));
}

TEST_F(RocksDbBackendTest, AValueOfARunThatWasOvertakenByTheNextOneIsFound) {
  // Namespace 7 is new, and two runs with values of it are under way at once. A value of the later
  // one is encoded first, because it changes again.
  constexpr StateNamespace kNew = 7;
  constexpr std::int64_t kCold = 1;
  constexpr std::int64_t kHot = 2;
  constexpr std::int64_t kOthers = 5'400;
  std::optional<Result<Files>> result;  // told at the latest when the backend goes
  const auto backend = make({0, 127}, std::size_t{1} << 20);
  StateTable& sums = open_sums(*backend);
  put_sums(sums, 0, kOthers);
  put<std::int64_t, std::int64_t>(sums, kNew, kCold, 10);
  put_sums(sums, kOthers, 100);  // closes the first run, of 256 KiB
  put<std::int64_t, std::int64_t>(sums, kNew, kHot, 1);
  RocksDbBackend::SnapshotOptions options;
  options.checkpoint = 1;
  options.files = &local_file_system();
  options.new_file = [this](std::string_view hint) {
    std::string path = directory_.file(std::string(hint));
    return RocksDbBackend::NewFile{path, path};
  };
  options.on_done = [&](Result<Files> files) { result.emplace(std::move(files)); };
  backend->start_snapshot(std::move(options));  // closes the second one
  put<std::int64_t, std::int64_t>(sums, kNew, kHot, 2);
  // All of the first run goes down, and nothing of the second one.
  while (executor_.is_idle()) {
    backend->copy_slice(1);
  }
  executor_.run_all();
  ASSERT_TRUE(backend->is_copying());
  backend->evict_all();
  const void* const cold = sums.find(kNew, &kCold, key_hash(kCold));
  ASSERT_NE(cold, nullptr);
  EXPECT_EQ(*static_cast<const std::int64_t*>(cold), 10);
}

TEST_F(RocksDbBackendTest, HowFilesAreWrittenMayChangeBetweenTwoRuns) {
  using Settings = RocksDbSettings;
  std::vector<Settings> runs(6);
  runs[1].has_partitioned_metadata = true;
  runs[2].has_partitioned_metadata = true;
  runs[2].has_bloom_filter = false;
  runs[3].compaction_style = Settings::CompactionStyle::kLevel;
  runs[3].compression_per_level = {Settings::Compression::kNone};
  runs[4].compaction_style = Settings::CompactionStyle::kNone;
  runs[4].block_bytes = 1 << 10;
  constexpr std::int64_t kKeys = 20'000;
  Files files;
  for (std::size_t run = 0; run < runs.size(); ++run) {
    const auto backend = make_with(runs[run]);
    if (run != 0) {
      ASSERT_TRUE(backend->restore(local_file_system(), from(files)).ok()) << run;
    }
    StateTable& sums = open_sums(*backend);
    put_sums(sums, static_cast<std::int64_t>(run) * kKeys, kKeys);
    files = value_or_fail(snapshot(*backend));
    for (std::int64_t key = 0; key < static_cast<std::int64_t>(run + 1) * kKeys; key += 97) {
      ASSERT_EQ(sum_of(sums, key), 10 * key) << run;
    }
  }
}

TEST_F(RocksDbBackendTest, WhereMemoryIsTooLittleForAllNobodyWaitsInVain) {
  // 512 KiB for values, of which each of four may have half as changed ones.
  constexpr int kBackends = 4;
  constexpr std::int64_t kKeys = 20'000;
  std::vector<std::unique_ptr<RocksDbBackend>> backends;
  std::vector<StateTable*> tables;
  for (int i = 0; i < kBackends; ++i) {
    backends.push_back(make({0, 127}, std::size_t{1} << 20));
    tables.push_back(&open_sums(*backends.back()));
  }
  for (std::int64_t key = 0; key < kKeys; ++key) {
    for (StateTable* const table : tables) {
      put_sums(*table, key, 1);
    }
  }
  std::uint64_t waits = 0;
  for (int i = 0; i < kBackends; ++i) {
    waits += backends[static_cast<std::size_t>(i)]->figures().memory_waits;
    for (std::int64_t key = 0; key < kKeys; key += 997) {
      ASSERT_EQ(sum_of(*tables[static_cast<std::size_t>(i)], key), 10 * key);
    }
  }
  // Each wait writes a quarter of a megabyte down: 80,000 values take about 8 MB.
  EXPECT_LT(waits, 200U);
}

}  // namespace
}  // namespace weir::state::test
