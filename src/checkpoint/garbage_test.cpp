#include "checkpoint/garbage.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace weir::checkpoint {
namespace {

constexpr std::int64_t kGrace = 1000;
constexpr std::int64_t kOld = 5000;

Manifest manifest(CheckpointId checkpoint, const std::vector<std::string>& paths,
                  SnapshotKind kind = SnapshotKind::kCheckpoint) {
  Manifest m;
  m.checkpoint = checkpoint;
  m.kind = kind;
  SubtaskSnapshot subtask;
  for (const std::string& path : paths) {
    subtask.files.push_back({{path, 1, 1}, "k", {}, ""});
  }
  m.operators = {{"uid", "", 1, 128, {}, {subtask}}};
  return m;
}

GarbageFacts facts() {
  GarbageFacts result;
  result.own_attempt = 2;
  result.leading_attempt = 2;
  result.grace_ms = kGrace;
  result.retained = {manifest(5, {"shared/a1-c3-1-sst", "chk-5/a2-c5-2-x"})};
  return result;
}

struct FileCase {
  const char* promise;
  StoredFile file;
  bool is_deleted;
};

TEST(Garbage, WhichFilesGo) {
  const std::vector<FileCase> cases{
      {"named by a retained manifest", {"shared/a1-c3-1-sst", false, kOld}, false},
      {"unnamed, of an older attempt", {"shared/a1-c9-7-sst", false, kOld}, true},
      {"unnamed, of this attempt, below the retained", {"chk-4/a2-c4-7-x", false, kOld}, true},
      {"may belong to a checkpoint under way", {"shared/a2-c6-7-sst", false, kOld}, false},
      {"shared, of a checkpoint that is over", {"shared/a1-c3-7-sst", false, 1}, true},
      {"of the retained one, young", {"shared/a1-c5-7-sst", false, kGrace - 1}, false},
      {"of the retained one, from the future", {"shared/a1-c5-7-sst", false, -kOld}, false},
      {"of a later attempt", {"shared/a3-c1-7-sst", false, kOld}, false},
      {"a name nobody understands", {"shared/readme", false, kOld}, false},
      {"a number with a leading zero", {"shared/a01-c3-7-sst", false, kOld}, false},
      {"the identity", {"_job", false, kOld}, false},
      {"the lock", {"_lock", false, kOld}, false},
      {"the leading attempt", {"attempts/2", false, kOld}, false},
      {"an older attempt", {"attempts/1", false, kOld}, true},
      {"left aside by a crash", {"chk-9/_metadata.aside-77-1", false, kOld}, true},
      {"being published", {"chk-9/_metadata.aside-77-1", false, 0}, false},
  };
  for (const FileCase& item : cases) {
    GarbageFacts given = facts();
    given.files = {item.file};
    EXPECT_EQ(plan_garbage(given).files.size(), item.is_deleted ? 1U : 0U) << item.promise;
  }
}

TEST(Garbage, F8_WhatLiveTasksMayReferToIsKept) {
  GarbageFacts given = facts();
  given.files = {{"shared/a2-c4-7-sst", false, kOld}};
  EXPECT_EQ(plan_garbage(given).files.size(), 1U);
  given.in_use = {"shared/a2-c4-7-sst"};
  EXPECT_TRUE(plan_garbage(given).files.empty());
}

TEST(Garbage, E4_WhoDoesNotLeadOrKnowsNoManifestDeletesNothing) {
  for (int variant = 0; variant < 2; ++variant) {
    GarbageFacts given = facts();
    given.files = {{"shared/a1-c3-7-sst", false, kOld}, {"chk-4/_metadata", false, kOld}};
    if (variant == 0) {
      given.leading_attempt = 3;
    } else {
      given.retained.clear();
    }
    const GarbagePlan plan = plan_garbage(given);
    EXPECT_TRUE(plan.files.empty() && plan.manifests.empty() && plan.directories.empty());
  }
}

TEST(Garbage, F6_ASubsumedCheckpointStopsToExistBeforeItsFilesGo) {
  GarbageFacts given = facts();
  given.files = {{"chk-4", true, kOld},
                 {"chk-4/_metadata", false, kOld},
                 {"chk-4/a2-c4-1-x", false, kOld},
                 {"chk-5", true, kOld},
                 {"chk-5/_metadata", false, kOld},
                 {"chk-7", true, kOld},
                 {"chk-7/_metadata", false, kOld}};
  const GarbagePlan plan = plan_garbage(given);
  EXPECT_EQ(plan.manifests, std::vector<std::string>{"chk-4/_metadata"});
  EXPECT_EQ(plan.files, std::vector<std::string>{"chk-4/a2-c4-1-x"});
  EXPECT_EQ(plan.directories, std::vector<std::string>{"chk-4"});
}

TEST(Garbage, ADirectoryWithSomethingKeptStays) {
  GarbageFacts given = facts();
  given.retained = {manifest(5, {"chk-4/a2-c4-1-x"})};
  given.files = {{"chk-4", true, kOld}, {"chk-4/a2-c4-1-x", false, kOld}, {"chk-5", true, kOld}};
  EXPECT_TRUE(plan_garbage(given).files.empty());
  EXPECT_TRUE(plan_garbage(given).directories.empty());
}

TEST(Garbage, ExclusiveFilesOfCheckpointsThatAreOverGoAtOnce) {
  GarbageFacts given = facts();
  given.files = {{"chk-4", true, 0},
                 {"chk-4/a2-c4-1-x", false, 0},
                 {"chk-6/a2-c6-1-x", false, 0},       // still under way
                 {"chk-4/a3-c4-1-x", false, 0},       // of an attempt that is not ours to judge
                 {"chk-4/someone-elses", false, 0}};  // not made by us
  EXPECT_EQ(plan_garbage(given).files, std::vector<std::string>{"chk-4/a2-c4-1-x"});
}

TEST(Garbage, AReleasedFileGoesAsSoonAsNoRetainedManifestNamesIt) {
  GarbageFacts given = facts();
  given.files = {{"taskowned/a2-c9-1-log", false, 0}, {"shared/a1-c3-1-sst", false, 0}};
  given.released = {"taskowned/a2-c9-1-log", "shared/a1-c3-1-sst"};
  EXPECT_EQ(plan_garbage(given).files, std::vector<std::string>{"taskowned/a2-c9-1-log"});
}

TEST(Garbage, ASavepointDoesNotMakePendingCheckpointsOld) {
  GarbageFacts given = facts();
  given.retained.push_back(manifest(9, {}, SnapshotKind::kSavepoint));
  given.files = {{"shared/a2-c8-7-sst", false, kOld}};
  EXPECT_TRUE(plan_garbage(given).files.empty());
}

TEST(Retention, KeepsTheHighestAndEverySavepoint) {
  const std::vector<PublishedCheckpoint> published{{1, SnapshotKind::kCheckpoint},
                                                   {2, SnapshotKind::kSavepoint},
                                                   {4, SnapshotKind::kCheckpoint},
                                                   {3, SnapshotKind::kCheckpoint},
                                                   {5, SnapshotKind::kSavepoint}};
  EXPECT_EQ(retained_checkpoints(published, 1), (std::vector<CheckpointId>{5, 4, 2}));
  EXPECT_EQ(retained_checkpoints(published, 2), (std::vector<CheckpointId>{5, 4, 3, 2}));
  EXPECT_EQ(retained_checkpoints({}, 1), std::vector<CheckpointId>{});
}

TEST(Origin, IsReadFromTheNameOrNotAtAll) {
  EXPECT_EQ(origin_of("shared/a12-c345-00ff-x")->attempt, 12);
  EXPECT_EQ(origin_of("a12-c345-x")->checkpoint, 345);
  for (const char* bad : {"", "a", "a-c1-x", "a1-c-x", "a1c1-x", "a1-c1", "a0-c1-x", "a+1-c1-x",
                          "a99999999999999999999-c1-x", "b1-c1-x"}) {
    EXPECT_FALSE(origin_of(bad).has_value()) << bad;
  }
  EXPECT_EQ(checkpoint_of_path("chk-7"), 7);
  EXPECT_EQ(checkpoint_of_path("chk-7/_metadata"), 7);
  EXPECT_FALSE(checkpoint_of_path("chk-7x").has_value());
  EXPECT_FALSE(checkpoint_of_path("chk-07").has_value());
  EXPECT_FALSE(checkpoint_of_path("chk-").has_value());
}

}  // namespace
}  // namespace weir::checkpoint
