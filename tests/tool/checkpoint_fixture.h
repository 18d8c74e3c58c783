#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "checkpoint/store.h"
#include "recovery/scenario.h"
#include "tool/filing_sink.h"
#include "tool/tool_run.h"

namespace weir::tool {

/// The checkpoints of a real job that ran to its end in this process: 1,000 events with 10 keys,
/// counted per key in keyed state, summed in windows with timers, into a sink that keeps files. All
/// checkpoints are kept.
class ToolTest : public recovery::RecoveryTest {
 protected:
  static constexpr int kParallelism = 2;

  void SetUp() override {
    Configuration settings = configuration(kParallelism);
    settings.set(options::kRetainedCheckpoints, 1000);
    Environment environment(settings);
    DataStream<recovery::Event> input = events(environment);
    input.key_by(&recovery::Event::key)
        .process(recovery::CountPerKey())
        .uid("count")
        .sink_to(std::make_shared<FilingSink<recovery::Counted>>(counts_))
        .uid("counts-out");
    input.key_by(&recovery::Event::key)
        .window(SlidingEventTimeWindows::of(DurationMs(100), DurationMs(50)))
        .aggregate(recovery::SumOfNumbers(),
                   [](std::int64_t key, const TimeWindow& window, std::int64_t sum) {
                     return recovery::WindowSum{key, window.start, sum};
                   })
        .uid("sums")
        .sink_to(std::make_shared<recovery::MemorySink<recovery::WindowSum>>(sums_))
        .uid("sums-out");
    expect_state(environment.execute("recovery"), JobState::kFinished);
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      job_ = entry.path().string();
    }
    ASSERT_GE(published().size(), 3U) << "the source waits for checkpoints";
  }

  /// Published checkpoints, ascending.
  std::vector<std::int64_t> published() const {
    std::vector<std::int64_t> numbers;
    for (const auto& entry : std::filesystem::directory_iterator(job_)) {
      const std::string name = entry.path().filename().string();
      const auto manifest = entry.path() / "_metadata";
      if (name.starts_with("chk-") && std::filesystem::exists(manifest) &&
          !checkpoint::CheckpointStore::is_seal(read_file(manifest.string()))) {
        numbers.push_back(std::stoll(name.substr(4)));
      }
    }
    std::sort(numbers.begin(), numbers.end());
    return numbers;
  }
  std::string snapshot(std::int64_t number) const {
    return job_ + "/chk-" + std::to_string(number);
  }
  /// One in the middle of the run: splits are being read, windows are open.
  std::string middle() const { return snapshot(published()[published().size() / 2]); }
  std::string last() const { return snapshot(published().back()); }

 public:
  static std::string read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::stringstream bytes;
    bytes << in.rdbuf();
    return bytes.str();
  }
  static void write_file(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  }

 protected:
  std::string job_;  ///< directory of the job
};

}  // namespace weir::tool
