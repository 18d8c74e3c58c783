// What a backend may keep in memory, and what it reads to have it there.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/machine_memory.h"
#include "state/rocksdb/rocksdb_backend.h"
#include "state/rocksdb/value_cache.h"
#include "state/test_support.h"

namespace weir::state::test {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

class RocksCacheTest : public ::testing::Test {
 protected:
  /// Half of the memory is for values.
  std::unique_ptr<RocksDbBackend> make(std::size_t memory_bytes) {
    RocksDbSettings settings;
    settings.memory_bytes = memory_bytes;
    settings.local_directory = directory_.file("local");
    auto backend = std::make_unique<RocksDbBackend>(
        RocksDbBackend::Options{"test", 128, {0, 127}, settings, executor_.runner()});
    EXPECT_TRUE(backend->open().ok());
    return backend;
  }
  template <class V>
  static StateTable& open(RocksDbBackend& backend, const std::string& name) {
    return *value_or_fail(backend.open_table(describe<std::int64_t, V>(name)));
  }
  template <class V>
  static V& get(StateTable& table, std::int64_t key) {
    return *static_cast<V*>(table.find_or_create(kNoNamespace, &key, key_hash(key)));
  }
  template <class V>
  static const V* find(StateTable& table, std::int64_t key) {
    return static_cast<const V*>(table.find(kNoNamespace, &key, key_hash(key)));
  }
  static void put_sums(StateTable& table, std::int64_t first, std::int64_t count) {
    for (std::int64_t key = first; key < first + count; ++key) {
      get<std::int64_t>(table, key) = 10 * key;
    }
  }
  /// A checkpoint that nobody wants, but for what a barrier does to the backend.
  void barrier(RocksDbBackend& backend) {
    RocksDbBackend::SnapshotOptions options;
    options.checkpoint = ++checkpoint_;
    options.files = &local_file_system();
    options.new_file = [this](std::string_view hint) {
      std::string path =
          directory_.file("f" + std::to_string(next_file_++) + "-" + std::string(hint));
      return RocksDbBackend::NewFile{path, path};
    };
    options.on_done = [](const Result<std::vector<RocksDbFile>>& files) {
      EXPECT_TRUE(files.ok());
    };
    backend.start_snapshot(std::move(options));
    while (backend.copy_slice() != RocksDbBackend::CopyProgress::kDone) {
    }
    executor_.run_all();
  }

