// Every kind of file of a checkpoint is damaged in every way, and verify names it.
#include <functional>
#include <optional>

#include "checkpoint/manifest.h"
#include "tool/checkpoint_fixture.h"

namespace weir::tool {
namespace {

class DamageTest : public ToolTest {
 protected:
  void SetUp() override {
    ToolTest::SetUp();
    snapshot_ = ToolTest::middle();
    ASSERT_EQ(run_tool({"checkpoint", "verify", middle()}).status, 0);
  }
  /// Stays the same whatever happens to its manifest.
  const std::string& middle() const { return snapshot_; }
  checkpoint::Manifest manifest() const {
    return checkpoint::decode_manifest(read_file(middle() + "/_metadata")).value();
  }
  std::string state_file() const {
    for (const checkpoint::OperatorSnapshot& op : manifest().operators) {
      for (const checkpoint::SubtaskSnapshot& subtask : op.subtasks) {
        if (op.uid == "count" && !subtask.files.empty()) {
          return job_ + "/" + subtask.files.front().file.path;
        }
      }
    }
    ADD_FAILURE() << "no state file";
    return "";
  }
  /// A file that a committable names.
  std::string kept_file() const {
    for (const checkpoint::SinkSnapshot& sink : manifest().sinks) {
      for (const Committable& committable : sink.committables) {
        if (!committable.files.empty()) {
          return job_ + "/" + committable.files.front();
        }
      }
    }
    ADD_FAILURE() << "no committable names a file";
    return "";
  }

  /// Damages `file`, expects one fault that names it, and mends it again. Returns the fault.
  nlohmann::json expect_named(const std::string& file,
                              const std::function<std::string(std::string)>& damage) {
    const std::string good = read_file(file);
    write_file(file, damage(good));
    const ToolRun run = run_tool({"checkpoint", "verify", middle()});
    EXPECT_EQ(run.status, 1) << run.out << run.err;
    EXPECT_NE(run.out.find("DAMAGED " + file), std::string::npos) << run.out;
    const nlohmann::json report = run_tool({"checkpoint", "verify", middle(), "--json"}).json();
    write_file(file, good);
    EXPECT_EQ(report.at("is_whole"), false);
    EXPECT_EQ(report.at("faults").size(), 1U) << report;
    EXPECT_EQ(report.at("faults").at(0).at("file"), file);
    EXPECT_EQ(run_tool({"checkpoint", "verify", middle()}).status, 0);
    return report.at("faults").at(0);
  }
  static std::function<std::string(std::string)> flip(std::size_t byte) {
    return [byte](std::string bytes) {
      bytes.at(byte) = static_cast<char>(bytes.at(byte) ^ 0x10);
      return bytes;
    };
  }
  static std::string cut(std::string bytes) { return bytes.substr(0, bytes.size() / 2); }
  static std::string lengthen(std::string bytes) { return bytes + "x"; }

  std::string snapshot_;
};

TEST_F(DamageTest, AFlippedBitOfTheManifestIsNamedWithItsPlace) {
  const std::string file = middle() + "/_metadata";
  EXPECT_EQ(expect_named(file, flip(0)).at("offset"), 0);
  EXPECT_TRUE(expect_named(file, flip(9)).at("offset").is_number());
  EXPECT_EQ(expect_named(file, flip(100)).at("offset"), 28) << "the body begins at byte 28";
}

TEST_F(DamageTest, AManifestOfAnotherLengthIsNamed) {
  const std::string file = middle() + "/_metadata";
  expect_named(file, cut);
  expect_named(file, lengthen);
  expect_named(file, [](const std::string&) { return std::string(); });
}

TEST_F(DamageTest, EveryFlippedByteOfAStateFileIsNamedWithItsBlock) {
  const std::string file = state_file();
  const std::size_t size = read_file(file).size();
  ASSERT_GT(size, 100U);
  for (std::size_t byte = 0; byte < size; byte += 1 + size / 12) {
    const nlohmann::json fault = expect_named(file, flip(byte));
    ASSERT_TRUE(fault.at("offset").is_number()) << "byte " << byte << ": " << fault;
    // The damaged block begins at the offset or the damaged header or footer holds it.
    EXPECT_LE(fault.at("offset").get<std::size_t>(), byte) << fault;
  }
  EXPECT_EQ(expect_named(file, flip(20)).at("offset"), 16) << "the first block begins at byte 16";
}

TEST_F(DamageTest, AStateFileOfAnotherLengthIsNamed) {
  EXPECT_TRUE(expect_named(state_file(), cut).at("offset").is_number());
  EXPECT_TRUE(expect_named(state_file(), lengthen).at("offset").is_number());
}

TEST_F(DamageTest, AWholeStateFileOfAnotherCheckpointIsNamed) {
  const std::string good = read_file(state_file());
  std::string bytes;  // Counts differ from checkpoint to checkpoint.
  for (const std::string& other : checkpoint_files("-count-")) {
    const std::string found = read_file(other);
    bytes = found == good ? bytes : found;
  }
  ASSERT_FALSE(bytes.empty());
  const nlohmann::json fault =
      expect_named(state_file(), [&bytes](const std::string&) { return bytes; });
  EXPECT_NE(fault.at("what").get<std::string>().find("the manifest says"), std::string::npos);
}

TEST_F(DamageTest, AFileOfACommittableIsNamed) {
  expect_named(kept_file(), flip(3));
  EXPECT_TRUE(expect_named(kept_file(), cut).at("offset").is_number());
  EXPECT_TRUE(expect_named(kept_file(), lengthen).at("offset").is_number());
}

TEST_F(DamageTest, AllMissingFilesAreNamedAtOnce) {
  const std::string state = state_file();
  const std::string kept = kept_file();
  std::filesystem::remove(state);
  std::filesystem::remove(kept);
  const ToolRun run = run_tool({"checkpoint", "verify", middle(), "--json"});
  EXPECT_EQ(run.status, 1);
  std::vector<std::string> named;
  const nlohmann::json report = run.json();
  for (const nlohmann::json& fault : report.at("faults")) {
    EXPECT_EQ(fault.at("what"), "the file is missing");
    named.push_back(fault.at("file"));
  }
  EXPECT_THAT(named, ::testing::UnorderedElementsAre(state, kept));
  // The others are not touched by that.
  EXPECT_EQ(run_tool({"checkpoint", "verify", last()}).status, 0);
}

}  // namespace
}  // namespace weir::tool
