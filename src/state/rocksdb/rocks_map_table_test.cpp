#include "state/rocksdb/rocks_map_table.h"

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "state/heap_backend.h"
#include "state/rocksdb/rocksdb_backend.h"
#include "state/test_clock.h"
#include "state/test_support.h"
#include "weir/keyed_state.h"

namespace weir::state::test {

// Outside the unnamed namespace: clang warns of reflected types that have internal linkage.
namespace map_types {
struct Narrow {
  std::int32_t a = 0;
  friend bool operator==(const Narrow&, const Narrow&) = default;
};
struct Wide {
  std::int64_t a = 0;
  std::int64_t b = 7;
  friend bool operator==(const Wide&, const Wide&) = default;
};
}  // namespace map_types

namespace {

using namespace map_types;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
using Files = std::vector<RocksDbFile>;

template <class K, class V>
using MapOf = typename MapState<K, V>::Map;

template <class K, class MK, class MV>
MapTable& open_map(RocksDbBackend& backend, const std::string& name = "maps") {
  return *value_or_fail(
      backend.open_map(describe<K, MapOf<MK, MV>>(name), {&type_ops<MK>(), &type_ops<MV>(), {}}));
}

/// Makes backends, and takes their snapshots.
class Setup {
 public:
  std::unique_ptr<RocksDbBackend> make(KeyGroupRange key_groups = {0, 127},
                                       std::size_t memory_bytes = std::size_t{4} << 20,
                                       Clock* clock = nullptr) {
    RocksDbSettings settings;
    settings.local_directory = directory_.file("local");
    settings.memory_bytes = memory_bytes;
    auto backend = std::make_unique<RocksDbBackend>(
        RocksDbBackend::Options{"test", 128, key_groups, settings, executor_.runner(), clock});
    EXPECT_TRUE(backend->open().ok());
    return backend;
  }
  /// What copy_all() completes.
  void start(RocksDbBackend& backend, bool is_state_file, std::optional<Result<Files>>& result) {
    RocksDbBackend::SnapshotOptions options;
    options.checkpoint = ++checkpoint_;
    options.files = &local_file_system();
    options.is_state_file = is_state_file;
    options.new_file = [this](std::string_view hint) {
      std::string path =
          directory_.file("f" + std::to_string(next_file_++) + "-" + std::string(hint));
      return RocksDbBackend::NewFile{path, path};
    };
    options.on_done = [&](Result<Files> files) { result.emplace(std::move(files)); };
    backend.start_snapshot(std::move(options));
  }
  Files copy_all(RocksDbBackend& backend, std::optional<Result<Files>>& result) {
    while (backend.copy_slice(7) != RocksDbBackend::CopyProgress::kDone) {
    }
    executor_.run_all();
    EXPECT_TRUE(result.has_value());
    return value_or_fail(std::move(*result));
  }
  Files snapshot(RocksDbBackend& backend, bool is_state_file = false) {
    std::optional<Result<Files>> result;
    start(backend, is_state_file, result);
    return copy_all(backend, result);
  }
  static void restore(RocksDbBackend& backend, const std::vector<Files>& of_subtasks,
                      bool are_state_files = false) {
    std::vector<RocksDbBackend::RestoreFrom> from;
    std::vector<RestoreFile> state_files;
    for (const Files& files : of_subtasks) {
      for (const RocksDbFile& file : files) {
        from.push_back({file.name, file});
        state_files.push_back({file.name, file.file});
      }
    }
    const Status status = are_state_files
                              ? backend.restore_state_files(local_file_system(), state_files)
                              : backend.restore(local_file_system(), from);
    ASSERT_TRUE(status.ok()) << status.error().message;
  }
  std::string file() { return directory_.file("h" + std::to_string(next_file_++)); }
  void run_all() { executor_.run_all(); }

