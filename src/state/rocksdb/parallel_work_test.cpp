#include "state/rocksdb/parallel_work.h"

#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace weir::state {
namespace {

TEST(ParallelWork, EveryJobIsDoneOnceWithoutHelpers) {
  std::vector<std::size_t> done;
  EXPECT_TRUE(do_all({}, 3, [&](std::size_t index) {
                done.push_back(index);
                return Status();
              }).ok());
  EXPECT_EQ(done, (std::vector<std::size_t>{0, 1, 2}));
}

TEST(ParallelWork, JobsAreUnderWayTogether) {
  std::vector<std::thread> threads;
  const Helpers helpers{[&](std::function<void()> job) { threads.emplace_back(std::move(job)); },
                        3};
  // Each waits for the two others.
  std::mutex mutex;
  int here = 0;
  std::promise<void> all_here;
  const std::shared_future<void> arrived = all_here.get_future().share();
  const Status status = do_all(helpers, 3, [&](std::size_t /*index*/) {
    {
      const std::lock_guard lock(mutex);
      if (++here == 3) {
        all_here.set_value();
      }
    }
    arrived.wait();
    return Status();
  });
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(threads.size(), 2U);
  for (std::thread& thread : threads) {
    thread.join();
  }
}

TEST(ParallelWork, AHelperThatComesTooLateFindsNothingToDo) {
  std::vector<std::function<void()>> late;
  int done = 0;
  {
    const auto job = [&](std::size_t /*index*/) {
      ++done;
      return Status();
    };
    const Helpers helpers{[&](std::function<void()> help) { late.push_back(std::move(help)); }, 4};
    EXPECT_TRUE(do_all(helpers, 2, job).ok());
  }
  ASSERT_EQ(late.size(), 1U) << "no more than there are jobs for";
  late.front()();
  EXPECT_EQ(done, 2);
}

TEST(ParallelWork, AfterAFailureNoMoreJobsBegin) {
  int begun = 0;
  const Status status = do_all({}, 5, [&](std::size_t index) -> Status {
    ++begun;
    return index == 1 ? Status(Error{ErrorCode::kIo, "the second"}) : Status();
  });
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message, "the second");
  EXPECT_EQ(begun, 2);
}

}  // namespace
}  // namespace weir::state
