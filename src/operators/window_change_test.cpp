// Windows that change between two runs of a job.
#include <random>

#include "operators/window_test_support.h"

namespace weir::operators::test {
namespace {

using namespace window_test;
using Results = std::vector<Model::Result>;

class WindowChange : public WindowOperatorTest {
 protected:
  /// Lets these windows run as far as `watermark`, with records at 1 and 12.
  Snapshot left_by(const Windows& windows, TimestampMs watermark = 5) {
    auto harness = make(windows);
    harness->open();
    feed(*harness, {{{1, 100}, 1}, {{1, 101}, 12}});
    harness->watermark(watermark);
    return harness->snapshot(directory_);
  }
  void expect_refused(const Windows& stored, const Windows& present) {
    const Snapshot snapshot = left_by(stored);
    const Status status = make(present)->try_open_from({snapshot});
    ASSERT_FALSE(status.ok()) << text_of(stored) << " to " << text_of(present);
    EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(status.error().message.find("another uid"), std::string::npos);
  }
};

TEST_F(WindowChange, AnotherSizeOrOffsetIsRefused) {
  const Windows ten{.size = 10, .slide = 10};
  expect_refused(ten, {.size = 15, .slide = 15});
  expect_refused(ten, {.size = 5, .slide = 5});
  expect_refused(ten, {.size = 20, .slide = 20});
  expect_refused(ten, {.size = 10, .slide = 10, .offset = 5});
  expect_refused(ten, {.size = 20, .slide = 10});
}

TEST_F(WindowChange, AllowedLatenessMayChange) {
  const Snapshot snapshot = left_by({.size = 10, .slide = 10});
  auto harness = make({.size = 10, .slide = 10, .lateness = 7});
  harness->open_from({snapshot});
  harness->watermark(9);
  EXPECT_EQ(take_sorted(*harness), (Results{{{1, 0, {100}}, 9}}));
  feed(*harness, {{{1, 102}, 2}});
  EXPECT_EQ(take_sorted(*harness), (Results{{{1, 0, {100, 102}}, 9}}));
  harness->watermark(kMaxTimestamp);
  EXPECT_EQ(take_sorted(*harness), (Results{{{1, 10, {101}}, 19}}));
}

TEST_F(WindowChange, AnythingGoesOnceTheWindowsHaveRunOut) {
  const Snapshot snapshot = left_by({.size = 10, .slide = 10}, 19);
  auto harness = make({.size = 15, .slide = 15});
  harness->open_from({snapshot});
  feed(*harness, {{{1, 102}, 30}});
  harness->watermark(kMaxTimestamp);
  EXPECT_EQ(take_sorted(*harness), (Results{{{1, 30, {102}}, 44}}));
}

TEST_F(WindowChange, OneSubtaskWithContentsIsEnoughToRefuse) {
  std::vector<Snapshot> snapshots;
  for (int subtask = 0; subtask < 3; ++subtask) {
    auto harness = make({.size = 10, .slide = 10}, subtask, 3);
    harness->open();
    for (std::int64_t key = 0; key < 5; ++key) {
      const int group = key_group_of(key_hash(key), 128);
      if (subtask == 1 && subtask_of_key_group(group, 128, 3) == 1) {
        feed(*harness, {{{key, 100}, 1}});
      }
    }
    snapshots.push_back(harness->snapshot(directory_));
  }
  ASSERT_EQ(snapshots[1].lists.at("window-geometry").items.size(), 1U);
  for (int subtask = 0; subtask < 2; ++subtask) {
    EXPECT_FALSE(make({.size = 5, .slide = 5}, subtask, 2)->try_open_from(snapshots).ok());
    EXPECT_TRUE(make({.size = 10, .slide = 10}, subtask, 2)->try_open_from(snapshots).ok());
  }
}

TEST_F(WindowChange, ASnapshotThatDoesNotSayIsRestored) {
  Snapshot snapshot = left_by({.size = 10, .slide = 10});
  snapshot.lists.clear();
  auto harness = make({.size = 10, .slide = 10});
  harness->open_from({snapshot});
  harness->watermark(kMaxTimestamp);
  EXPECT_EQ(take_sorted(*harness), (Results{{{1, 0, {100}}, 9}, {{1, 10, {101}}, 19}}));
}

// From the change on the results are those of the new windows over all records there ever were.
TEST_F(WindowChange, WindowsThatBecomeShorterByWholeSlidesMissNothing) {
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    std::mt19937_64 random(seed);
    Windows stored = random_windows(random);
    const auto extra = static_cast<std::int64_t>(random() % 3);
    stored.size += extra * stored.slide + (stored.size < stored.slide ? stored.slide : 0);
    Windows present = stored;
    present.size -= extra * stored.slide;
    present.offset += present.offset < 0 ? present.slide : 0;
    auto harness = make(stored);
    harness->open();
    Model model(present);
    Collected collected;
    const std::vector<Step> steps = random_steps(random, 40);
    const std::size_t change = 5 + random() % 30;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      if (i == change) {
        const Snapshot snapshot = harness->snapshot(directory_);
        harness = make(present);
        harness->open_from({snapshot});
        model.results.clear();
        model.late.clear();
        collected = {};
      }
      for (const Emitted<Event>& event : steps[i].records) {
        model.record(event.record, event.time);
      }
      feed(*harness, steps[i].records);
      model.watermark(steps[i].watermark);
      harness->watermark(steps[i].watermark);
      collected.take(*harness);
    }
    collected.dropped = harness->counter("numLateRecordsDropped");
    expect_same(present, model, collected.results, collected.late, collected.dropped);
    ASSERT_FALSE(HasFailure()) << "seed " << seed << ", stored " << text_of(stored);
  }
}

}  // namespace
}  // namespace weir::operators::test