 private:
  TemporaryDirectory directory_;
  ManualExecutor executor_;
  CheckpointId checkpoint_ = 0;
  int next_file_ = 0;
};

template <class T>
T item(int number) {
  if constexpr (std::is_same_v<T, std::string>) {
    // Some are the beginning of others.
    return std::string(static_cast<std::size_t>(number % 7), 'x') + std::to_string(number / 3);
  } else {
    return static_cast<T>(number * 0x01'01'01);
  }
}

/// Random operations on maps in RocksDB, next to plain maps.
template <class K, class MK, class MV>
class Model {
 public:
  Model(std::uint64_t seed, int keys, int map_keys)
      : random_(seed), keys_(keys), map_keys_(map_keys) {
    start({}, false, 1);
  }

  void run(int rounds, int operations) {
    for (int round = 0; round < rounds && !::testing::Test::HasFailure(); ++round) {
      operate(operations);
      crash_and_restore(operations);
      check_all();
    }
  }

 private:
  using Map = std::map<MK, MV>;
  struct Subtask {
    KeyGroupRange key_groups;
    std::unique_ptr<RocksDbBackend> backend;
    MapTable* table = nullptr;
  };

  int pick(int below) { return static_cast<int>(random_() % static_cast<std::uint64_t>(below)); }

  void start(const std::vector<Files>& files, bool are_state_files, int parallelism) {
    subtasks_.clear();
    for (int i = 0; i < parallelism; ++i) {
      Subtask subtask;
      subtask.key_groups = key_groups_of_subtask(i, 128, parallelism);
      subtask.backend = setup_.make(subtask.key_groups, std::size_t{1} << 20);
      if (!files.empty()) {
        Setup::restore(*subtask.backend, files, are_state_files);
      }
      subtask.table = &open_map<K, MK, MV>(*subtask.backend);
      EXPECT_TRUE(subtask.backend->finish_restore().ok());
      subtasks_.push_back(std::move(subtask));
    }
  }

  /// The state of one key; `current` has to outlive it.
  MapState<MK, MV> state_of(const K& key, detail::CurrentKey& current) {
    current = {&key, key_hash(key)};
    const int group = key_group_of(current.hash, 128);
    for (const Subtask& subtask : subtasks_) {
      if (subtask.key_groups.contains(group)) {
        return {subtask.table, &current};
      }
    }
    return {};
  }

  void operate(int operations) {
    for (int i = 0; i < operations; ++i) {
      const K key = item<K>(pick(keys_));
      const MK map_key = item<MK>(pick(map_keys_));
      detail::CurrentKey current;
      MapState<MK, MV> state = state_of(key, current);
      Map& map = model_[key];
      switch (pick(12)) {
        case 0:
        case 1:
        case 2: {
          const MV value = item<MV>(pick(1000));
          state.put(map_key, value);
          map[map_key] = value;
          break;
        }
        case 3:
        case 4:
          state.mutable_value(map_key) = item<MV>(i);
          map[map_key] = item<MV>(i);
          break;
        case 5:
        case 6:
          state.remove(map_key);
          map.erase(map_key);
          break;
        case 7:
          if (pick(10) == 0) {
            state.clear();
            map.clear();
          }
          break;
        case 8:
          check(state, map);
          break;
        case 9:
          if (pick(20) == 0) {
            subtasks_[0].backend->write_all_down();
          } else if (pick(4) == 0) {
            setup_.run_all();
          }
          break;
        default: {
          const MV* found = state.get(map_key);
          const auto expected = map.find(map_key);
          ASSERT_EQ(found != nullptr, expected != map.end());
          if (found != nullptr) {
            ASSERT_EQ(*found, expected->second);
          }
        }
      }
    }
  }

  static void check(MapState<MK, MV>& state, const Map& map) {
    ASSERT_EQ(state.empty(), map.empty());
    Map seen;
    state.for_each([&](const MK& key, const MV& value) {
      ASSERT_TRUE(seen.emplace(key, value).second) << "an entry comes twice";
    });
    ASSERT_EQ(seen, map);
    const auto* entries = state.entries();
    ASSERT_EQ(entries == nullptr, map.empty());
    if (entries != nullptr) {
      ASSERT_EQ(Map(entries->begin(), entries->end()), map);
    }
  }
  void check_all() {
    for (int i = 0; i < keys_; ++i) {
      const K key = item<K>(i);
      detail::CurrentKey current;
      MapState<MK, MV> state = state_of(key, current);
      check(state, model_[key]);
    }
  }