  TemporaryDirectory directory_;
  ManualExecutor executor_;
  CheckpointId checkpoint_ = 0;
  int next_file_ = 0;
};

/// What the process really has; a sanitizer keeps what was freed.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kIsMemoryReal = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kIsMemoryReal = false;
#else
constexpr bool kIsMemoryReal = true;
#endif
#else
constexpr bool kIsMemoryReal = true;
#endif
std::int64_t resident_mib() { return resident_memory_bytes() / static_cast<std::int64_t>(kMiB); }

TEST_F(RocksCacheTest, ValuesThatOwnMemoryTakeNoMoreThanTheyMay) {
  if (!kIsMemoryReal) {
    GTEST_SKIP() << "a sanitizer keeps what was freed";
  }
  const std::int64_t before = resident_mib();
  const auto backend = make(16 * kMiB);
  StateTable& blobs = open<std::string>(*backend, "blobs");
  std::int64_t peak = 0;
  for (std::int64_t key = 0; key < 10'000; ++key) {  // 100 MB between two checkpoints
    get<std::string>(blobs, key).assign(10'000, static_cast<char>('a' + key % 26));
    if (key % 64 == 0) {
      executor_.run_all();
      peak = std::max(peak, resident_mib());
    }
  }
  EXPECT_LT(peak - before, 50);
  for (std::int64_t key = 0; key < 10'000; key += 371) {
    ASSERT_EQ(*find<std::string>(blobs, key),
              std::string(10'000, static_cast<char>('a' + key % 26)));
  }
}

TEST_F(RocksCacheTest, ListsThatGrowInPlaceTakeNoMoreThanTheyMay) {
  if (!kIsMemoryReal) {
    GTEST_SKIP() << "a sanitizer keeps what was freed";
  }
  constexpr std::int64_t kKeys = 2000;
  using List = std::vector<std::string>;
  const auto backend = make(8 * kMiB);
  StateTable& lists = open<List>(*backend, "lists");
  const std::int64_t before = resident_mib();
  std::int64_t peak = 0;
  for (int round = 0; round < 20; ++round) {  // 160 MB in the end
    for (std::int64_t key = 0; key < kKeys; ++key) {
      get<List>(lists, key).emplace_back(4096, static_cast<char>('a' + round));
      if (key % 16 == 0) {
        executor_.run_all();
        peak = std::max(peak, resident_mib());
      }
    }
  }
  EXPECT_LT(peak - before, 80);
  for (std::int64_t key = 0; key < kKeys; key += 7) {
    ASSERT_EQ(find<List>(lists, key)->size(), 20U);
  }
}

TEST_F(RocksCacheTest, AScanThatIsOpenKeepsNoValues) {
  constexpr std::int64_t kKeys = 100'000;
  const auto backend = make(4 * kMiB);
  StateTable& sums = open<std::int64_t>(*backend, "sums");
  put_sums(sums, 0, kKeys);
  std::set<std::int64_t> visited;
  StateTable::ScanPosition position;
  const auto portion = [&](std::size_t entries) {
    return sums.scan(kNoNamespace, position, entries,
                     [&](std::size_t count, const void* const* keys, const std::uint32_t*,
                         const void* const* values) {
                       for (std::size_t i = 0; i < count; ++i) {
                         const auto key = *static_cast<const std::int64_t*>(keys[i]);
                         ASSERT_TRUE(visited.insert(key).second) << key;
                         ASSERT_EQ(*static_cast<const std::int64_t*>(values[i]), 10 * key);
                       }
                     });
  };
  ASSERT_TRUE(portion(1'000));
  for (std::int64_t first = 0; first < kKeys; first += 1'000) {
    put_sums(sums, first, 1'000);  // values that are there already
    executor_.run_all();
    ASSERT_LT(backend->memory_bytes(), 3 * kMiB);
    if (first % 10'000 == 0) {
      ASSERT_TRUE(portion(3'000));
    }
  }
  while (portion(5'000)) {
  }
  EXPECT_EQ(visited.size(), static_cast<std::size_t>(kKeys));
}

TEST_F(RocksCacheTest, LargeValuesThatAreReadStayWithinMemory) {
  constexpr std::int64_t kKeys = 2'000;
  constexpr std::size_t kBytes = 20'000;
  constexpr std::int64_t kHeld = 64;  // reads whose pointers stay valid in any case
  const auto backend = make(8 * kMiB);
  StateTable& blobs = open<std::string>(*backend, "blobs");
  for (std::int64_t key = 0; key < kKeys; ++key) {
    get<std::string>(blobs, key).assign(kBytes, static_cast<char>('a' + key % 26));
  }
  backend->write_all_down();
  std::vector<const std::string*> held;
  for (std::int64_t key = 0; key < kKeys; ++key) {
    held.push_back(find<std::string>(blobs, key));
    ASSERT_NE(held.back(), nullptr);
    ASSERT_LT(backend->memory_bytes(), 7 * kMiB);
    if (key >= kHeld) {
      const std::int64_t earlier = key - kHeld + 1;
      ASSERT_EQ(held[static_cast<std::size_t>(earlier)]->at(kBytes - 1), 'a' + earlier % 26);
    }
  }
}

TEST_F(RocksCacheTest, ErasingMakesRoom) {
  constexpr std::int64_t kKeys = 100'000;
  const auto backend = make(4 * kMiB);
  StateTable& sums = open<std::int64_t>(*backend, "sums");
  put_sums(sums, 0, kKeys);
  for (std::int64_t key = 0; key < kKeys; ++key) {
    ASSERT_TRUE(sums.erase(kNoNamespace, &key, key_hash(key)));
    ASSERT_LT(backend->memory_bytes(), 3 * kMiB);
  }
  EXPECT_EQ(sums.size(kNoNamespace), 0U);
}

TEST_F(RocksCacheTest, AStateThatIsNotUsedAnyMoreGivesWay) {
  constexpr std::int64_t kKeys = 100'000;
  const auto backend = make(8 * kMiB);
  StateTable& first = open<std::int64_t>(*backend, "first");
  StateTable& second = open<std::int64_t>(*backend, "second");
  put_sums(first, 0, kKeys);
  backend->write_all_down();
  put_sums(second, 0, kKeys);
  EXPECT_LT(backend->memory_bytes(), 5 * kMiB);  // 4 are for values, and a quarter of that on top
}

TEST_F(RocksCacheTest, AnOperatorThatGetsNothingGivesWayAtBarriers) {
  constexpr std::int64_t kKeys = 100'000;
  const auto idle = make(8 * kMiB);
  put_sums(open<std::int64_t>(*idle, "sums"), 0, kKeys);
  idle->write_all_down();
  EXPECT_GT(idle->memory_bytes(), 3 * kMiB);
  const auto busy = make(8 * kMiB);
  put_sums(open<std::int64_t>(*busy, "sums"), 0, kKeys);
  barrier(*idle);
  barrier(*idle);
  EXPECT_LT(idle->memory_bytes() + busy->memory_bytes(), 5 * kMiB);
}

TEST(ValueCache, ChunksWithoutNodesAreGivenBack) {
  ValueCache cache(type_ops<std::int64_t>(), type_ops<std::int64_t>(), nullptr);
  ValueCache::Space& space = cache.add_space(kNoNamespace);
  const auto insert = [&](std::int64_t key) {
    const std::uint32_t hash = key_hash(key);
    return cache.insert(space, hash, cache.tag_of(space.id, hash, &key), &key);
  };
  std::vector<std::uint32_t> nodes;
  for (std::int64_t key = 0; key < 100'000; ++key) {
    nodes.push_back(insert(key));
  }
  const std::size_t full = cache.bytes();
  EXPECT_GT(full, 100'000 * cache.node_bytes());
  for (std::size_t i = 1'000; i < nodes.size(); ++i) {
    cache.remove(nodes[i]);
  }
  EXPECT_LT(cache.bytes(), full / 10);
  // Numbers that somebody remembers say that nothing is there.
  EXPECT_TRUE(cache.is_used(nodes.front()));
  EXPECT_FALSE(cache.is_used(nodes.back()));
  std::set<std::uint32_t> present(nodes.begin(), nodes.begin() + 1'000);
  for (std::int64_t key = 200'000; key < 250'000; ++key) {
    ASSERT_TRUE(present.insert(insert(key)).second);
  }
  EXPECT_EQ(cache.node_count(), 51'000U);
}

class RocksPrefetchTest : public RocksCacheTest {
 protected:
  static constexpr std::int64_t kKeys = 100'000;
  static constexpr std::size_t kBatch = 1'000;

  RocksPrefetchTest() : backend_(make(4 * kMiB)), sums_(open<std::int64_t>(*backend_, "sums")) {
    put_sums(sums_, 0, kKeys);
    backend_->write_all_down();
    backend_->evict_all();
  }
  /// A batch of any keys, prefetched.
  const std::vector<std::int64_t>& next_batch() {
    keys_.clear();
    hashes_.clear();
    for (std::size_t i = 0; i < kBatch; ++i) {
      keys_.push_back(static_cast<std::int64_t>(
          random_() % static_cast<std::uint64_t>(2 * kKeys)));  // half are not there
      hashes_.push_back(key_hash(keys_.back()));
    }
    sums_.prefetch(kNoNamespace, {reinterpret_cast<const std::byte*>(keys_.data()),
                                  sizeof(std::int64_t), hashes_.data(), keys_.size()});
    return keys_;
  }

  std::unique_ptr<RocksDbBackend> backend_;
  StateTable& sums_;
  std::mt19937_64 random_{5};
  std::vector<std::int64_t> keys_;
  std::vector<std::uint32_t> hashes_;
};

TEST_F(RocksPrefetchTest, TheKeysOfABatchAreReadTogether) {
  const std::uint64_t before = backend_->reads().single;
  for (int batch = 0; batch < 100; ++batch) {
    for (const std::int64_t key : next_batch()) {
      auto& value = get<std::int64_t>(sums_, key);
      ASSERT_EQ(value == 0 || key == 0, key >= kKeys || key == 0) << key;
      value = key < kKeys ? value : 0;
    }
    executor_.run_all();
    ASSERT_LT(backend_->memory_bytes(), 3 * kMiB);
  }
  EXPECT_EQ(backend_->reads().single, before);
  EXPECT_GT(backend_->reads().together, 40'000U);
}

TEST_F(RocksPrefetchTest, WhatNobodyAsksForIsNotReadForLong) {
  const std::uint64_t before = backend_->reads().together;
  for (int batch = 0; batch < 200; ++batch) {
    next_batch();
  }
  EXPECT_LT(backend_->reads().together - before, 20 * kBatch);
  for (int batch = 0; batch < 300; ++batch) {  // until it tries again
    for (const std::int64_t key : next_batch()) {
      find<std::int64_t>(sums_, key);
    }
  }
  const std::uint64_t single = backend_->reads().single;
  for (const std::int64_t key : next_batch()) {
    find<std::int64_t>(sums_, key);
  }
  EXPECT_EQ(backend_->reads().single, single);
}

}  // namespace
}  // namespace weir::state::test
