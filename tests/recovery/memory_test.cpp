// Jobs that want more memory than they may have.

#include <atomic>
#include <thread>

#include "base/machine_memory.h"
#include "graph/planner.h"
#include "recovery/scenario.h"
#include "runtime/job_options.h"
#include "runtime/job_runner.h"
#include "weir/memory_options.h"

namespace weir::recovery {
namespace {

constexpr std::int64_t kMiB = 1 << 20;

struct Blob {
  std::int64_t key = 0;
  std::string bytes;
};

/// Takes nothing before it is allowed to.
class LateStart : public KeyedProcessFunction<std::int64_t, Blob, Counted> {
 public:
  explicit LateStart(std::shared_ptr<std::atomic<bool>> may_start)
      : may_start_(std::move(may_start)) {}
  void process_element(const Blob& blob, Context&, Collector<Counted>& out) override {
    while (!*may_start_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    out.collect(Counted{blob.key, static_cast<std::int64_t>(blob.bytes.size())});
  }

 private:
  std::shared_ptr<std::atomic<bool>> may_start_;
};

class KeepBlob : public KeyedProcessFunction<std::int64_t, Blob, Counted> {
 public:
  void open(OpenContext& context) override { blob_ = context.value_state<std::string>("blob"); }
  void process_element(const Blob& blob, Context&, Collector<Counted>& out) override {
    blob_.mutable_value() = blob.bytes;
    out.collect(Counted{blob.key, static_cast<std::int64_t>(blob.bytes.size())});
  }

 private:
  ValueState<std::string> blob_;
};

class MemoryTest : public RecoveryTest {
 protected:
  /// A blob for each event, of a key of its own.
  DataStream<Blob> blobs(Environment& environment, std::size_t size) const {
    return events(environment)
        .map([size](const Event& event) { return Blob{event.number, std::string(size, 'x')}; })
        .uid("blobs");
  }
  void count_into_sink(const DataStream<Counted>& counted) const {
    counted.sink_to(std::make_shared<MemorySink<Counted>>(counts_)).uid("counts");
  }
  std::vector<Counted> expected(std::size_t size) const {
    std::vector<Counted> rows;
    for (std::int64_t number = 0; number < source_.count; ++number) {
      rows.push_back({number, static_cast<std::int64_t>(size)});
    }
    return rows;
  }

  /// The peak of the records between tasks, when they may take so much.
  std::int64_t peak_with(std::int64_t network_max) {
    counts_ = std::make_shared<Target<Counted>>();
    constexpr std::size_t kSize = kMiB;  // each travels alone
    source_ = {.count = 1'000, .splits = 4, .keys = 1'000, .events_per_checkpoint = 0};
    Configuration settings = configuration(4, 0);
    settings.set(options::kWorkers, 16);  // whoever sleeps, sleeps alone
    settings.set(options::kJobId, "up-to-" + std::to_string(network_max));
    settings.set(options::kCheckpointInterval, DurationMs(60'000));
    settings.set(options::kNetworkMemoryMin, SizeBytes{kMiB});
    settings.set(options::kNetworkMemoryMax, SizeBytes{network_max});
    Environment environment(settings);
    const auto stream = blobs(environment, kSize);
    const auto may_start = std::make_shared<std::atomic<bool>>(false);
    count_into_sink(stream.key_by(&Blob::key).process(LateStart(may_start)).uid("late"));
    graph::PlanOptions plan_options;
    plan_options.default_parallelism = 4;
    auto plan = graph::build_plan(*stream.graph(), plan_options);
    EXPECT_TRUE(plan.ok());
    auto job = runtime::job_options_of(settings, "memory");
    EXPECT_TRUE(job.ok());
    runtime::JobRunner runner(std::move(plan).value(), std::move(job).value(),
                              make_restart_strategy(settings, [] { return 0.5; }));
    std::atomic<bool> is_over{false};
    std::thread when_full([&] {
      // Until nothing more comes for so long that not even a sanitizer beside a build explains it.
      for (std::int64_t calm = 0, last = 0; !is_over && (calm < 30 || last == 0); ++calm) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        const std::int64_t used = runner.memory().network().used();
        calm = used == last ? calm : 0;
        last = used;
      }
      *may_start = true;
    });
    expect_state(runner.run(), JobState::kFinished);
    is_over = true;
    when_full.join();
    EXPECT_EQ(counts_->rows(), expected(kSize));
    EXPECT_EQ(runner.memory().network().used(), 0);
    return runner.memory().network().peak();
  }
};

TEST_F(MemoryTest, RecordsBetweenTasksKeepToTheirPart) {
  // Besides its 8 MB: a batch in each of 16 channels, and what senders had made when they found no
  // room, 63 MB in all; without the limit 95 to 112 MB are under way.
  EXPECT_LT(peak_with(8 * kMiB), 75 * kMiB);
  EXPECT_GT(peak_with(1'024 * kMiB), 85 * kMiB);
}

TEST_F(MemoryTest, StateThatDoesNotFitFailsTheJobAndNothingIsLost) {
  constexpr std::size_t kSize = 10'000;
  source_ = {.count = 60'000, .splits = 4, .keys = 60'000, .events_per_checkpoint = 0};
  const auto run = [&](std::int64_t process_bytes) {
    Configuration settings = configuration(2, 3);
    settings.set(options::kStateBackend, StateBackendType::kHashMap);
    settings.set(options::kCheckpointInterval, DurationMs(60'000));
    settings.set(options::kNetworkMemoryMin, SizeBytes{kMiB});
    settings.set(options::kProcessMemory, SizeBytes{process_bytes});
    Environment environment(settings);
    count_into_sink(blobs(environment, kSize).key_by(&Blob::key).process(KeepBlob()).uid("keep"));
    return environment.execute("memory");
  };
  const auto failed = run(resident_memory_bytes() + 200 * kMiB);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code, ErrorCode::kOutOfMemory);
  EXPECT_THAT(failed.error().message,
              ::testing::AllOf(::testing::HasSubstr("taskmanager.memory.process.size"),
                               ::testing::HasSubstr("state.backend.type rocksdb")));
  expect_state(run(available_memory_bytes()), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected(kSize));
}

}  // namespace
}  // namespace weir::recovery