  /// Snapshots of all subtasks as of now; the state goes on while they are taken, and is lost.
  void crash_and_restore(int operations) {
    const bool is_state_file = pick(2) == 0;
    const std::map<K, Map> at_the_barrier = model_;
    std::vector<std::optional<Result<Files>>> results(subtasks_.size());
    for (std::size_t i = 0; i < subtasks_.size(); ++i) {
      setup_.start(*subtasks_[i].backend, is_state_file, results[i]);
    }
    operate(operations / 4);
    std::vector<Files> files;
    for (std::size_t i = 0; i < subtasks_.size(); ++i) {
      files.push_back(setup_.copy_all(*subtasks_[i].backend, results[i]));
    }
    operate(operations / 8);
    model_ = at_the_barrier;
    if (is_state_file && pick(2) == 0) {
      files = {through_the_heap(files)};
    }
    start(files, is_state_file, 1 + pick(3));
  }

  /// The heap backend reads the same maps, and what it writes is read again.
  Files through_the_heap(const std::vector<Files>& files) {
    HeapBackend heap({"test", 128, {0, 127}});
    std::vector<RestoreFile> from;
    for (const Files& of_subtask : files) {
      from.push_back({of_subtask[0].name, of_subtask[0].file});
    }
    EXPECT_TRUE(heap.restore(local_file_system(), from).ok());
    StateTable* const table = value_or_fail(heap.open_table(describe<K, MapOf<MK, MV>>("maps")));
    EXPECT_TRUE(heap.finish_restore().ok());
    std::map<K, Map> found;
    table->for_each(kNoNamespace, [&](const void* key, std::uint32_t, const void* value) {
      const auto& map = *static_cast<const MapOf<MK, MV>*>(value);
      found[*static_cast<const K*>(key)] = Map(map.begin(), map.end());
    });
    std::map<K, Map> expected = model_;
    std::erase_if(expected, [](const auto& entry) { return entry.second.empty(); });
    EXPECT_EQ(found, expected);
    const RestoreFile written = take_snapshot(heap, local_file_system(), setup_.file());
    return {{written.path, written.expected, {}}};
  }

