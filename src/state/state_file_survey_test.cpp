// What tools see of state files: cheap indexes, sizes per key group, and where damage is.
#include "state/state_file_survey.h"

#include <map>
#include <string>

#include "state/test_support.h"

namespace weir::state::test {
namespace {

constexpr int kMaxParallelism = 16;

class StateFileSurveyTest : public ::testing::Test {
 protected:
  StateFileSurveyTest() {
    HeapBackend backend({"orders", kMaxParallelism, {4, 11}});
    StateTable* sums =
        value_or_fail(backend.open_table(describe<std::uint64_t, std::uint64_t>("sums")));
    StateTable* names =
        value_or_fail(backend.open_table(describe<std::uint64_t, std::string>("names")));
    for (std::uint64_t key = 0; entries_ < 4000; ++key) {
      const std::uint32_t hash = key_hash(key);
      const int group = key_group_of(hash, kMaxParallelism);
      if (group < 4 || group > 11) {
        continue;
      }
      // Many namespaces, so that there are small tables for all key groups and large ones for each.
      const auto ns = static_cast<StateNamespace>(key % 3 == 0 ? key : 0);
      *static_cast<std::uint64_t*>(sums->find_or_create(ns, &key, hash)) = key;
      *static_cast<std::string*>(names->find_or_create(ns, &key, hash)) =
          std::string(key % 200, 'v');
      expected_[group].entries += 2;
      // A string is its length and its bytes, and the length of both comes before them.
      const std::uint64_t text_bytes = key % 200 + (key % 200 < 128 ? 1 : 2);
      expected_[group].bytes += (4 + 8 + 8) + (4 + 8 + text_bytes + (text_bytes < 128 ? 1 : 2));
      entries_ += 2;
    }
    good_ = take_snapshot(backend, local_file_system(), directory_.file("good"));
    bytes_ = read_file(good_.path);
  }

  RestoreFile damaged_at(std::size_t byte) const {
    std::string bytes = bytes_;
    bytes[byte] = static_cast<char>(bytes[byte] ^ 1);
    return stored(bytes);
  }
  RestoreFile stored(const std::string& bytes) const {
    const std::string path = directory_.file("damaged");
    write_file(path, bytes);
    return {path, good_.expected};
  }

  TemporaryDirectory directory_;
  std::uint64_t entries_ = 0;
  std::map<int, KeyGroupSize> expected_;
  RestoreFile good_;
  std::string bytes_;
};

TEST_F(StateFileSurveyTest, TheIndexIsReadWithoutTheEntries) {
  const StateFileIndex index =
      value_or_fail(read_state_file_index(local_file_system(), good_.path));
  EXPECT_EQ(index.owner, "orders");
  EXPECT_EQ(index.max_parallelism, kMaxParallelism);
  EXPECT_EQ(index.entries, entries_);
  ASSERT_EQ(index.states.size(), 2U);
  EXPECT_EQ(index.states[0].entries, entries_ / 2);
}

TEST_F(StateFileSurveyTest, KeyGroupsAddUpToWhatWasPutIn) {
  const StateFileSurvey survey = value_or_fail(survey_state_file(local_file_system(), good_));
  ASSERT_EQ(survey.key_groups.size(), expected_.size());
  for (const KeyGroupSize& size : survey.key_groups) {
    EXPECT_EQ(size.entries, expected_[size.key_group].entries) << size.key_group;
    EXPECT_EQ(size.bytes, expected_[size.key_group].bytes) << size.key_group;
  }
}

TEST_F(StateFileSurveyTest, DamageIsNamedByTheBlockItIsIn) {
  const StateFileIndex index =
      value_or_fail(read_state_file_index(local_file_system(), good_.path));
  for (const StateFileIndex::Block& block : index.blocks) {
    const std::size_t inside = static_cast<std::size_t>(block.offset) + 8 + block.payload_bytes / 2;
    const auto survey = survey_state_file(local_file_system(), damaged_at(inside));
    ASSERT_FALSE(survey.ok());
    EXPECT_EQ(survey.error().code, ErrorCode::kCorruption);
    EXPECT_NE(survey.error().message.find("at byte " + std::to_string(block.offset) + ":"),
              std::string::npos)
        << survey.error().message;
  }
}

TEST_F(StateFileSurveyTest, EveryFlippedByteAndTruncationIsRefused) {
  for (std::size_t byte = 0; byte < bytes_.size(); byte += 397) {
    EXPECT_FALSE(survey_state_file(local_file_system(), damaged_at(byte)).ok()) << byte;
    EXPECT_FALSE(survey_state_file(local_file_system(), stored(bytes_.substr(0, byte))).ok());
    // The index alone may be read of a file with damaged entries, but never a wrong one.
    const auto index =
        read_state_file_index(local_file_system(), stored(bytes_.substr(0, byte)).path);
    EXPECT_FALSE(index.ok()) << "cut to " << byte;
  }
}

TEST_F(StateFileSurveyTest, AFileThatIsGoneIsNotFound) {
  const auto survey =
      survey_state_file(local_file_system(), {directory_.file("none"), good_.expected});
  ASSERT_FALSE(survey.ok());
  EXPECT_EQ(survey.error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace weir::state::test
