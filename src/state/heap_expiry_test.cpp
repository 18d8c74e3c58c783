// What the heap's full snapshots leave out.

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include <gtest/gtest.h>

#include "state/test_clock.h"
#include "state/test_support.h"
#include "weir/state_ttl.h"

namespace weir::state::test {
namespace {

using Single = detail::Expiring<std::int64_t>;
using List = std::vector<detail::Expiring<std::string>>;

constexpr TimestampMs kTtl = 100;

class HeapExpiry : public ::testing::Test {
 protected:
  HeapBackend make(bool is_incremental = false) {
    HeapBackend::Options options{"test", 128, {0, 127}};
    options.is_incremental = is_incremental;
    options.clock = &clock_;
    return HeapBackend(options);
  }
  template <class Stored>
  static StateTable& open(HeapBackend& backend, const std::string& name, bool is_left_out = true) {
    StateTableDescriptor descriptor = describe<std::int64_t, Stored>(name);
    descriptor.expiry = detail::expiry_in_backend<Stored>(
        {.ttl = DurationMs(kTtl), .cleanup_full_snapshot = is_left_out});
    return *value_or_fail(backend.open_table(std::move(descriptor)));
  }
  /// Of keys 0 to 99 the even ones expire first.
  static TimestampMs time_of(std::int64_t key) { return key % 2 == 0 ? 0 : 1'000; }
  static void fill(StateTable& singles, StateTable& lists) {
    for (std::int64_t key = 0; key < 100; ++key) {
      put<std::int64_t, Single>(singles, kNoNamespace, key, {key, time_of(key)});
      put<std::int64_t, List>(lists, kNoNamespace, key, {{"old", 0}, {"new", time_of(key)}});
    }
  }
  static void expect_half(HeapBackend& backend) {
    StateTable& singles = open<Single>(backend, "singles");
    StateTable& lists = open<List>(backend, "lists");
    for (std::int64_t key = 0; key < 100; ++key) {
      const auto* const single =
          static_cast<const Single*>(singles.find(kNoNamespace, &key, key_hash(key)));
      const auto* const list =
          static_cast<const List*>(lists.find(kNoNamespace, &key, key_hash(key)));
      ASSERT_EQ(single != nullptr, key % 2 != 0) << key;
      ASSERT_EQ(list != nullptr, key % 2 != 0) << key;
      if (single != nullptr) {
        EXPECT_EQ(single->value, key);
        ASSERT_EQ(list->size(), 1U);
        EXPECT_EQ(list->front().value, "new");
      }
    }
    EXPECT_EQ(backend.entry_count(), 100U);
  }

  TemporaryDirectory directory_;
  LocalFileSystem files_;
  TestClock clock_;
};

TEST_F(HeapExpiry, SavepointsLeaveOutWhatHasExpired) {
  HeapBackend backend = make(true);
  StateTable& singles = open<Single>(backend, "singles");
  StateTable& lists = open<List>(backend, "lists");
  fill(singles, lists);
  clock_.advance_ms(1'050);
  const RestoreFile file = take_snapshot(backend, files_, directory_.file("savepoint"));
  EXPECT_EQ(backend.entry_count(), 200U) << "what is in use stays as it is";
  HeapBackend restored = make();
  ASSERT_TRUE(restored.restore(files_, {file}).ok());
  expect_half(restored);
}

TEST_F(HeapExpiry, WhatIsOverwrittenWhileASavepointIsTakenIsLeftOutToo) {
  HeapBackend backend = make();
  StateTable& singles = open<Single>(backend, "singles");
  StateTable& lists = open<List>(backend, "lists");
  fill(singles, lists);
  clock_.advance_ms(1'050);
  PendingSnapshot pending(files_, directory_.file("savepoint"));
  backend.start_snapshot(pending.sink);
  for (std::int64_t key = 0; key < 100; ++key) {
    put<std::int64_t, Single>(singles, kNoNamespace, key, {7, clock_.wall_ms()});
    put<std::int64_t, List>(lists, kNoNamespace, key, {});
  }
  while (backend.copy_slice() != HeapBackend::CopyProgress::kDone) {
    pending.executor.run_all();
  }
  pending.executor.run_all();
  HeapBackend restored = make();
  ASSERT_TRUE(restored.restore(files_, {pending.restore_file()}).ok());
  expect_half(restored);
}

TEST_F(HeapExpiry, WhatOthersBuildUponHoldsEverything) {
  HeapBackend backend = make(true);
  fill(open<Single>(backend, "singles"), open<List>(backend, "lists"));
  clock_.advance_ms(1'050);
  const RestoreFile base = take_snapshot(backend, files_, directory_.file("base"), 1);
  const RestoreFile delta = take_snapshot(backend, files_, directory_.file("delta"), 2, 1);
  HeapBackend restored = make();
  ASSERT_TRUE(restored.restore(files_, {base, delta}).ok());
  open<Single>(restored, "singles");
  open<List>(restored, "lists");
  EXPECT_EQ(restored.entry_count(), 200U);
}

TEST_F(HeapExpiry, NothingIsLeftOutUnlessAskedFor) {
  HeapBackend backend = make();
  StateTable& singles = open<Single>(backend, "singles", false);
  put<std::int64_t, Single>(singles, kNoNamespace, 1, {1, 0});
  clock_.advance_ms(1'050);
  const RestoreFile file = take_snapshot(backend, files_, directory_.file("savepoint"));
  HeapBackend restored = make();
  ASSERT_TRUE(restored.restore(files_, {file}).ok());
  open<Single>(restored, "singles", false);
  EXPECT_EQ(restored.entry_count(), 1U);
}

}  // namespace
}  // namespace weir::state::test
