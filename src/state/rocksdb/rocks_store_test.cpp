#include "state/rocksdb/rocks_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <future>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "state/rocksdb/rocks_env.h"
#include "state/rocksdb/sorted_run.h"
#include "state/test_support.h"

namespace weir::state {
namespace {

class RocksStoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<RocksStore> open(bool has_compactions, const RocksDbSettings& settings = {}) {
    auto directory = RocksDirectory::of_process(directory_.file("local"));
    EXPECT_TRUE(directory.ok());
    const RocksStore::Options options{"test", settings, std::make_shared<RocksMemory>(settings),
                                      directory.value(), has_compactions};
    auto store = RocksStore::open(options, directory.value()->next("test"), {});
    EXPECT_TRUE(store.ok());
    return std::move(store).value();
  }
  static constexpr int kFilesDue = 40;
  /// As many sorted files as make a compaction due.
  static void fill(RocksStore& store) {
    RocksStore::Family* const family = store.add_family("table:counts#0-127", {0, 127}).value();
    for (int file = 0; file < kFilesDue; ++file) {
      SortedRun run;
      std::string key;
      append_rocks_prefix(key, 1, kNoNamespace);
      run.add(key + "key", "value " + std::to_string(file));
      std::vector<RocksStore::SortedFile> files;
      ASSERT_TRUE(run.write(store, {family}, files).ok());
      ASSERT_TRUE(store.ingest(files).ok());
    }
  }
  /// One sorted file with the values of keys [0, keys), 100 random bytes each.
  static void write(RocksStore& store, RocksStore::Family* family, int keys) {
    static std::mt19937_64 random(7);
    SortedRun run;
    for (int i = 0; i < keys; ++i) {
      std::string key;
      append_rocks_prefix(key, 1, kNoNamespace);
      std::string value(100, '\0');
      std::generate(value.begin(), value.end(), [&] { return static_cast<char>(random()); });
      run.add(key + fmt::format("{:08}", i), value);
    }
    std::vector<RocksStore::SortedFile> files;
    ASSERT_TRUE(run.write(store, {family}, files).ok());
    ASSERT_TRUE(store.ingest(files).ok());
  }
  static std::uint64_t table_bytes(RocksStore& store) {
    std::vector<rocksdb::LiveFileMetaData> files;
    store.db().GetLiveFilesMetaData(&files);
    return std::accumulate(files.begin(), files.end(), std::uint64_t{0},
                           [](std::uint64_t sum, const auto& file) { return sum + file.size; });
  }
  static int table_files(RocksStore& store) {
    std::vector<rocksdb::LiveFileMetaData> files;
    store.db().GetLiveFilesMetaData(&files);
    return static_cast<int>(files.size());
  }

  test::TemporaryDirectory directory_;
};

/// Keeps all threads for compactions busy until it goes.
class BusyCompactionThreads {
 public:
  BusyCompactionThreads() : end_(release_.get_future()) {
    threads_ = unsynced_env()->GetBackgroundThreads(rocksdb::Env::Priority::LOW);
    for (int i = 0; i < threads_; ++i) {
      unsynced_env()->Schedule(wait, this, rocksdb::Env::Priority::LOW);
    }
  }
  ~BusyCompactionThreads() {
    release_.set_value();
    while (ended_.load() < threads_) {
      std::this_thread::yield();
    }
  }

 private:
  static void wait(void* self) {
    auto* const busy = static_cast<BusyCompactionThreads*>(self);
    busy->end_.wait();
    ++busy->ended_;
  }
  std::promise<void> release_;
  std::shared_future<void> end_;
  std::atomic<int> ended_{0};
  int threads_ = 0;
};

// RocksDB writes down what it works with.
TEST_F(RocksStoreTest, SettingsArriveAtRocksDb) {
  RocksDbSettings settings;
  settings.compaction_style = RocksDbSettings::CompactionStyle::kLevel;
  settings.has_dynamic_levels = false;
  settings.target_file_bytes = 7'000'000;
  settings.level_base_bytes = 70'000'000;
  settings.block_bytes = 8'000;
  settings.metadata_block_bytes = 3'000;
  settings.has_partitioned_metadata = true;
  settings.bloom_bits_per_key = 7;
  settings.files_open = 333;
  settings.background_threads = 3;
  settings.log_level = RocksDbSettings::LogLevel::kError;
  settings.log_directory = directory_.file("logs");
  settings.log_files = 5;
  settings.log_file_bytes = 12'345;
  settings.compression_per_level = {RocksDbSettings::Compression::kNone,
                                    RocksDbSettings::Compression::kSnappy};
  std::filesystem::create_directory(settings.log_directory);
  const auto store = open(true, settings);
  ASSERT_NE(store, nullptr);
  ASSERT_TRUE(store->add_family("table:counts#0-127", {0, 127}).ok());
  std::string path;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(directory_.file("local"))) {
    if (entry.path().filename().string().starts_with("OPTIONS-")) {
      path = std::max(path, entry.path().string());
    }
  }
  ASSERT_FALSE(path.empty());
  const std::string written = test::read_file(path);
  const std::size_t of_family = written.find("[CFOptions \"table\\:counts");
  ASSERT_NE(of_family, std::string::npos) << written;
  for (const char* line :
       {"info_log_level=ERROR_LEVEL", "keep_log_file_num=5", "max_log_file_size=12345",
        "max_open_files=333", "max_background_compactions=3"}) {
    EXPECT_NE(written.find(line), std::string::npos) << line;
  }
  EXPECT_NE(written.find("db_log_dir=" + settings.log_directory), std::string::npos);
  for (const char* line :
       {"compaction_style=kCompactionStyleLevel", "level_compaction_dynamic_level_bytes=false",
        "target_file_size_base=7000000", "max_bytes_for_level_base=70000000", "block_size=8000",
        "metadata_block_size=3000", "partition_filters=true", "filter_policy=bloomfilter:7:false",
        "compression_per_level=kNoCompression:kSnappyCompression"}) {
    EXPECT_NE(written.find(line, of_family), std::string::npos) << line;
  }
  EXPECT_FALSE(std::filesystem::is_empty(settings.log_directory));
}

