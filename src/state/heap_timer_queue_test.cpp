#include <map>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "state/test_support.h"
#include "state/timestamp_set.h"
#include "weir/time.h"

namespace weir::state::test {
namespace {

using TimerKey = std::tuple<std::int64_t, StateNamespace, std::string>;

TimerQueue* open_timers(HeapBackend& backend, const std::string& name) {
  return value_or_fail(backend.open_timers(name, type_ops<std::string>()));
}
void add(TimerQueue& queue, const TimerKey& timer) {
  const auto& [timestamp, ns, key] = timer;
  queue.add(timestamp, ns, &key, key_hash(key));
}
void remove(TimerQueue& queue, const TimerKey& timer) {
  const auto& [timestamp, ns, key] = timer;
  queue.remove(timestamp, ns, &key, key_hash(key));
}
std::vector<TimerKey> pop_until(TimerQueue& queue, std::int64_t now) {
  std::vector<TimerKey> fired;
  TimerQueue::Timer timer{};
  while (queue.pop(now, timer)) {
    const auto& key = *static_cast<const std::string*>(timer.key);
    EXPECT_EQ(timer.hash, key_hash(key));
    fired.emplace_back(timer.timestamp, timer.ns, key);
  }
  return fired;
}

TEST(HeapTimerQueue, FiresInOrderOfTimeAndOnceEach) {
  HeapBackend backend({"timers", 128, {0, 127}});
  TimerQueue* queue = open_timers(backend, "event");
  EXPECT_EQ(queue->next_timestamp(), kMaxTimestamp);
  add(*queue, {30, 1, "a"});
  add(*queue, {10, 2, "b"});
  add(*queue, {20, 1, "a"});
  add(*queue, {20, 1, "a"});
  add(*queue, {20, 2, "a"});
  EXPECT_EQ(queue->size(), 4U);
  EXPECT_EQ(queue->next_timestamp(), 10);
  EXPECT_EQ(pop_until(*queue, 9), std::vector<TimerKey>{});
  EXPECT_EQ(pop_until(*queue, 20),
            (std::vector<TimerKey>{{10, 2, "b"}, {20, 1, "a"}, {20, 2, "a"}}));
  EXPECT_EQ(queue->next_timestamp(), 30);
  remove(*queue, {30, 1, "a"});
  EXPECT_EQ(queue->next_timestamp(), kMaxTimestamp);
  EXPECT_EQ(queue->size(), 0U);
}

TEST(HeapTimerQueue, ATimerSetAgainAfterItWasRemovedFiresOnce) {
  HeapBackend backend({"timers", 128, {0, 127}});
  TimerQueue* queue = open_timers(backend, "event");
  for (int i = 0; i < 5000; ++i) {
    add(*queue, {10, 0, "k"});
    remove(*queue, {10, 0, "k"});
  }
  add(*queue, {10, 0, "k"});
  EXPECT_EQ(pop_until(*queue, 10).size(), 1U);
}

TEST(HeapTimerQueue, I4_EventAndProcessingTimersReturnToTheirOwnQueues) {
  TemporaryDirectory directory;
  RestoreFile file;
  {
    HeapBackend backend({"timers", 128, {0, 127}});
    add(*open_timers(backend, "event"), {1, 0, "e"});
    add(*open_timers(backend, "processing"), {2, 0, "p"});
    // A keyed state may have the name of a timer queue.
    value_or_fail(backend.open_table(describe<std::string, std::string>("event")));
    file = take_snapshot(backend, local_file_system(), directory.file("state"));
  }
  HeapBackend backend({"timers", 128, {0, 127}});
  ASSERT_TRUE(backend.restore(local_file_system(), {file}).ok());
  EXPECT_EQ(pop_until(*open_timers(backend, "processing"), 100),
            (std::vector<TimerKey>{{2, 0, "p"}}));
  EXPECT_EQ(pop_until(*open_timers(backend, "event"), 100), (std::vector<TimerKey>{{1, 0, "e"}}));
}

TEST(HeapTimerQueue, BehavesLikeASetThroughSnapshotsAndRescaling) {
  std::mt19937_64 random(11);
  TemporaryDirectory directory;
  std::vector<std::unique_ptr<HeapBackend>> backends;
  std::vector<TimerQueue*> queues;
  std::set<TimerKey> model;
  std::int64_t now = 0;
  const auto open = [&](const std::vector<RestoreFile>& files, int parallelism) {
    queues.clear();
    backends.clear();
    for (int i = 0; i < parallelism; ++i) {
      backends.push_back(std::make_unique<HeapBackend>(
          HeapBackend::Options{"timers", 128, key_groups_of_subtask(i, 128, parallelism)}));
      if (!files.empty()) {
        ASSERT_TRUE(backends.back()->restore(local_file_system(), files).ok());
      }
      queues.push_back(open_timers(*backends.back(), "event"));
    }
  };
  const auto queue_of = [&](const TimerKey& timer) -> TimerQueue& {
    const int group = key_group_of(key_hash(std::get<2>(timer)), 128);
    return *queues[static_cast<std::size_t>(
        subtask_of_key_group(group, 128, static_cast<int>(queues.size())))];
  };
  open({}, 1);
  for (int step = 0; step < 60'000; ++step) {
    const TimerKey timer{now + 1 + static_cast<std::int64_t>(random() % 500),
                         static_cast<StateNamespace>(random() % 3),
                         "key " + std::to_string(random() % 200)};
    const std::uint64_t what = random() % 1000;
    if (what < 600) {
      add(queue_of(timer), timer);
      model.insert(timer);
    } else if (what < 900) {
      const auto near = model.lower_bound(timer);
      const TimerKey victim = near == model.end() ? timer : *near;
      remove(queue_of(victim), victim);
      model.erase(victim);
    } else if (what < 998) {
      now += static_cast<std::int64_t>(random() % 20);
      std::set<TimerKey> fired;
      for (TimerQueue* queue : queues) {
        std::int64_t last = kMinTimestamp;
        for (const TimerKey& each : pop_until(*queue, now)) {
          ASSERT_GE(std::get<0>(each), last);
          last = std::get<0>(each);
          ASSERT_TRUE(fired.insert(each).second);
        }
      }
      const auto end = model.upper_bound({now, 1000, {}});
      ASSERT_EQ(fired, std::set<TimerKey>(model.begin(), end));
      model.erase(model.begin(), end);
    } else {
      std::vector<RestoreFile> files;
      for (auto& backend : backends) {
        files.push_back(take_snapshot(
            *backend, local_file_system(),
            directory.file(std::to_string(step) + "-" + std::to_string(files.size()))));
      }
      open(files, static_cast<int>(random() % 3) + 1);
    }
    std::size_t size = 0;
    for (const TimerQueue* queue : queues) {
      size += queue->size();
    }
    ASSERT_EQ(size, model.size());
  }
}

TEST(TimestampSet, IsSortedAndWithoutDuplicates) {
  TimestampSet set;
  std::set<std::int64_t> model;
  std::mt19937_64 random(3);
  for (int i = 0; i < 20'000; ++i) {
    const auto timestamp = static_cast<std::int64_t>(random() % 50) - 25;
    if (random() % 2 == 0) {
      ASSERT_EQ(set.insert(timestamp), model.insert(timestamp).second);
    } else {
      ASSERT_EQ(set.erase(timestamp), model.erase(timestamp) == 1);
    }
    TimestampSet copy = set;
    const TimestampSet moved = std::move(copy);
    ASSERT_TRUE(std::equal(moved.begin(), moved.end(), model.begin(), model.end()));
  }
}

}  // namespace
}  // namespace weir::state::test
