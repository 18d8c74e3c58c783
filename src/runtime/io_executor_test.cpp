#include "runtime/io_executor.h"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/job_inbox.h"
#include "runtime/metric_registry.h"

namespace weir::runtime {
namespace {

TEST(IoExecutor, RunsEverythingBeforeItGoesAway) {
  std::atomic<int> done{0};
  {
    IoExecutor executor(3);
    for (int i = 0; i < 1000; ++i) {
      executor.run([&] { ++done; });
    }
  }
  EXPECT_EQ(done, 1000);
}

TEST(IoExecutor, WaitIdleWaitsForWorkThatWorkHandsOver) {
  IoExecutor executor(2);
  std::atomic<int> done{0};
  for (int i = 0; i < 100; ++i) {
    executor.run([&] {
      executor.run([&] { ++done; });
      ++done;
    });
  }
  executor.wait_idle();
  EXPECT_EQ(done, 200);
}

TEST(Strand, RunsOnePieceAtATimeInOrder) {
  IoExecutor executor(4);
  const auto strand = std::make_shared<Strand>(executor);
  std::vector<int> order;  // without a lock: the strand is the lock
  for (int i = 0; i < 2000; ++i) {
    strand->run([&, i] { order.push_back(i); });
  }
  executor.wait_idle();
  ASSERT_EQ(order.size(), 2000U);
  for (int i = 0; i < 2000; ++i) {
    ASSERT_EQ(order[static_cast<std::size_t>(i)], i);
  }
}

TEST(Strand, OneThatNeverRunsDryLetsOtherWorkRun) {
  IoExecutor executor(1);
  const auto strand = std::make_shared<Strand>(executor);
  std::atomic<bool> has_other_run{false};
  int rounds = 0;
  std::function<void()> again = [&] {
    if (++rounds < 1'000 && !has_other_run) {
      strand->run(again);
    }
  };
  executor.run([&] {
    strand->run(again);
    strand->run([] {});
    executor.run([&] { has_other_run = true; });
  });
  executor.wait_idle();
  EXPECT_LT(rounds, 1'000);
}

TEST(Strand, TwoStrandsDoNotWaitForEachOther) {
  IoExecutor executor(2);
  const auto one = std::make_shared<Strand>(executor);
  const auto other = std::make_shared<Strand>(executor);
  std::atomic<bool> has_other_run{false};
  one->run([&] {
    while (!has_other_run) {
      std::this_thread::yield();
    }
  });
  other->run([&] { has_other_run = true; });
  executor.wait_idle();
  EXPECT_TRUE(has_other_run);
}

TEST(JobInbox, RunsWorkInOrderAlsoWorkThatWorkPosts) {
  JobInbox inbox;
  std::vector<int> order;
  inbox.post([&] {
    order.push_back(1);
    inbox.post([&] { order.push_back(3); });
  });
  inbox.post([&] { order.push_back(2); });
  inbox.run(std::chrono::milliseconds(0));
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
}

TEST(JobInbox, DropsWorkOnceItIsClosed) {
  JobInbox inbox;
  inbox.post([] { FAIL(); });
  inbox.close();
  inbox.post([] { FAIL(); });
  inbox.run(std::chrono::milliseconds(0));
}

TEST(MetricRegistry, KeepsOneGroupPerScopeOverRestarts) {
  MetricRegistry registry;
  registry.group("a.0").counter("numRecordsIn").add(3);
  registry.group("a.0").counter("numRecordsIn").add(4);
  registry.group("a.1").gauge("currentInputWatermark").set(-5);
  const auto samples = registry.sample();
  ASSERT_EQ(samples.size(), 2U);
  EXPECT_EQ(samples[0].scope, "a.0");
  EXPECT_EQ(samples[0].name, "numRecordsIn");
  EXPECT_EQ(samples[0].value, 7);
  EXPECT_EQ(samples[1].value, -5);
}

TEST(MetricRegistry, CanBeReadWhileOthersWrite) {
  MetricRegistry registry;
  Counter& counter = registry.group("a.0").counter("n");
  std::thread writer([&] {
    for (int i = 0; i < 10'000; ++i) {
      counter.add();
      registry.group("a." + std::to_string(i % 10)).gauge("g").set(i);
    }
  });
  std::int64_t last = 0;
  while (last < 10'000) {
    for (const auto& sample : registry.sample()) {
      if (sample.name == "n") {
        EXPECT_GE(sample.value, last);
        last = sample.value;
      }
    }
  }
  writer.join();
}

}  // namespace
}  // namespace weir::runtime
