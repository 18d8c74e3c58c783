#include "checkpoint/snapshot_difference.h"

#include <gtest/gtest.h>

namespace weir::checkpoint {
namespace {

OperatorSnapshot with_files(const std::string& uid, int parallelism,
                            std::vector<FileReference> files) {
  OperatorSnapshot op;
  op.uid = uid;
  op.parallelism = parallelism;
  SubtaskSnapshot subtask;
  for (FileReference& file : files) {
    subtask.files.push_back({std::move(file), "heap", {0, 127}, ""});
  }
  op.subtasks = {subtask};
  return op;
}

SourceSnapshot with_splits(std::vector<SourceSplit> splits) {
  SourceSnapshot source;
  source.uid = "in";
  source.readers = {{0, false, std::move(splits)}};
  return source;
}

TEST(SnapshotDifference, NamesFilesThatBothHaveAndThatOneHas) {
  Manifest first;
  first.operators = {with_files("a", 1, {{"shared/x", 10, 1}, {"chk-1/y", 20, 2}})};
  Manifest second;
  second.operators = {with_files("a", 1, {{"shared/x", 10, 1}, {"chk-2/z", 40, 3}})};
  const FileDifference files = difference_of(first, second).files;
  ASSERT_EQ(files.shared.size(), 1U);
  EXPECT_EQ(files.shared[0].path, "shared/x");
  ASSERT_EQ(files.only_first.size(), 1U);
  EXPECT_EQ(files.only_first[0].path, "chk-1/y");
  ASSERT_EQ(files.only_second.size(), 1U);
  EXPECT_EQ(files.only_second[0].path, "chk-2/z");
}

TEST(SnapshotDifference, OneNameWithTwoContentsIsTwoFiles) {
  Manifest first;
  first.operators = {with_files("a", 1, {{"shared/x", 10, 1}})};
  Manifest second;
  second.operators = {with_files("a", 1, {{"shared/x", 10, 2}})};
  const FileDifference files = difference_of(first, second).files;
  EXPECT_TRUE(files.shared.empty());
  EXPECT_EQ(files.only_first.size(), 1U);
  EXPECT_EQ(files.only_second.size(), 1U);
}

TEST(SnapshotDifference, MatchesOperatorsByUid) {
  Manifest first;
  first.operators = {with_files("kept", 2, {{"x", 10, 1}}), with_files("gone", 1, {{"y", 5, 1}})};
  Manifest second;
  second.operators = {with_files("new", 3, {{"z", 7, 1}}), with_files("kept", 4, {{"w", 30, 1}})};
  const auto operators = difference_of(first, second).operators;
  ASSERT_EQ(operators.size(), 3U);
  EXPECT_EQ(operators[0].uid, "kept");
  EXPECT_EQ(operators[0].presence, Presence::kBoth);
  EXPECT_EQ(operators[0].parallelism_first, 2);
  EXPECT_EQ(operators[0].parallelism_second, 4);
  EXPECT_EQ(operators[0].bytes_first, 10U);
  EXPECT_EQ(operators[0].bytes_second, 30U);
  EXPECT_EQ(operators[1].uid, "gone");
  EXPECT_EQ(operators[1].presence, Presence::kOnlyFirst);
  EXPECT_EQ(operators[2].uid, "new");
  EXPECT_EQ(operators[2].presence, Presence::kOnlySecond);
}

TEST(SnapshotDifference, MatchesSplitsByIdWhereverTheyAreRead) {
  Manifest first;
  first.sources = {with_splits({{"a", "1"}, {"b", "5"}})};
  Manifest second;
  second.sources = {with_splits({{"c", "0"}, {"a", "2"}})};
  const auto splits = difference_of(first, second).splits;
  ASSERT_EQ(splits.size(), 3U);
  EXPECT_EQ(splits[0].id, "a");
  EXPECT_EQ(splits[0].state_first, "1");
  EXPECT_EQ(splits[0].state_second, "2");
  EXPECT_EQ(splits[1].presence, Presence::kOnlyFirst);
  EXPECT_EQ(splits[2].presence, Presence::kOnlySecond);
}

TEST(SnapshotDifference, AFileOfSeveralSubtasksCountsOnce) {
  OperatorSnapshot op = with_files("a", 2, {{"x", 10, 1}});
  op.subtasks.push_back(op.subtasks.front());
  op.subtasks.back().subtask = 1;
  EXPECT_EQ(bytes_of(op), 10U);
}

}  // namespace
}  // namespace weir::checkpoint
