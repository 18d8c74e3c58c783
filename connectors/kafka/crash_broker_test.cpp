// A process that writes epochs through the sink is killed at each kill point and started again
// until it ends by itself; the topic must then hold every record once, in order.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kafka/test_broker.h"
#include "kafka/test_host.h"
#include "weir/codec.h"

namespace weir::kafka::test {
namespace {

constexpr int kEpochs = 4;
constexpr int kRecordsPerEpoch = 25;

/// The child's checkpoint: one file, replaced by rename.
struct Manifest {
  std::int64_t checkpoint = 0;
  std::int64_t attempt = 0;
  std::vector<Committable> committables;
  std::vector<std::string> writer_states;
  std::map<std::string, std::string> files;
};

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Manifest load(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream bytes;
  bytes << in.rdbuf();
  return decode_value<Manifest>(bytes.str()).value_or(Manifest{});
}

void save(const std::string& path, const Manifest& manifest) {
  std::ofstream(path + ".new", std::ios::binary) << encode_value(manifest);
  std::filesystem::rename(path + ".new", path);
}

// Not a test of its own: what the process that gets killed does.
TEST(KafkaCrashChild, DISABLED_WritesEpochs) {
  const std::string path = environment("WEIR_TEST_MANIFEST");
  Manifest manifest = load(path);
  SinkContext context = SinkHost::default_context();
  context.pipeline_id = environment("WEIR_TEST_TOPIC");
  context.attempt = ++manifest.attempt;
  SinkHost host(line_sink(context.pipeline_id).build(), context);
  host.files.files = manifest.files;
  if (!environment("WEIR_TEST_LOSE").empty()) {
    ASSERT_TRUE(host.committer().abort_orphans({}, manifest.committables).ok());
  }
  host.committer().begin_restore(manifest.committables);
  for (const Committable& committable : manifest.committables) {
    const auto result = host.commit(committable);
    ASSERT_TRUE(result.ok()) << result.error().message;
    ASSERT_TRUE(result.value().outcome == CommitOutcome::kCommitted ||
                result.value().outcome == CommitOutcome::kAlreadyCommitted)
        << result.value().detail;
  }
  ASSERT_TRUE(host.committer().abort_orphans(manifest.writer_states, manifest.committables).ok());
  host.open();
  while (manifest.checkpoint < kEpochs) {
    std::vector<std::string> lines;
    for (int i = 0; i < kRecordsPerEpoch; ++i) {
      lines.push_back(std::to_string(manifest.checkpoint * kRecordsPerEpoch + i));
    }
    ASSERT_TRUE(host.write(lines).ok());
    auto prepared = host.prepare(manifest.checkpoint + 1);
    ASSERT_TRUE(prepared.ok()) << prepared.error().message;
    ++manifest.checkpoint;
    manifest.committables = prepared.value();
    manifest.writer_states = {host.state()};
    manifest.files = host.files.files;
    save(path, manifest);
    ASSERT_TRUE(host.commit(manifest.committables.at(0)).ok());
  }
}

/// Runs the child; true when it ended well, false when it was killed by SIGKILL.
bool run_child(const std::string& topic, const std::string& manifest, const std::string& kill_at,
               bool lose) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::setenv("WEIR_TEST_TOPIC", topic.c_str(), 1);
    ::setenv("WEIR_TEST_MANIFEST", manifest.c_str(), 1);
    ::setenv("WEIR_KILL_AT", kill_at.c_str(), 1);
    ::setenv("WEIR_TEST_BROKER_FOLDER", TestBroker::get().folder().c_str(), 1);
    if (lose) {
      ::setenv("WEIR_TEST_LOSE", "1", 1);
    }
    ::execl("/proc/self/exe", "kafka-crash-child", "--gtest_filter=KafkaCrashChild.*",
            "--gtest_also_run_disabled_tests", "--gtest_brief=1", nullptr);
    ::_exit(99);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE((WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
              (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
      << "status " << status;
  return WIFEXITED(status);
}

class KafkaCrash : public ::testing::TestWithParam<std::vector<const char*>> {
 protected:
  void SetUp() override { WEIR_NEEDS_KAFKA(); }
};

TEST_P(KafkaCrash, LosesAndDoublesNothing) {
  const std::string topic = TestBroker::get().make_topic("crash");
  const std::string manifest =
      std::filesystem::temp_directory_path() / ("weir-" + topic + ".manifest");
  for (const char* point : GetParam()) {
    const bool lose = std::string(point).starts_with("kafka.replay");
    EXPECT_FALSE(run_child(topic, manifest, point, lose)) << point << " was never reached";
  }
  EXPECT_TRUE(run_child(topic, manifest, "", false));
  std::vector<std::string> expected;
  for (int i = 0; i < kEpochs * kRecordsPerEpoch; ++i) {
    expected.push_back(std::to_string(i));
  }
  EXPECT_EQ(read_until(topic, expected.size()), expected);
  const auto offsets = stable_and_end_offset(topic);
  EXPECT_EQ(offsets.first, offsets.second) << "a transaction was left open";
  std::filesystem::remove(manifest);
}

using Points = std::vector<const char*>;
std::string point_name(const ::testing::TestParamInfo<Points>& points) {
  std::string name = std::to_string(points.index);
  for (const char c : std::string(points.param.back())) {
    name.push_back(std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_');
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(
    KillPoints, KafkaCrash,
    ::testing::Values(Points{"kafka.sink.before_flush:2"}, Points{"kafka.sink.after_flush:2"},
                      Points{"kafka.sink.after_prepare:2"}, Points{"kafka.commit.before_end_txn:2"},
                      Points{"kafka.commit.after_end_txn:2"},
                      // A crash in the recovery from a crash, and in the recovery from that one.
                      Points{"kafka.commit.before_end_txn:2", "kafka.recover.before_commit",
                             "kafka.recover.after_commit", "kafka.recover.before_commit"},
                      Points{"kafka.commit.before_end_txn:3", "kafka.replay.before_commit",
                             "kafka.replay.before_commit"}),
    point_name);

}  // namespace
}  // namespace weir::kafka::test