  Setup setup_;
  std::mt19937_64 random_;
  const int keys_;
  const int map_keys_;
  std::vector<Subtask> subtasks_;
  std::map<K, Map> model_;
};

TEST(RocksMapModel, StringKeysWithStringKeys) {
  Model<std::string, std::string, std::string>(1, 40, 60).run(30, 3'000);
}
TEST(RocksMapModel, FewKeysWithManyEntries) {
  Model<std::int64_t, std::int32_t, std::int64_t>(2, 3, 5'000).run(20, 8'000);
}
TEST(RocksMapModel, ManyKeysWithFewEntries) {
  Model<std::int64_t, std::string, std::int64_t>(3, 3'000, 4).run(15, 10'000);
}

class RocksMapTableTest : public ::testing::Test, protected Setup {};

TEST_F(RocksMapTableTest, AMapMayBeLargerThanMemory) {
  const auto backend = make();
  const std::string key = "one";
  const detail::CurrentKey current{.key = &key, .hash = key_hash(key)};
  MapState<std::int64_t, std::int64_t> state(
      &open_map<std::string, std::int64_t, std::int64_t>(*backend), &current);
  constexpr std::int64_t kEntries = 200'000;
  for (std::int64_t i = 0; i < kEntries; ++i) {
    state.put(i, 3 * i);
    if (i % 1000 == 0) {
      run_all();
      ASSERT_LT(backend->memory_bytes(), std::size_t{4} << 20);
    }
  }
  for (std::int64_t i = 0; i < kEntries; i += 997) {
    ASSERT_EQ(*state.get(i), 3 * i);
  }
  std::int64_t entries = 0;
  std::int64_t sum = 0;
  state.for_each([&](std::int64_t /*key*/, std::int64_t value) {
    ++entries;
    sum += value;
  });
  EXPECT_EQ(entries, kEntries);
  EXPECT_EQ(sum, 3 * (kEntries * (kEntries - 1) / 2));
  EXPECT_LT(backend->memory_bytes(), std::size_t{4} << 20);
  state.clear();
  EXPECT_TRUE(state.empty());
  EXPECT_EQ(backend->entry_count(), 0U);
}

// Before there were entries one by one, a map was one value; and a program may declare it as one.
TEST_F(RocksMapTableTest, MapsThatWereStoredWholeAreTakenApartAndBack) {
  using Map = MapOf<std::string, std::int64_t>;
  Files files;
  {
    const auto backend = make();
    StateTable& whole = *value_or_fail(backend->open_table(describe<std::int64_t, Map>("maps")));
    for (std::int64_t key = 0; key < 500; ++key) {
      put<std::int64_t, Map>(whole, kNoNamespace, key, {{"a", key}, {"b", -key}});
    }
    files = snapshot(*backend);
  }
  for (int generation = 0; generation < 2; ++generation) {
    const auto backend = make();
    restore(*backend, {files});
    const std::int64_t key = 77;
    const detail::CurrentKey current{.key = &key, .hash = key_hash(key)};
    MapState<std::string, std::int64_t> state(
        &open_map<std::int64_t, std::string, std::int64_t>(*backend), &current);
    EXPECT_EQ(backend->entry_count(), 1'000U);
    ASSERT_NE(state.entries(), nullptr);
    EXPECT_THAT(*state.entries(), UnorderedElementsAre(Pair("a", 77), Pair("b", -77)));
    files = snapshot(*backend);
  }
  const auto backend = make();
  restore(*backend, {files});
  StateTable& whole = *value_or_fail(backend->open_table(describe<std::int64_t, Map>("maps")));
  EXPECT_EQ(whole.size(kNoNamespace), 500U);
  const std::int64_t key = 78;
  EXPECT_EQ(*static_cast<const Map*>(whole.find(kNoNamespace, &key, key_hash(key))),
            (Map{{"a", 78}, {"b", -78}}));
  const auto refused = backend->open_map(describe<std::int64_t, Map>("maps"),
                                         {&type_ops<std::string>(), &type_ops<std::int64_t>(), {}});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("is open already"));
}

TEST_F(RocksMapTableTest, DeltasOfTheHeapBackendAreApplied) {
  using Map = MapOf<std::string, std::int64_t>;
  HeapBackend heap(
      {.owner = "test", .max_parallelism = 128, .key_groups = {0, 127}, .is_incremental = true});
  StateTable& whole = *value_or_fail(heap.open_table(describe<std::int64_t, Map>("maps")));
  for (std::int64_t key = 0; key < 100; ++key) {
    put<std::int64_t, Map>(whole, kNoNamespace, key, {{"a", key}});
  }
  put<std::int64_t, Map>(whole, kNoNamespace, 100, {});  // as a ValueState may hold it
  put<std::int64_t, Map>(whole, kNoNamespace, 101, {});
  const RestoreFile first = take_snapshot(heap, local_file_system(), file(), 1);
  const std::int64_t erased = 3;
  EXPECT_TRUE(whole.erase(kNoNamespace, &erased, key_hash(erased)));
  put<std::int64_t, Map>(whole, kNoNamespace, 5, {{"b", 50}, {"c", 51}});
  put<std::int64_t, Map>(whole, kNoNamespace, 100, {{"d", 52}});
  put<std::int64_t, Map>(whole, kNoNamespace, 200, {{"a", 53}});
  const RestoreFile second = take_snapshot(heap, local_file_system(), file(), 2, 1);
  const auto backend = make();
  ASSERT_TRUE(backend->restore_state_files(local_file_system(), {first, second}).ok());
  MapTable& maps = open_map<std::int64_t, std::string, std::int64_t>(*backend);
  const auto map_of = [&](std::int64_t key) {
    const detail::CurrentKey current{.key = &key, .hash = key_hash(key)};
    MapState<std::string, std::int64_t> state(&maps, &current);
    const Map* const all = state.entries();
    return all == nullptr ? Map() : *all;
  };
  EXPECT_EQ(map_of(2), (Map{{"a", 2}}));
  EXPECT_EQ(map_of(3), Map());
  EXPECT_EQ(map_of(5), (Map{{"b", 50}, {"c", 51}}));
  EXPECT_EQ(map_of(100), (Map{{"d", 52}}));
  EXPECT_EQ(map_of(101), Map());
  EXPECT_EQ(map_of(200), (Map{{"a", 53}}));
  EXPECT_EQ(backend->entry_count(), 102U);
}

TEST_F(RocksMapTableTest, ValuesOfAnotherSchemaAreRewritten) {
  const std::int64_t key = 5;
  const detail::CurrentKey current{.key = &key, .hash = key_hash(key)};
  Files files;
  {
    const auto backend = make();
    MapState<std::string, Narrow> state(&open_map<std::int64_t, std::string, Narrow>(*backend),
                                        &current);
    state.put("a", {1});
    state.put("b", {2});
    files = snapshot(*backend);
  }
  const auto backend = make();
  restore(*backend, {files});
  MapState<std::string, Wide> state(&open_map<std::int64_t, std::string, Wide>(*backend), &current);
  ASSERT_NE(state.entries(), nullptr);
  EXPECT_THAT(*state.entries(), UnorderedElementsAre(Pair("a", Wide{1, 7}), Pair("b", Wide{2, 7})));
  const auto other = make();
  restore(*other, {files});
  using Text = MapOf<std::string, std::string>;
  const auto refused = other->open_map(describe<std::int64_t, Text>("maps"),
                                       {&type_ops<std::string>(), &type_ops<std::string>(), {}});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("stored as"));
}

TEST_F(RocksMapTableTest, MapsThatNobodyOpensAreCarriedOn) {
  const std::int64_t key = 5;
  const detail::CurrentKey current{.key = &key, .hash = key_hash(key)};
  for (const bool is_state_file : {false, true}) {
    Files files;
    {
      const auto backend = make();
      MapState<std::string, std::int64_t> state(
          &open_map<std::int64_t, std::string, std::int64_t>(*backend), &current);
      state.put("a", 1);
      state.put("b", 2);
      files = snapshot(*backend);
    }
    {
      const auto backend = make();
      restore(*backend, {files});
      EXPECT_THAT(value_or_fail(backend->finish_restore()), ::testing::ElementsAre("maps"));
      files = snapshot(*backend, is_state_file);
    }
    const auto backend = make();
    restore(*backend, {files}, is_state_file);
    MapState<std::string, std::int64_t> state(
        &open_map<std::int64_t, std::string, std::int64_t>(*backend), &current);
    ASSERT_NE(state.entries(), nullptr);
    EXPECT_THAT(*state.entries(), UnorderedElementsAre(Pair("a", 1), Pair("b", 2)));
  }
}

/// MapState with a time to live does the same on both backends.
class MapTtlOnBothBackends : public RocksMapTableTest {
 protected:
  using Key = std::int64_t;
  using State = MapState<std::string, std::int64_t>;
  using Entry = detail::Expiring<std::int64_t>;

