#include "checkpoint/store.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "checkpoint/checkpoint_files.h"
#include "io/faulty_file_system.h"
#include "io/local_file_system.h"

namespace weir::checkpoint {
namespace {

constexpr std::string_view kJob = "0123456789abcdef0123456789abcdef";

class StoreTest : public testing::Test {
 protected:
  StoreTest() {
    std::string name = std::filesystem::temp_directory_path() / "weir-store-XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  ~StoreTest() override { std::filesystem::remove_all(root_); }

  StoreOptions options() const {
    StoreOptions result;
    result.directory = root_;
    result.job_id = kJob;
    result.pipeline_id = "p";
    result.read_retry_delay = DurationMs(0);
    return result;
  }
  std::unique_ptr<CheckpointStore> open() {
    return CheckpointStore::open(files_, clock_, options()).value();
  }
  std::unique_ptr<CheckpointStore> begin() {
    auto store = open();
    EXPECT_TRUE(store->begin_attempt().ok());
    return store;
  }

  /// A checkpoint with one state file that holds `content`.
  Manifest with_file(CheckpointStore& store, CheckpointId checkpoint, const std::string& content) {
    EXPECT_TRUE(store.begin_checkpoint(checkpoint).ok());
    const std::string name = store.new_file_name(FileScope::kExclusive, checkpoint, "a/b c");
    auto file = store.files().create_writer(store.path_of(name)).value();
    EXPECT_TRUE(file->append(content).ok() && file->sync().ok() && file->close().ok());
    Manifest m;
    m.job_id = kJob;
    m.checkpoint = checkpoint;
    m.attempt = store.attempt();
    SubtaskSnapshot subtask;
    subtask.files = {{{name, content.size(), crc32c(content)}, "k", {0, 127}, ""}};
    m.operators = {{"uid", "name", 1, 128, {}, {subtask}}};
    return m;
  }
  void damage(const std::string& path) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-1, std::ios::end);
    file.put('~');
  }

  static void flip(const std::string& path, std::uintmax_t bit) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(bit / 8));
    const int byte = file.get();
    file.seekp(static_cast<std::streamoff>(bit / 8));
    file.put(static_cast<char>(byte ^ (1 << (bit % 8))));
  }

  std::string root_;
  LocalFileSystem local_;
  FaultyFileSystem files_{local_};
  ManualClock clock_;
};

TEST_F(StoreTest, TheHighestPublishedCheckpointIsTheLatest) {
  auto store = begin();
  EXPECT_FALSE(store->load_latest().value().has_value());
  ASSERT_TRUE(store->publish(with_file(*store, 1, "one")).ok());
  ASSERT_TRUE(store->publish(with_file(*store, 10, "ten")).ok());
  ASSERT_TRUE(store->publish(with_file(*store, 9, "nine")).ok());
  ASSERT_TRUE(store->begin_checkpoint(11).ok());
  EXPECT_EQ(store->list_published().value(), (std::vector<CheckpointId>{10, 9, 1}));
  const Manifest latest = store->load_latest().value().value();
  EXPECT_EQ(latest.checkpoint, 10);
  EXPECT_TRUE(store->verify(latest).ok());
  EXPECT_EQ(store->highest_checkpoint_id().value(), 11);
}

TEST_F(StoreTest, AttemptsRiseOverRestarts) {
  EXPECT_EQ(open()->begin_attempt().value(), 1);
  EXPECT_EQ(open()->begin_attempt().value(), 2);
  auto store = open();
  files_.plan({.operation = FileOperation::kPublish,
               .code = ErrorCode::kUnknownOutcome,
               .path_contains = "attempts",
               .bytes_done = 0});
  EXPECT_EQ(store->begin_attempt().value(), 4) << "a number whose outcome is unknown is not used";
  EXPECT_TRUE(store->check_leading().ok());
}

TEST_F(StoreTest, OneProcessAtATime) {
  auto store = open();
  const auto second = CheckpointStore::open(files_, clock_, options());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
  store.reset();
  EXPECT_TRUE(CheckpointStore::open(files_, clock_, options()).ok());
}

