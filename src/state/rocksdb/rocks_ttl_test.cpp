// Times to live in RocksDB: what compactions leave out, and what they never come by.

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "state/heap_backend.h"
#include "state/rocksdb/rocks_key.h"
#include "state/rocksdb/rocks_store.h"
#include "state/rocksdb/rocksdb_backend.h"
#include "state/rocksdb/sorted_run.h"
#include "state/test_clock.h"
#include "state/test_support.h"
#include "weir/keyed_state.h"

namespace weir::state::test {
namespace {

using Element = detail::Expiring<std::int64_t>;
using List = std::vector<Element>;

constexpr TimestampMs kTtl = 100;
const StateTtlConfig kConfig{.ttl = DurationMs(kTtl)};

TEST(RocksTtl, CompactionsTrimListsOfWhichSomeElementsHaveExpired) {
  TemporaryDirectory directory;
  const RocksDbSettings settings;
  const auto local = value_or_fail(RocksDirectory::of_process(directory.file("local")));
  const auto store = value_or_fail(RocksStore::open(
      {"test", settings, std::make_shared<RocksMemory>(settings), local}, local->next("test"), {}));
  RocksStore::Family* const family = value_or_fail(store->add_family("table:lists", {0, 127}));
  constexpr TimestampMs kNow = 1'000;
  family->filter->set_expiry([&] {
    return [of = detail::expiry_in_backend<List>(kConfig).of](
               std::string_view value, std::string& rest) { return of(value, kNow, rest); };
  });
  const auto key_of = [](const std::string& name) {
    std::string key;
    append_rocks_prefix(key, 1, kNoNamespace);
    return key + name;
  };
  const auto value_of = [](const List& list) {
    std::string value;
    Encoder out(value);
    out.raw(std::uint32_t{0xfeed'beef});  // the hash
    Codec<List>::encode(list, out);
    return value;
  };
  const std::string fresh = value_of({{1, kNow}, {2, kNow - 1}});
  SortedRun run;
  run.add(key_of("all"), value_of({{1, 0}, {2, 0}}));
  run.add(key_of("none"), fresh);
  run.add(key_of("some"), value_of({{1, 0}, {2, kNow}, {3, kNow - kTtl}}));
  std::vector<RocksStore::SortedFile> files;
  ASSERT_TRUE(run.write(*store, {family}, files).ok());
  ASSERT_TRUE(store->ingest(files).ok());

  rocksdb::CompactRangeOptions whole;
  whole.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  ASSERT_TRUE(store->db().CompactRange(whole, family->handle, nullptr, nullptr).ok());

  std::string found;
  const auto read = [&](const std::string& name) {
    return store->db().Get(rocksdb::ReadOptions(), family->handle, key_of(name), &found);
  };
  EXPECT_TRUE(read("all").IsNotFound());
  ASSERT_TRUE(read("none").ok());
  EXPECT_EQ(found, fresh);
  ASSERT_TRUE(read("some").ok());
  EXPECT_EQ(found, value_of({{2, kNow}})) << "with the hash in front";
}

/// A list that is only ever added to.
class ListThatNobodyReads : public ::testing::Test {
 protected:
  /// Adds an element per millisecond and returns how many are stored in the end.
  std::size_t add(StateTtlConfig config, int elements) {
    RocksDbSettings settings;
    settings.local_directory = directory_.file("local");
    RocksDbBackend backend({"test", 128, {0, 127}, settings, executor_.runner(), &clock_});
    EXPECT_TRUE(backend.open().ok());
    StateTableDescriptor descriptor = describe<std::int64_t, List>("list");
    descriptor.expiry = detail::expiry_in_backend<List>(config);
    StateTable& table = *value_or_fail(backend.open_table(std::move(descriptor)));
    const std::int64_t key = 7;
    const auto rule = std::make_shared<detail::TtlRule>(config, kMinTimestamp);
    const detail::CurrentKey current{&key, key_hash(key)};
    ListState<std::int64_t> list(&table, &current, rule);
    detail::TableTtlCleaner<std::int64_t, List> cleaner(table, rule);
    for (int i = 0; i < elements; ++i) {
      clock_.advance_ms(1);
      cleaner.on_records(1, clock_.wall_ms());
      list.add(i);
    }
    // Before get(), which trims.
    const std::size_t stored =
        static_cast<const List*>(table.find(kNoNamespace, &key, current.hash))->size();
    EXPECT_EQ(list.get()->back(), elements - 1);
    return stored;
  }

  TemporaryDirectory directory_;
  ManualExecutor executor_;
  TestClock clock_;
};

TEST_F(ListThatNobodyReads, DoesNotGrowForEver) { EXPECT_LE(add(kConfig, 5'000), 2 * kTtl + 2U); }

TEST_F(ListThatNobodyReads, StaysAsItIsWhereNothingCleansUp) {
  StateTtlConfig config = kConfig;
  config.cleanup_in_rocksdb_compact_filter = false;
  config.cleanup_incrementally = 0;
  EXPECT_EQ(add(config, 5'000), 5'000U);
}

/// States of both layouts and their savepoints.
class RocksSavepoints : public ::testing::Test {
 protected:
  using Key = std::int64_t;
  using Map = MapState<std::string, std::int64_t>;
  using Entry = detail::Expiring<std::int64_t>;

  /// Writes at 0 and at 1'000, takes a savepoint at 1'050, and reads it back into the heap.
  void run(const StateTtlConfig& config) {
    RocksDbSettings settings;
    settings.local_directory = directory_.file("local");
    RocksDbBackend backend({"test", 128, {0, 127}, settings, executor_.runner(), &clock_});
    ASSERT_TRUE(backend.open().ok());
    const auto rule = std::make_shared<detail::TtlRule>(config, kMinTimestamp);
    detail::CurrentKey current;
    StateTableDescriptor lists = describe<Key, List>("lists");
    lists.expiry = detail::expiry_in_backend<List>(config);
    ListState<std::int64_t> list(value_or_fail(backend.open_table(std::move(lists))), &current,
                                 rule);
    Map map(value_or_fail(backend.open_map(describe<Key, Map::ExpiringMap>("maps"),
                                           {&type_ops<std::string>(), &type_ops<Entry>(),
                                            detail::expiry_in_backend<Entry>(config)})),
            &current, rule);
    const auto write = [&](Key key, std::int64_t value) {
      current = {&key, key_hash(key)};
      rule->now = clock_.wall_ms();
      list.add(value);
      map.put(std::to_string(value), value);
    };
    write(1, 10);
    write(2, 20);
    clock_.advance_ms(1'000);
    write(2, 21);
    write(3, 30);
    clock_.advance_ms(50);
    read(savepoint(backend));
  }
  RestoreFile savepoint(RocksDbBackend& backend) {
    std::optional<Result<std::vector<RocksDbFile>>> result;
    RocksDbBackend::SnapshotOptions options;
    options.checkpoint = 1;
    options.files = &local_file_system();
    options.is_state_file = true;
    options.new_file = [this](std::string_view hint) {
      const std::string path = directory_.file(std::string(hint));
      return RocksDbBackend::NewFile{path, path};
    };
    options.on_done = [&](auto files) { result.emplace(std::move(files)); };
    backend.start_snapshot(std::move(options));
    while (backend.copy_slice() != RocksDbBackend::CopyProgress::kDone) {
    }
    executor_.run_all();
    const std::vector<RocksDbFile> files = value_or_fail(std::move(*result));
    return {files.front().name, files.front().file};
  }
  void read(const RestoreFile& file) {
    HeapBackend heap({"test", 128, {0, 127}});
    ASSERT_TRUE(heap.restore(local_file_system(), {file}).ok());
    StateTable& lists = *value_or_fail(heap.open_table(describe<Key, List>("lists")));
    StateTable& maps = *value_or_fail(heap.open_table(describe<Key, Map::ExpiringMap>("maps")));
    for (Key key = 1; key <= 3; ++key) {
      const void* const list = lists.find(kNoNamespace, &key, key_hash(key));
      const void* const map = maps.find(kNoNamespace, &key, key_hash(key));
      sizes_.push_back(list == nullptr ? 0 : static_cast<const List*>(list)->size());
      sizes_.push_back(map == nullptr ? 0 : static_cast<const Map::ExpiringMap*>(map)->size());
    }
  }

  TemporaryDirectory directory_;
  ManualExecutor executor_;
  TestClock clock_;
  std::vector<std::size_t> sizes_;  ///< of the list and the map of each key
};

TEST_F(RocksSavepoints, LeaveOutWhatHasExpiredIfAskedTo) {
  StateTtlConfig config = kConfig;
  config.cleanup_full_snapshot = true;
  run(config);
  EXPECT_EQ(sizes_, (std::vector<std::size_t>{0, 0, 1, 1, 1, 1}));
}

TEST_F(RocksSavepoints, HoldEverythingOtherwise) {
  StateTtlConfig config = kConfig;
  config.cleanup_in_rocksdb_compact_filter = false;
  run(config);
  EXPECT_EQ(sizes_, (std::vector<std::size_t>{1, 1, 2, 2, 1, 1}));
}

TEST(RocksTtl, CompactionsComeByWhatNobodyChanges) {
  TemporaryDirectory directory;
  const RocksDbSettings settings;
  const auto local = value_or_fail(RocksDirectory::of_process(directory.file("local")));
  const auto store = value_or_fail(RocksStore::open(
      {"test", settings, std::make_shared<RocksMemory>(settings), local}, local->next("test"), {}));
  RocksStore::Family* const family = value_or_fail(store->add_family("table:sums", {0, 127}));
  family->filter->set_expiry([] {
    return [](std::string_view value, std::string&) {
      return value == "expired" ? Expiry::kAll : Expiry::kNothing;
    };
  });
  ASSERT_TRUE(store->set_compaction_period(*family, DurationMs(1)).ok());
  const auto write = [&](const std::string& name, const std::string& value) {
    std::string key;
    append_rocks_prefix(key, 1, kNoNamespace);
    SortedRun run;
    run.add(key + name, std::string(kRocksValuePrefix, 'h') + value);
    std::vector<RocksStore::SortedFile> files;
    ASSERT_TRUE(run.write(*store, {family}, files).ok());
    ASSERT_TRUE(store->ingest(files).ok());
  };
  write("cold", "expired");
  std::string key;
  append_rocks_prefix(key, 1, kNoNamespace);
  std::string found;
  // RocksDB's clock has seconds. So few files are no other reason for a compaction.
  bool is_gone = false;
  for (int i = 0; i < 25 && !is_gone; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    write("hot", std::to_string(i));
    is_gone =
        store->db().Get(rocksdb::ReadOptions(), family->handle, key + "cold", &found).IsNotFound();
  }
  EXPECT_TRUE(is_gone);
}

}  // namespace
}  // namespace weir::state::test