TEST_F(RocksStoreTest, SettingsThatLoseStateOrSayNothingAreRefused) {
  const auto refusal = [&](const RocksDbSettings& settings) {
    const auto directory = RocksDirectory::of_process(directory_.file("local")).value();
    const auto store =
        RocksStore::open({"test", settings, std::make_shared<RocksMemory>(settings), directory},
                         directory->next("test"), {});
    return store.ok() ? "" : store.error().message;
  };
  RocksDbSettings fifo;
  fifo.compaction_style = RocksDbSettings::CompactionStyle::kFifo;
  EXPECT_NE(refusal(fifo).find("FIFO removes the oldest files"), std::string::npos);
  RocksDbSettings without;
  without.compression_per_level.clear();
  EXPECT_NE(refusal(without).find("NO_COMPRESSION"), std::string::npos);
}

TEST_F(RocksStoreTest, TheDirectoryOfAProcessWithTheSameNumberElsewhereIsLeftAlone) {
  // Two containers with one volume: both are process 1, say.
  FileSystem& files = local_file_system();
  const std::string base = directory_.file("local");
  const std::string first = RocksDirectory::of_process(base).value()->next("x");
  std::string own = first.substr(0, first.rfind('/'));
  const std::size_t dash = own.rfind('-') + 1;
  const std::string foreign = own.substr(0, dash) + std::to_string(std::stoi(own.substr(dash)) + 1);
  ASSERT_TRUE(files.create_directories(foreign).ok());
  const auto lock = files.lock(foreign + "/lock");
  ASSERT_TRUE(lock.ok());
  ASSERT_TRUE(files.create_directory(foreign + "/1-count").ok());

  const auto next = RocksDirectory::of_process(base);
  ASSERT_TRUE(next.ok()) << next.error().message;
  EXPECT_TRUE(std::filesystem::exists(foreign + "/1-count"));
  EXPECT_FALSE(next.value()->next("x").starts_with(foreign + "/"));
}

TEST_F(RocksStoreTest, ClosingDoesNotWaitForTheCompactionsOfOthers) {
  std::unique_ptr<RocksStore> store = open(true);
  auto others = std::make_unique<BusyCompactionThreads>();
  fill(*store);
  auto closed = std::async(std::launch::async, [&store] { store.reset(); });
  EXPECT_EQ(closed.wait_for(std::chrono::seconds(20)), std::future_status::ready);
  others.reset();
}

TEST_F(RocksStoreTest, CompactsOnlyWhereItMay) {
  const std::unique_ptr<RocksStore> kept = open(false);
  fill(*kept);
  const std::unique_ptr<RocksStore> compacted = open(true);
  fill(*compacted);
  while (table_files(*compacted) >= kFilesDue) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(table_files(*kept), kFilesDue);
}

TEST_F(RocksStoreTest, KeepsWhatIsOutdatedBelowAShareOfTheState) {
  const std::unique_ptr<RocksStore> store = open(true);
  RocksStore::Family* const family = store->add_family("table:counts#0-127", {0, 127}).value();
  write(*store, family, 50'000);
  const std::uint64_t state_bytes = table_bytes(*store);
  // So many files do not make a compaction due by their number.
  for (int file = 0; file < 14; ++file) {
    write(*store, family, 12'500);
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (table_bytes(*store) > state_bytes * 17 / 10) {
      ASSERT_LT(std::chrono::steady_clock::now(), give_up) << file << " files of a quarter";
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
}

TEST_F(RocksStoreTest, WritersHearWhenCompactionsAreFarBehind) {
  const std::unique_ptr<RocksStore> store = open(true);
  RocksStore::Family* const family = store->add_family("table:counts#0-127", {0, 127}).value();
  auto others = std::make_unique<BusyCompactionThreads>();
  write(*store, family, 1);
  EXPECT_FALSE(store->is_far_behind());
  for (int file = 0; file < 100; ++file) {
    write(*store, family, 1);
  }
  EXPECT_TRUE(store->is_far_behind());
  store->wait_for_compactions(std::chrono::milliseconds(1));
  EXPECT_TRUE(store->is_far_behind());
  others.reset();
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (store->is_far_behind() && std::chrono::steady_clock::now() < give_up) {
    store->wait_for_compactions(std::chrono::milliseconds(50));
  }
  EXPECT_FALSE(store->is_far_behind());
}

}  // namespace
}  // namespace weir::state
