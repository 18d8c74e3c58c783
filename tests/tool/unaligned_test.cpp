// Records under way are part of a checkpoint: they are shown, and damage to them is found.
#include "tool/checkpoint_fixture.h"

namespace weir::tool {
namespace {

/// Takes its time, so that its input is always full.
class SlowCount : public recovery::CountPerKey {
 public:
  void process_element(const recovery::Event& event, Context& context,
                       Collector<recovery::Counted>& out) override {
    const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(50);
    while (std::chrono::steady_clock::now() < end) {
    }
    CountPerKey::process_element(event, context, out);
  }
};

class UnalignedToolTest : public recovery::RecoveryTest {
 protected:
  void SetUp() override {
    source_.count = 6'000;
    source_.events_per_checkpoint = 0;  // as fast as it can, so that the channels are full
    Configuration settings = configuration(2);
    settings.set(options::kCheckpointInterval, DurationMs(20));
    settings.set(options::kUnalignedCheckpoints, true);
    settings.set(options::kRetainedCheckpoints, 1000);
    Environment environment(settings);
    events(environment)
        .key_by(&recovery::Event::key)
        .process(SlowCount())
        .uid("count")
        .sink_to(std::make_shared<recovery::MemorySink<recovery::Counted>>(counts_))
        .uid("counts");
    expect_state(environment.execute("recovery"), JobState::kFinished);
    for (const std::string& manifest : checkpoint_files("_metadata")) {
      const std::string path = manifest.substr(0, manifest.find_last_of('/'));
      nlohmann::json described = run_tool({"checkpoint", "describe", path, "--json"}).json();
      for (const nlohmann::json& item : described.at("in_flight")) {
        if (item.at("records").get<int>() > 0) {
          snapshot_ = path;
          file_ = path.substr(0, path.find_last_of('/') + 1) + item.at("file").get<std::string>();
        }
      }
    }
    ASSERT_FALSE(snapshot_.empty()) << "nothing was overtaken, so this test shows nothing";
  }
  std::string snapshot_;
  std::string file_;  ///< a channel log of it
};

TEST_F(UnalignedToolTest, RecordsUnderWayAreShownAndVerified) {
  EXPECT_EQ(run_tool({"checkpoint", "verify", snapshot_}).status, 0);
  const ToolRun described = run_tool({"checkpoint", "describe", snapshot_});
  EXPECT_NE(described.out.find("in flight, overtaken by the barrier"), std::string::npos)
      << described.out;
  const std::string good = ToolTest::read_file(file_);
  for (std::size_t byte = 0; byte < good.size(); byte += 1 + good.size() / 6) {
    std::string bad = good;
    bad[byte] = static_cast<char>(bad[byte] ^ 4);
    ToolTest::write_file(file_, bad);
    const ToolRun run = run_tool({"checkpoint", "verify", snapshot_, "--json"});
    EXPECT_EQ(run.status, 1) << byte;
    const nlohmann::json report = run.json();
    ASSERT_EQ(report.at("faults").size(), 1U) << report;
    EXPECT_EQ(report.at("faults").at(0).at("file"), file_);
    ASSERT_TRUE(report.at("faults").at(0).at("offset").is_number()) << report;
    EXPECT_LE(report.at("faults").at(0).at("offset").get<std::size_t>(), byte);
  }
  ToolTest::write_file(file_, good);
  EXPECT_EQ(run_tool({"checkpoint", "verify", snapshot_}).status, 0);
}

}  // namespace
}  // namespace weir::tool
