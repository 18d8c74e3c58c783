#include "io/local_file_system.h"

#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "io/faulty_file_system.h"

namespace weir {
namespace {

/// A directory of its own that goes away with the test.
class LocalFileSystemTest : public testing::Test {
 protected:
  LocalFileSystemTest() {
    std::string name = std::filesystem::temp_directory_path() / "weir-io-XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  ~LocalFileSystemTest() override { std::filesystem::remove_all(root_); }

  std::string path(std::string_view name) const { return join_path(root_, name); }
  std::vector<std::string> names() {
    std::vector<std::string> result;
    const std::vector<DirectoryEntry> entries = files_.list(root_).value();
    for (const DirectoryEntry& entry : entries) {
      result.push_back(entry.name);
    }
    return result;
  }

  std::string root_;
  LocalFileSystem files_;
};

TEST_F(LocalFileSystemTest, WhatWasAppendedIsReadBackAcrossBufferBoundaries) {
  const std::string piece(3'000'000, 'x');
  auto file = files_.create_writer(path("big")).value();
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(file->append(piece).ok());
    ASSERT_TRUE(file->append(std::to_string(i)).ok());
  }
  EXPECT_EQ(file->size_bytes(), 12'000'004U);
  ASSERT_TRUE(file->sync().ok());
  ASSERT_TRUE(file->close().ok());
  EXPECT_EQ(files_.read(path("big")).value(),
            piece + "0" + piece + "1" + piece + "2" + piece + "3");
  EXPECT_EQ(files_.read_range(path("big"), 3'000'000, 3).value(), "0xx");
  EXPECT_EQ(files_.size_bytes(path("big")).value(), 12'000'004U);
}

/// Full buffers are written around the page cache, and what follows a sync() is not.
TEST_F(LocalFileSystemTest, WhatIsSyncedInBetweenAndOnTmpfsIsReadBackToo) {
  std::string bytes(9'500'000, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(i * 7 + i / 4096);
  }
  for (const std::string& to : {path("file"), "/dev/shm/" + root_.substr(root_.rfind('/') + 1)}) {
    auto file = files_.create_writer(to).value();
    std::size_t done = 0;
    for (const std::size_t end : {std::size_t{8'388'608}, std::size_t{8'388'700}, bytes.size()}) {
      ASSERT_TRUE(file->append(std::string_view(bytes).substr(done, end - done)).ok());
      ASSERT_TRUE(file->sync().ok());
      done = end;
    }
    // A whole buffer behind a part of one: at no multiple of a page.
    ASSERT_TRUE(file->append(bytes).ok());
    ASSERT_TRUE(file->close().ok());
    EXPECT_TRUE(files_.read(to).value() == bytes + bytes) << to;
    std::filesystem::remove(to);
  }
}

TEST_F(LocalFileSystemTest, ARangeBeyondTheEndIsCorruptionThatNamesFileAndByte) {
  ASSERT_TRUE(files_.publish(path("short"), "abc").ok());
  const auto result = files_.read_range(path("short"), 2, std::size_t{1} << 60);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kCorruption);
  EXPECT_NE(result.error().message.find(path("short")), std::string::npos);
  EXPECT_NE(result.error().message.find("byte 3"), std::string::npos);
}

TEST_F(LocalFileSystemTest, AWriterNeverTouchesAnExistingFile) {
  ASSERT_TRUE(files_.publish(path("taken"), "old").ok());
  EXPECT_EQ(files_.create_writer(path("taken")).error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(files_.read(path("taken")).value(), "old");
}

TEST_F(LocalFileSystemTest, PublishingTwiceKeepsTheFirstAndLeavesNothingAside) {
  ASSERT_TRUE(files_.publish(path("once"), "first").ok());
  const Status second = files_.publish(path("once"), "second");
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(files_.read(path("once")).value(), "first");
  EXPECT_EQ(names(), std::vector<std::string>{"once"});
}

TEST_F(LocalFileSystemTest, OfManyThatPublishTheSameNameExactlyOneSucceeds) {
  std::vector<int> outcome(8, 0);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < outcome.size(); ++i) {
    threads.emplace_back([&, i] {
      outcome[i] = files_.publish(path("race"), "from " + std::to_string(i)).ok() ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  int winners = 0;
  for (std::size_t i = 0; i < outcome.size(); ++i) {
    if (outcome[i] == 1) {
      ++winners;
      EXPECT_EQ(files_.read(path("race")).value(), "from " + std::to_string(i));
    }
  }
  EXPECT_EQ(winners, 1);
  EXPECT_EQ(names(), std::vector<std::string>{"race"});
}

TEST_F(LocalFileSystemTest, RenamingNeverReplaces) {
  ASSERT_TRUE(files_.publish(path("a"), "a").ok());
  ASSERT_TRUE(files_.publish(path("b"), "b").ok());
  EXPECT_EQ(files_.rename_no_replace(path("a"), path("b")).error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(files_.read(path("b")).value(), "b");
  ASSERT_TRUE(files_.rename_no_replace(path("a"), path("c")).ok());
  EXPECT_EQ(names(), (std::vector<std::string>{"b", "c"}));
}

TEST_F(LocalFileSystemTest, WhatIsMissingIsNotFoundAndNamed) {
  for (const Status& status :
       {files_.read(path("none")).status(), files_.remove(path("none")),
        files_.list(path("none")).status(), files_.remove_directory(path("none")),
        files_.size_bytes(path("none")).status()}) {
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::kNotFound);
    EXPECT_NE(status.error().message.find(path("none")), std::string::npos);
  }
  EXPECT_FALSE(files_.exists(path("none")).value());
}

TEST_F(LocalFileSystemTest, DirectoriesAreCreatedWithParentsAndOnce) {
  ASSERT_TRUE(files_.create_directories(path("x/y/z")).ok());
  ASSERT_TRUE(files_.create_directories(path("x/y/z")).ok());
  EXPECT_EQ(files_.create_directory(path("x/y")).error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(files_.remove_directory(path("x")).error().code, ErrorCode::kAlreadyExists);
  EXPECT_TRUE(files_.list(root_).value()[0].is_directory);
}

TEST_F(LocalFileSystemTest, ALockHasOneHolderAndEndsWithIt) {
  auto held = files_.lock(path("lock"));
  ASSERT_TRUE(held.ok());
  EXPECT_EQ(files_.lock(path("lock")).error().code, ErrorCode::kUnavailable);
  held.value().reset();
  EXPECT_TRUE(files_.lock(path("lock")).ok());
}

TEST_F(LocalFileSystemTest, AFullDiskIsNoSpaceAndStaysSo) {
  FaultyFileSystem faulty(files_);
  faulty.set_space_left(10);
  auto file = faulty.create_writer(path("full")).value();
  ASSERT_TRUE(file->append("12345678").ok());
  EXPECT_EQ(file->append("9abcdef").error().code, ErrorCode::kNoSpace);
  ASSERT_TRUE(file->close().ok());
  EXPECT_EQ(files_.read(path("full")).value(), "123456789a");
  EXPECT_EQ(faulty.publish(path("other"), "x").error().code, ErrorCode::kNoSpace);
  EXPECT_FALSE(files_.exists(path("other")).value());
}

TEST_F(LocalFileSystemTest, PlannedFaultsHitTheNthCallOnly) {
  FaultyFileSystem faulty(files_);
  faulty.plan({.operation = FileOperation::kPublish, .passes_before = 1});
  EXPECT_TRUE(faulty.publish(path("1"), "1").ok());
  EXPECT_FALSE(faulty.publish(path("2"), "2").ok());
  EXPECT_TRUE(faulty.publish(path("3"), "3").ok());
  EXPECT_EQ(faulty.calls(FileOperation::kPublish), 3);
  faulty.plan({.operation = FileOperation::kPublish, .bytes_done = 0});
  EXPECT_FALSE(faulty.publish(path("4"), "4").ok());
  EXPECT_TRUE(files_.exists(path("4")).value());
}

}  // namespace
}  // namespace weir
