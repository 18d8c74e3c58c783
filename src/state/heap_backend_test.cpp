#include "state/heap_backend.h"

#include <string>
#include <vector>

#include "state/test_support.h"

namespace weir::state::test {

// Outside the unnamed namespace: clang warns of reflected types that have internal linkage.
namespace backend_types {
struct Sum {
  std::uint64_t sum = 0;
  std::uint64_t count = 0;
};
}  // namespace backend_types

namespace {

using backend_types::Sum;

/// Counts its instances.
struct Counted {
  static inline int alive = 0;
  std::int64_t value = 0;
  Counted() { ++alive; }
  Counted(const Counted& other) : value(other.value) { ++alive; }
  Counted(Counted&& other) noexcept : value(other.value) { ++alive; }
  Counted& operator=(const Counted&) = default;
  ~Counted() { --alive; }
};

}  // namespace
}  // namespace weir::state::test

template <>
struct weir::Codec<weir::state::test::Counted> {
  static std::string schema() { return "counted"; }
  static void encode(const state::test::Counted& value, Encoder& out) { out.raw(value.value); }
  static void decode(Decoder& in, state::test::Counted& value) {
    value.value = in.raw<std::int64_t>();
  }
};

namespace weir::state::test {
namespace {

void fill(StateTable& table, StateNamespace ns, std::uint64_t begin, std::uint64_t end) {
  std::vector<std::uint64_t> keys;
  std::vector<std::uint32_t> hashes;
  std::vector<void*> values(1024);
  for (std::uint64_t key = begin; key < end; ++key) {
    keys.push_back(key);
    hashes.push_back(key_hash(key));
    if (keys.size() == values.size() || key + 1 == end) {
      table.upsert(ns,
                   {reinterpret_cast<const std::byte*>(keys.data()), sizeof(std::uint64_t),
                    hashes.data(), keys.size()},
                   values.data());
      keys.clear();
      hashes.clear();
    }
  }
}

TEST(HeapBackend, TakesAtMost60BytesPerKeyOf8WithAValueOf16) {
  HeapBackend backend({"memory", 128, {0, 127}});
  StateTable* table = value_or_fail(backend.open_table(describe<std::uint64_t, Sum>("sums")));
  for (std::uint64_t keys = 0; keys < 3'000'000; keys += 10'000) {
    fill(*table, 0, keys, keys + 10'000);
    ASSERT_EQ(backend.entry_count(), keys + 10'000);
    ASSERT_LE(static_cast<double>(backend.memory_bytes()),
              60.0 * static_cast<double>(keys + 10'000) + 16'384)
        << keys;
  }
}

TEST(HeapBackend, AScanInPortionsVisitsEveryEntryOnce) {
  for (const std::uint32_t split_entries : {ShardLimits().split_entries, 1000U}) {
    HeapBackend backend({"scan", 128, {0, 127}, {split_entries, {}}});
    StateTable* table = value_or_fail(backend.open_table(describe<std::uint64_t, Sum>("sums")));
    constexpr std::uint64_t kKeys = 10'000;
    fill(*table, 1, 0, kKeys);
    std::vector<int> visits(kKeys);
    StateTable::ScanPosition position;
    std::size_t portions = 0;
    bool has_more = true;
    while (has_more) {
      std::size_t entries = 0;
      has_more = table->scan(1, position, 700,
                             [&](std::size_t count, const void* const* keys, const std::uint32_t*,
                                 const void* const*) {
                               entries += count;
                               for (std::size_t i = 0; i < count; ++i) {
                                 ++visits[*static_cast<const std::uint64_t*>(keys[i])];
                               }
                             });
      EXPECT_LE(entries, 1000U);
      ++portions;
    }
    EXPECT_GE(portions, 10U);
    EXPECT_EQ(visits, std::vector<int>(kKeys, 1));
    StateTable::ScanPosition nowhere;
    EXPECT_FALSE(table->scan(2, nowhere, 700, [](auto...) { FAIL(); }));
  }
}

TEST(HeapBackend, ManyNamespacesOfOneKeyAreCheap) {
  HeapBackend backend({"windows", 128, {0, 127}});
  StateTable* table = value_or_fail(backend.open_table(describe<std::uint64_t, Sum>("sums")));
  for (int ns = 1; ns <= 10'000; ++ns) {
    fill(*table, ns, 0, 1);
  }
  EXPECT_LE(backend.memory_bytes() / 10'000, 400U);
  EXPECT_EQ(table->namespaces().size(), 10'000U);
}

TEST(HeapBackend, ADroppedWindowsMemoryIsUsedAgain) {
  HeapBackend backend({"windows", 128, {0, 127}});
  StateTable* table = value_or_fail(backend.open_table(describe<std::uint64_t, Sum>("sums")));
  fill(*table, 1, 0, 100'000);
  const std::size_t first = backend.memory_bytes();
  for (int ns = 2; ns < 20; ++ns) {
    table->drop_namespace(ns - 1);
    fill(*table, ns, 0, 100'000);
    EXPECT_EQ(table->size(ns), 100'000U);
  }
  EXPECT_LE(backend.memory_bytes(), first + first / 4);
}

TEST(HeapBackend, EmptiedNamespacesGoAway) {
  HeapBackend backend({"sessions", 128, {0, 127}});
  StateTable* table = value_or_fail(backend.open_table(describe<std::uint64_t, Sum>("sums")));
  const std::uint64_t key = 5;
  for (int ns = 1; ns < 100'000; ++ns) {
    table->find_or_create(ns, &key, key_hash(key));
    ASSERT_TRUE(table->erase(ns, &key, key_hash(key)));
  }
  EXPECT_TRUE(table->namespaces().empty());
  EXPECT_LE(backend.memory_bytes(), 100'000U);
}

TEST(HeapBackend, ValuesAreBornFromTheInitialValueAndDestroyedOnce) {
  Counted::alive = 0;
  {
    auto initial = std::make_shared<Counted>();
    initial->value = 42;
    HeapBackend backend({"objects", 128, {0, 127}});
    StateTableDescriptor descriptor = describe<std::uint64_t, Counted>("objects");
    descriptor.initial_value = initial;
    StateTable* table = value_or_fail(backend.open_table(descriptor));
    fill(*table, 1, 0, 20'000);
    const std::uint64_t key = 77;
    EXPECT_EQ(static_cast<const Counted*>(table->find(1, &key, key_hash(key)))->value, 42);
    EXPECT_EQ(Counted::alive, 20'001);
    EXPECT_TRUE(table->erase(1, &key, key_hash(key)));
    EXPECT_EQ(Counted::alive, 20'000);
    table->drop_namespace(1);
    EXPECT_EQ(table->size(1), 0U);
    // Cleaning up is spread over the following calls.
    for (int i = 0; i < 200; ++i) {
      fill(*table, 2, 0, 1);
    }
    EXPECT_EQ(Counted::alive, 2);
    fill(*table, 3, 0, 10'000);
  }
  EXPECT_EQ(Counted::alive, 0);
}

TEST(HeapBackend, ABarrierDuringASnapshotCompletesItFirst) {
  TemporaryDirectory directory;
  HeapBackend backend({"forced", 128, {0, 127}});
  StateTable* table = value_or_fail(backend.open_table(describe<std::uint64_t, Sum>("sums")));
  fill(*table, 0, 0, 50'000);
  PendingSnapshot first(local_file_system(), directory.file("first"));
  PendingSnapshot second(local_file_system(), directory.file("second"));
  backend.start_snapshot(first.sink);
  backend.copy_slice(100);
  fill(*table, 1, 0, 10);
  backend.start_snapshot(second.sink);
  EXPECT_EQ(backend.forced_completions(), 1U);
  while (backend.copy_slice() != HeapBackend::CopyProgress::kDone) {
    second.executor.run_all();
  }
  first.executor.run_all();
  second.executor.run_all();
  EXPECT_EQ(first.result->value().entries, 50'000U);
  EXPECT_EQ(second.result->value().entries, 50'010U);
}

TEST(HeapBackend, WaitsWhenTheSinkHasNoRoomButNeverLosesAnOverwrittenValue) {
  TemporaryDirectory directory;
  HeapBackend backend({"slow disk", 128, {0, 127}});
  StateTable* table = value_or_fail(backend.open_table(describe<std::uint64_t, Sum>("sums")));
  fill(*table, 0, 0, 200'000);
  PendingSnapshot pending(local_file_system(), directory.file("slow"), 1);
  backend.start_snapshot(pending.sink);
  while (backend.copy_slice() != HeapBackend::CopyProgress::kWaiting) {
  }
  EXPECT_EQ(backend.copy_slice(), HeapBackend::CopyProgress::kWaiting);
  fill(*table, 0, 0, 200'000);
  while (backend.copy_slice() != HeapBackend::CopyProgress::kDone) {
    pending.executor.run_all();
  }
  pending.executor.run_all();
  EXPECT_EQ(pending.result->value().entries, 200'000U);
}

TEST(HeapBackend, ClosingItAbandonsARunningSnapshot) {
  TemporaryDirectory directory;
  PendingSnapshot pending(local_file_system(), directory.file("closed"));
  {
    HeapBackend backend({"closed", 128, {0, 127}});
    StateTable* table = value_or_fail(backend.open_table(describe<std::uint64_t, Sum>("sums")));
    fill(*table, 0, 0, 100'000);
    backend.start_snapshot(pending.sink);
    backend.copy_slice(60'000);
  }
  pending.executor.run_all();
  ASSERT_TRUE(pending.result.has_value());
  EXPECT_EQ(pending.result->error().code, ErrorCode::kCancelled);
  EXPECT_FALSE(value_or_fail(local_file_system().exists(pending.path)));
}

TEST(HeapBackend, OpeningTwiceGivesTheSameTableAndOtherTypesAnError) {
  HeapBackend backend({"twice", 128, {0, 127}});
  StateTable* table = value_or_fail(backend.open_table(describe<std::uint64_t, Sum>("sums")));
  EXPECT_EQ(value_or_fail(backend.open_table(describe<std::uint64_t, Sum>("sums"))), table);
  EXPECT_FALSE(backend.open_table(describe<std::uint64_t, std::string>("sums")).ok());
  EXPECT_FALSE(backend.open_table(describe<std::int32_t, Sum>("sums")).ok());
}

TEST(HeapBackend, LargeValuesGetBlocksOfTheirOwn) {
  TemporaryDirectory directory;
  HeapBackend backend({"large", 128, {0, 127}});
  StateTable* table =
      value_or_fail(backend.open_table(describe<std::string, std::string>("blobs")));
  for (const char name : {'a', 'b', 'c', 'd'}) {
    const std::string key(1, name);
    *static_cast<std::string*>(table->find_or_create(0, &key, key_hash(key))) =
        std::string(name == 'b' ? 10 : 3'000'000, name);
  }
  const RestoreFile file = take_snapshot(backend, local_file_system(), directory.file("large"));
  HeapBackend restored({"large", 128, {0, 127}});
  ASSERT_TRUE(restored.restore(local_file_system(), {file}).ok());
  table = value_or_fail(restored.open_table(describe<std::string, std::string>("blobs")));
  const std::string key = "c";
  EXPECT_EQ(*static_cast<const std::string*>(table->find(0, &key, key_hash(key))),
            std::string(3'000'000, 'c'));
  EXPECT_EQ(table->size(0), 4U);
}

}  // namespace
}  // namespace weir::state::test