  void run(const StateTtlConfig& config, std::uint64_t seed) {
    TestClock clock;
    const auto rocks = make({0, 127}, std::size_t{4} << 20, &clock);
    HeapBackend heap({"test", 128, {0, 127}});
    const auto rule = std::make_shared<detail::TtlRule>(config, kMinTimestamp);
    detail::CurrentKey current;
    MapTable& map = *value_or_fail(rocks->open_map(
        describe<Key, State::ExpiringMap>("maps"),
        {&type_ops<std::string>(), &type_ops<Entry>(), detail::expiry_in_backend<Entry>(config)}));
    StateTable& table = *value_or_fail(heap.open_table(describe<Key, State::ExpiringMap>("maps")));
    State in_rocks(&map, &current, rule);
    State in_heap(&table, &current, rule);
    detail::MapTtlCleaner<Entry> rocks_cleaner(map, rule);
    detail::TableTtlCleaner<Key, State::ExpiringMap> heap_cleaner(table, rule);
    std::mt19937_64 random(seed);
    const auto pick = [&](std::uint64_t below) { return random() % below; };
    TimestampMs now = 1'000'000;
    clock.advance_ms(now);
    for (int i = 0; i < 20'000; ++i) {
      const Key key = static_cast<Key>(pick(20));
      current = {&key, key_hash(key)};
      const std::string map_key = std::to_string(pick(10));
      const auto passed = static_cast<TimestampMs>(pick(5));
      now += passed;
      clock.advance_ms(passed);
      rule->now = now;
      switch (pick(8)) {
        case 0:
        case 1:
          in_rocks.put(map_key, i);
          in_heap.put(map_key, i);
          break;
        case 2:
          ASSERT_EQ(in_rocks.mutable_value(map_key) += 1, in_heap.mutable_value(map_key) += 1);
          break;
        case 3:
          in_rocks.remove(map_key);
          in_heap.remove(map_key);
          break;
        case 4: {
          const State::Map* const a = in_rocks.entries();
          const State::Map* const b = in_heap.entries();
          ASSERT_EQ(a == nullptr, b == nullptr);
          ASSERT_TRUE(a == nullptr || *a == *b);
          break;
        }
        case 5:
          ASSERT_EQ(in_rocks.empty(), in_heap.empty());
          break;
        case 6:
          if (pick(50) == 0) {
            in_rocks.clear();
            in_heap.clear();
          }
          if (pick(50) == 0) {
            rocks->write_all_down();
          }
          if (config.cleanup_incrementally > 0) {
            rocks_cleaner.on_records(100, now);
            heap_cleaner.on_records(100, now);
          }
          break;
        default: {
          const std::int64_t* const a = in_rocks.get(map_key);
          const std::int64_t* const b = in_heap.get(map_key);
          ASSERT_EQ(a == nullptr, b == nullptr);
          ASSERT_TRUE(a == nullptr || *a == *b);
        }
      }
      if (i % 100 == 0) {
        run_all();
      }
    }
    if (config.cleanup_incrementally > 0 && !config.cleanup_in_rocksdb_compact_filter) {
      for (int i = 0; i < 10; ++i) {
        rocks_cleaner.on_records(1'000, now + 1'000'000);
      }
      EXPECT_EQ(rocks->entry_count(), 0U);
    }
  }
};

TEST_F(MapTtlOnBothBackends, WritesRefresh) {
  StateTtlConfig config;
  config.ttl = std::chrono::milliseconds(200);
  run(config, 1);
}
TEST_F(MapTtlOnBothBackends, ReadsRefreshToo) {
  StateTtlConfig config;
  config.ttl = std::chrono::milliseconds(200);
  config.update_type = StateTtlConfig::UpdateType::kOnReadAndWrite;
  run(config, 2);
}
TEST_F(MapTtlOnBothBackends, ExpiredValuesAreReturnedUntilTheyAreCleanedUp) {
  StateTtlConfig config;
  config.ttl = std::chrono::milliseconds(200);
  config.state_visibility = StateTtlConfig::StateVisibility::kReturnExpiredIfNotCleanedUp;
  config.cleanup_incrementally = 0;
  config.cleanup_in_rocksdb_compact_filter = false;
  run(config, 3);
}
TEST_F(MapTtlOnBothBackends, CleanUpFindsEveryEntry) {
  StateTtlConfig config;
  config.ttl = std::chrono::milliseconds(200);
  config.cleanup_incrementally = 5;
  config.cleanup_in_rocksdb_compact_filter = false;
  run(config, 4);
}

}  // namespace
}  // namespace weir::state::test