TEST_F(StoreTest, AForeignJobIsRefused) {
  StoreOptions mine = options();
  mine.has_subdirectory = false;
  ASSERT_TRUE(CheckpointStore::open(files_, clock_, mine).ok());
  mine.job_id = "ffffffffffffffffffffffffffffffff";
  const auto other = CheckpointStore::open(files_, clock_, mine);
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(other.error().message.find(kJob), std::string::npos);
}

TEST_F(StoreTest, AnOldAttemptPublishesAndDeletesNothing) {
  auto store = begin();
  const Manifest m = with_file(*store, 1, "one");
  ASSERT_TRUE(local_.publish(store->root() + "/attempts/2", "").ok());
  EXPECT_EQ(store->publish(m).error().code, ErrorCode::kFenced);
  EXPECT_EQ(store->collect({}).error().code, ErrorCode::kFenced);
  EXPECT_TRUE(store->list_published().value().empty());
}

// Found by the simulator: paused between its last look at the attempts and the rename, an old
// attempt would publish behind the back of the one that has restored an older checkpoint meanwhile.
TEST_F(StoreTest, ANewAttemptTakesBegunNumbersFromOldOnesForGood) {
  auto store = begin();
  ASSERT_TRUE(store->publish(with_file(*store, 1, "one")).ok());
  const Manifest late = with_file(*store, 2, "two");
  const std::string bytes = encode_manifest(late).value();
  const std::string path = store->path_of(CheckpointStore::manifest_name_of(2));
  store.reset();

  auto next = begin();
  EXPECT_EQ(next->load_latest().value()->checkpoint, 1);
  EXPECT_EQ(local_.publish(path, bytes).error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(next->load_latest().value()->checkpoint, 1);
  EXPECT_EQ(next->list_published().value(), std::vector<CheckpointId>{1});
  EXPECT_EQ(next->load(2).error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(CheckpointStore::is_seal(local_.read(path).value()));
  EXPECT_EQ(CheckpointStore::load_from(local_, path).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(next->highest_checkpoint_id().value(), 2);

  ASSERT_TRUE(next->publish(with_file(*next, 3, "three")).ok());
  ASSERT_TRUE(next->collect_garbage({.num_retained = 1, .grace_ms = 0}, {}).ok());
  EXPECT_FALSE(local_.exists(next->root() + "/chk-2").value()) << "and they are garbage in the end";
}

TEST_F(StoreTest, ALatestManifestCutToAnyLengthIsAnErrorAndNoOlderOneIsTaken) {
  auto store = begin();
  ASSERT_TRUE(store->publish(with_file(*store, 1, "one")).ok());
  ASSERT_TRUE(store->publish(with_file(*store, 2, "two")).ok());
  const std::string path = store->path_of(CheckpointStore::manifest_name_of(2));
  for (std::uintmax_t size = std::filesystem::file_size(path); size-- > 0;) {
    std::filesystem::resize_file(path, size);
    const auto latest = store->load_latest();
    ASSERT_FALSE(latest.ok()) << size << " bytes";
    ASSERT_NE(latest.error().message.find(path), std::string::npos) << size << " bytes";
  }
}

TEST_F(StoreTest, EveryFlippedBitOfACheckpointIsRefused) {
  auto store = begin();
  const Manifest m = with_file(*store, 1, "sixteen bytes...");
  ASSERT_TRUE(store->publish(m).ok());
  const std::string manifest = store->path_of(CheckpointStore::manifest_name_of(1));
  for (const std::string& path : {manifest, store->path_of(files_of(m).front().path)}) {
    const std::uintmax_t size = std::filesystem::file_size(path);
    for (std::uintmax_t bit = 0; bit < size * 8; ++bit) {
      flip(path, bit);
      const auto loaded = CheckpointStore::load_from(local_, manifest);
      const Status whole = loaded.ok() ? store->verify(loaded.value()) : loaded.status();
      ASSERT_FALSE(whole.ok()) << path << ", bit " << bit;
      ASSERT_NE(whole.error().message.find(path), std::string::npos) << whole.error().message;
      flip(path, bit);
    }
  }
  EXPECT_TRUE(store->verify(store->load_latest().value().value()).ok()) << "whole again";
}

// Found by the simulator: the second try failed before it could look, and was taken for certain.
TEST_F(StoreTest, AnUnknownPublicationStaysUnknownUntilItIsReadBack) {
  auto store = begin();
  const Manifest m = with_file(*store, 1, "one");
  files_.plan({.operation = FileOperation::kPublish,
               .code = ErrorCode::kUnknownOutcome,
               .path_contains = "_metadata",
               .bytes_done = 0});
  files_.plan({.operation = FileOperation::kRead, .path_contains = "_metadata"});
  EXPECT_EQ(store->publish(m).error().code, ErrorCode::kUnknownOutcome);
  files_.plan({.operation = FileOperation::kDirectory, .path_contains = "chk-1"});
  EXPECT_EQ(store->publish(m).error().code, ErrorCode::kUnknownOutcome);
  files_.plan({.operation = FileOperation::kList, .path_contains = "attempts"});
  EXPECT_EQ(store->publish(m).error().code, ErrorCode::kUnknownOutcome);
  EXPECT_TRUE(store->publish(m).ok());
}

// Found by the simulator (seed 103984446 of the state before): the second try of a zombie found its
// manifest gone, which its successor had gone on from and removed, and called that a failure.
TEST_F(StoreTest, AnUnknownPublicationThatASuccessorRemovedIsNoFailure) {
  for (const FileOperation paused : {FileOperation::kPublish, FileOperation::kDirectory}) {
    auto zombie = begin();
    const CheckpointId number = zombie->highest_checkpoint_id().value() + 1;
    const Manifest m = with_file(*zombie, number, "one");
    files_.plan({.operation = FileOperation::kPublish,
                 .code = ErrorCode::kUnknownOutcome,
                 .path_contains = "_metadata",
                 .bytes_done = 0});
    files_.plan({.operation = FileOperation::kRead, .path_contains = "_metadata"});
    ASSERT_EQ(zombie->publish(m).error().code, ErrorCode::kUnknownOutcome);
    files_.plan(
        {.operation = paused, .path_contains = "chk-" + std::to_string(number), .meanwhile = [&] {
           std::filesystem::remove(zombie->root() + "/_lock");  // as on another machine
           auto next = begin();
           EXPECT_EQ(next->load_latest().value()->checkpoint, number);
           EXPECT_TRUE(next->publish(with_file(*next, number + 1, "two")).ok());
           EXPECT_TRUE(next->collect_garbage({.num_retained = 1, .grace_ms = 0}, {}).ok());
         }});
    EXPECT_EQ(zombie->publish(m).error().code, ErrorCode::kFenced);
    std::filesystem::remove(zombie->root() + "/_lock");
  }
}

TEST_F(StoreTest, AFailureAfterAnUnknownPublicationIsKnownOnceNothingIsThere) {
  auto store = begin();
  const Manifest m = with_file(*store, 1, "one");
  files_.plan({.operation = FileOperation::kPublish, .code = ErrorCode::kUnknownOutcome});
  files_.plan({.operation = FileOperation::kRead, .path_contains = "_metadata"});
  ASSERT_EQ(store->publish(m).error().code, ErrorCode::kUnknownOutcome);
  files_.plan({.operation = FileOperation::kPublish, .code = ErrorCode::kNoSpace});
  EXPECT_EQ(store->publish(m).error().code, ErrorCode::kNoSpace);
  EXPECT_TRUE(store->publish(m).ok());
}

// A zombie that restarted would fence the attempt that replaced it.
TEST_F(StoreTest, AnOvertakenProcessBeginsNoFurtherAttempt) {
  auto overtaken = begin();
  std::filesystem::remove(overtaken->root() + "/_lock");  // as on another machine
  auto leading = begin();
  EXPECT_EQ(overtaken->begin_attempt().error().code, ErrorCode::kFenced);
  EXPECT_TRUE(leading->check_leading().ok());
  EXPECT_TRUE(leading->begin_attempt().ok());
}

TEST_F(StoreTest, ALostReplyIsReadBackAndAdopted) {
  auto store = begin();
  const Manifest m = with_file(*store, 1, "one");
  files_.plan({.operation = FileOperation::kPublish, .bytes_done = 0});
  EXPECT_TRUE(store->publish(m).ok());
  EXPECT_TRUE(store->publish(m).ok()) << "publishing the same again is the same";
  Manifest different = m;
  different.job_name = "x";
  EXPECT_EQ(store->publish(different).error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(store->load(1).value().job_name, "");
}

TEST_F(StoreTest, WhatCannotBeReadBackIsUnknown) {
  auto store = begin();
  const Manifest m = with_file(*store, 1, "one");
  files_.plan({.operation = FileOperation::kPublish, .bytes_done = 0});
  files_.plan({.operation = FileOperation::kRead, .path_contains = "_metadata"});
  EXPECT_EQ(store->publish(m).error().code, ErrorCode::kUnknownOutcome);
  EXPECT_TRUE(store->publish(m).ok());
}

TEST_F(StoreTest, AFailureThatLeftNothingIsAFailure) {
  auto store = begin();
  const Manifest m = with_file(*store, 1, "one");
  files_.plan({.operation = FileOperation::kPublish, .code = ErrorCode::kNoSpace});
  EXPECT_EQ(store->publish(m).error().code, ErrorCode::kNoSpace);
  files_.plan({.operation = FileOperation::kDirectory});
  EXPECT_FALSE(store->publish(m).ok()) << "state files whose names are not durable";
  EXPECT_TRUE(store->list_published().value().empty());
}

TEST_F(StoreTest, AnUnreadableLatestIsRetriedThenAnErrorNeverAnOlderOne) {
  auto store = begin();
  ASSERT_TRUE(store->publish(with_file(*store, 1, "one")).ok());
  ASSERT_TRUE(store->publish(with_file(*store, 2, "two")).ok());
  files_.plan({.operation = FileOperation::kRead, .passes_before = 2, .times = 2});
  EXPECT_EQ(store->load_latest().value()->checkpoint, 2) << "unreadable for a moment";
  damage(store->path_of("chk-2/_metadata"));
  const auto latest = store->load_latest();
  ASSERT_FALSE(latest.ok());
  EXPECT_EQ(latest.error().code, ErrorCode::kCorruption);
  EXPECT_NE(latest.error().message.find("chk-2/_metadata"), std::string::npos);
  EXPECT_TRUE(store->load(1).ok()) << "the others stay restorable";
  EXPECT_FALSE(store->collect_garbage({1, 0}, {}).ok());
  EXPECT_TRUE(store->load(1).ok()) << "an unreadable manifest deletes nothing";
}

TEST_F(StoreTest, VerifyNamesTheDamagedFile) {
  auto store = begin();
  const Manifest m = with_file(*store, 1, "one");
  EXPECT_TRUE(store->verify(m).ok());
  const std::string path = store->path_of(files_of(m)[0].path);
  damage(path);
  EXPECT_NE(store->verify(m).error().message.find(path), std::string::npos);
}

TEST_F(StoreTest, TwoRunsNeverShareACheckpointNumber) {
  auto store = begin();
  ASSERT_TRUE(store->begin_checkpoint(1).ok());
  EXPECT_EQ(store->begin_checkpoint(1).error().code, ErrorCode::kFenced);
}

TEST_F(StoreTest, SubsumedCheckpointsAreCollectedWithTheirFiles) {
  auto store = begin();
  const Manifest one = with_file(*store, 1, "one");
  ASSERT_TRUE(store->publish(one).ok());
  Manifest two = with_file(*store, 2, "two");
  ASSERT_TRUE(store->publish(two).ok());
  const Manifest pending = with_file(*store, 3, "three");
  clock_.advance_ms(std::int64_t{1} << 42);  // long after the files' times
  ASSERT_TRUE(store->collect_garbage({1, 1000}, {}).ok());
  EXPECT_EQ(store->list_published().value(), std::vector<CheckpointId>{2});
  EXPECT_FALSE(local_.exists(store->root() + "/chk-1").value());
  EXPECT_TRUE(store->verify(two).ok());
  EXPECT_TRUE(store->verify(pending).ok());
}

TEST_F(StoreTest, FilesOfCommittablesAreRememberedAndChecked) {
  auto store = begin();
  StoreCheckpointFiles files(*store);
  const std::string name = files.write("log", "bytes").value();
  EXPECT_EQ(files.read(name).value(), "bytes");
  const Committable committable{{"s", 0, 1, 1}, "", {name}};
  EXPECT_EQ(files.references_of({committable, committable}).value().size(), 1U);
  EXPECT_FALSE(files.references_of({{{"s", 0, 1, 1}, "", {"taskowned/x"}}}).ok());
  damage(store->path_of(name));
  EXPECT_EQ(files.read(name).error().code, ErrorCode::kCorruption);
}

TEST_F(StoreTest, AChosenSnapshotIsLoadedByDirectoryOrFile) {
  auto store = begin();
  ASSERT_TRUE(store->publish(with_file(*store, 1, "one")).ok());
  const std::string directory = store->path_of("chk-1");
  EXPECT_EQ(CheckpointStore::load_from(files_, directory).value().checkpoint, 1);
  EXPECT_EQ(CheckpointStore::load_from(files_, directory + "/_metadata").value().checkpoint, 1);
}

TEST_F(StoreTest, AnAttemptMayBeToldToRiseAboveAnother) {
  EXPECT_EQ(open()->begin_attempt(7).value(), 8);
  EXPECT_EQ(open()->begin_attempt(3).value(), 9);
}

TEST_F(StoreTest, TheRecordOfTheEndIsReadBackAndCountsUntilTheJobGoesOn) {
  const auto store = begin();
  EXPECT_FALSE(store->load_finished().value().has_value());
  ASSERT_TRUE(store->publish_finished({4, 77, {{5, 2}, {6, 3}}}).ok());
  ASSERT_TRUE(store->publish_finished({4, 77, {{5, 2}, {6, 3}}}).ok()) << "after a lost reply";
  EXPECT_FALSE(store->publish_finished({4, 78, {}}).ok()) << "another end is not this one";
  const auto record = store->load_finished().value();
  ASSERT_TRUE(record.has_value());
  EXPECT_EQ(record->checkpoint, 4);
  EXPECT_EQ(record->incarnation, 77);
  EXPECT_EQ(record->lineage, (Lineage{{5, 2}, {6, 3}}));
  ASSERT_TRUE(store->publish(with_file(*store, 5, "content")).ok());
  EXPECT_FALSE(store->load_finished().value().has_value());
}

TEST_F(StoreTest, DisposingOfEverythingKeepsTheNumbersAndNothingElse) {
  const auto store = begin();
  for (CheckpointId id = 1; id <= 3; ++id) {
    ASSERT_TRUE(store->publish(with_file(*store, id, "content")).ok());
  }
  ASSERT_TRUE(store->dispose_all().ok());
  EXPECT_TRUE(store->list_published().value().empty());
  EXPECT_EQ(store->highest_checkpoint_id().value(), 3);
  const std::vector<StoredFile> files = store->list_files().value();
  for (const StoredFile& file : files) {
    EXPECT_FALSE(origin_of(file.path).has_value()) << file.path;
  }
}

TEST_F(StoreTest, DisposingThatIsCutShortLeavesTheNewestCheckpoint) {
  const auto store = begin();
  for (CheckpointId id = 1; id <= 3; ++id) {
    ASSERT_TRUE(store->publish(with_file(*store, id, "content")).ok());
  }
  FileFault fault;
  fault.operation = FileOperation::kRemove;
  fault.passes_before = 2;
  fault.times = 100;
  files_.plan(fault);
  EXPECT_FALSE(store->dispose_all().ok());
  files_.heal();
  EXPECT_EQ(store->list_published().value(), std::vector<CheckpointId>{3});
  EXPECT_TRUE(store->verify(store->load(3).value()).ok());
}

}  // namespace
}  // namespace weir::checkpoint
