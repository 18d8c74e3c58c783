// What is deleted with a savepoint, in which order, and what is not; and what takes space.
#include "checkpoint/savepoint_disposal.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "checkpoint/storage_usage.h"
#include "io/faulty_file_system.h"
#include "io/local_file_system.h"

namespace weir::checkpoint {
namespace {

constexpr const char* kJob = "0123456789abcdef0123456789abcdef";

class DisposalTest : public ::testing::Test {
 protected:
  DisposalTest() {
    std::string name = std::filesystem::temp_directory_path() / "weir-disposal-XXXXXX";
    root_ = ::mkdtemp(name.data());
  }
  ~DisposalTest() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& bytes) const {
    std::filesystem::create_directories(std::filesystem::path(root_ + "/" + path).parent_path());
    std::ofstream(root_ + "/" + path, std::ios::binary) << bytes;
  }
  bool exists(const std::string& path) const { return std::filesystem::exists(root_ + "/" + path); }
  /// A snapshot in `directory` that names `files`, relative to `base`.
  void make(const std::string& directory, SnapshotKind kind, CheckpointId checkpoint,
            const std::string& base, const std::vector<std::string>& files) const {
    Manifest manifest;
    manifest.job_id = kJob;
    manifest.checkpoint = checkpoint;
    manifest.attempt = 1;
    manifest.kind = kind;
    SubtaskSnapshot subtask;
    for (const std::string& file : files) {
      const std::string bytes = "bytes of " + file;
      write(base + "/" + file, bytes);
      subtask.files.push_back({{file, bytes.size(), crc32c(bytes)}, "other", {0, 127}, ""});
    }
    manifest.operators = {{"uid", "name", 1, 128, {}, {subtask}}};
    write(directory + "/_metadata", encode_manifest(manifest).value());
  }

  std::string root_;
  LocalFileSystem local_;
  FaultyFileSystem files_{local_};
};

TEST_F(DisposalTest, ASavepointGoesWithItsDirectory) {
  make("sp", SnapshotKind::kSavepoint, 7, "sp", {"0-a", "1-b"});
  const auto disposed = dispose_savepoint(files_, root_ + "/sp/_metadata");
  ASSERT_TRUE(disposed.ok()) << disposed.error().message;
  EXPECT_EQ(disposed.value().files, 3U);
  EXPECT_FALSE(exists("sp"));
}

TEST_F(DisposalTest, TheManifestGoesFirst) {
  make("sp", SnapshotKind::kSavepoint, 7, "sp", {"0-a", "1-b"});
  files_.plan({.operation = FileOperation::kRemove, .path_contains = "0-a"});
  EXPECT_FALSE(dispose_savepoint(files_, root_ + "/sp").ok());
  EXPECT_FALSE(exists("sp/_metadata")) << "half a savepoint must not look like a whole one";
  EXPECT_TRUE(exists("sp/0-a"));
}

TEST_F(DisposalTest, AManifestThatStaysKeepsItsFiles) {
  make("sp", SnapshotKind::kSavepoint, 7, "sp", {"0-a", "1-b"});
  files_.plan({.operation = FileOperation::kRemove, .path_contains = "_metadata"});
  EXPECT_FALSE(dispose_savepoint(files_, root_ + "/sp").ok());
  EXPECT_TRUE(exists("sp/_metadata") && exists("sp/0-a") && exists("sp/1-b"));
}

TEST_F(DisposalTest, WhatIsNotOfTheSavepointStays) {
  make("sp", SnapshotKind::kSavepoint, 7, "sp", {"0-a"});
  write("sp/notes.txt", "mine");
  const auto disposed = dispose_savepoint(files_, root_ + "/sp");
  ASSERT_TRUE(disposed.ok());
  EXPECT_EQ(disposed.value().left, std::vector<std::string>{"notes.txt"});
  EXPECT_TRUE(exists("sp/notes.txt"));
  EXPECT_FALSE(exists("sp/0-a"));
}

TEST_F(DisposalTest, CheckpointsAndOtherThingsAreRefusedUntouched) {
  make("job/chk-7", SnapshotKind::kCheckpoint, 7, "job", {"chk-7/x"});
  make("moved", SnapshotKind::kCheckpoint, 7, "moved", {"x"});
  make("sly", SnapshotKind::kSavepoint, 7, "sly", {"deep/x"});
  make("both", SnapshotKind::kSavepoint, 7, "both", {"0-a"});
  write("both/_job", "weir job x\n");
  for (const char* const name : {"job/chk-7", "moved", "sly", "both"}) {
    const auto disposed = dispose_savepoint(files_, root_ + "/" + name);
    ASSERT_FALSE(disposed.ok()) << name;
    EXPECT_EQ(disposed.error().code, ErrorCode::kInvalidArgument);
    EXPECT_TRUE(exists(std::string(name) + "/_metadata")) << name;
  }
  EXPECT_TRUE(exists("job/chk-7/x") && exists("moved/x") && exists("sly/deep/x"));
  for (const char* const name : {"job", "nowhere"}) {
    EXPECT_EQ(dispose_savepoint(files_, root_ + "/" + name).error().code, ErrorCode::kNotFound);
  }
  write("broken/_metadata", "rubbish");
  EXPECT_FALSE(dispose_savepoint(files_, root_ + "/broken").ok());
  EXPECT_TRUE(exists("broken/_metadata"));
}

TEST_F(DisposalTest, SharedFilesCountOnceAndOrphansAreNamed) {
  make("job/chk-1", SnapshotKind::kCheckpoint, 1, "job", {"shared/both", "chk-1/own"});
  make("job/chk-2", SnapshotKind::kCheckpoint, 2, "job", {"shared/both", "chk-2/other"});
  write("job/shared/nobody", "12345");
  write("job/_job", "weir job " + std::string(kJob) + "\npipeline p\n");
  std::filesystem::remove(root_ + "/job/chk-2/other");
  const auto listing = list_snapshots(files_, root_);
  ASSERT_TRUE(listing.ok());
  ASSERT_EQ(listing.value().jobs.size(), 1U);
  EXPECT_EQ(listing.value().jobs[0].pipeline_id, "p");
  const auto usage = storage_usage_of(files_, listing.value().jobs[0]);
  ASSERT_TRUE(usage.ok());
  const std::uint64_t shared = std::string("bytes of shared/both").size();
  EXPECT_EQ(usage.value().shared_bytes, shared);
  EXPECT_EQ(usage.value().shared_files, 1U);
  EXPECT_EQ(usage.value().orphaned_bytes, 5U);
  ASSERT_EQ(usage.value().orphaned.size(), 1U);
  EXPECT_EQ(usage.value().orphaned[0].path, "shared/nobody");
  ASSERT_EQ(usage.value().snapshots.size(), 2U);
  EXPECT_EQ(usage.value().snapshots[0].checkpoint, 2);
  EXPECT_EQ(usage.value().snapshots[0].missing, std::vector<std::string>{"chk-2/other"});
  EXPECT_EQ(usage.value().snapshots[0].shared_bytes, shared);
  EXPECT_EQ(usage.value().snapshots[1].own_bytes, std::string("bytes of chk-1/own").size());
}

}  // namespace
}  // namespace weir::checkpoint
