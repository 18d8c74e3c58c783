// What a damaged, foreign or hostile state file does: it is refused, and nothing is loaded.

#include <string>
#include <vector>

#include "io/faulty_file_system.h"
#include "state/state_file.h"
#include "state/test_support.h"

namespace weir::state::test {
namespace {

class StateFile : public ::testing::Test {
 protected:
  StateFile() {
    HeapBackend backend({"orders", 128, {0, 127}});
    StateTable* sums =
        value_or_fail(backend.open_table(describe<std::uint64_t, std::uint64_t>("sums")));
    StateTable* names =
        value_or_fail(backend.open_table(describe<std::string, std::string>("names")));
    for (std::uint64_t i = 0; i < 5; ++i) {
      put(*sums, 0, i, i * i);
      put(*names, 7, "key " + std::to_string(i), std::string(i, 'v'));
    }
    const std::string key = "key 1";
    value_or_fail(backend.open_timers("timers", type_ops<std::string>()))
        ->add(1000, 7, &key, key_hash(key));
    good_ = take_snapshot(backend, local_file_system(), directory_.file("good"));
    bytes_ = read_file(good_.path);
  }

  /// Restores and opens everything; the first error.
  static Status restore_all(const RestoreFile& file) {
    HeapBackend backend({"orders", 128, {0, 127}});
    WEIR_TRY(backend.restore(local_file_system(), {file}));
    WEIR_TRY(backend.open_table(describe<std::uint64_t, std::uint64_t>("sums")).status());
    WEIR_TRY(backend.open_table(describe<std::string, std::string>("names")).status());
    WEIR_TRY(backend.open_timers("timers", type_ops<std::string>()).status());
    WEIR_TRY(backend.finish_restore().status());
    return {};
  }

  TemporaryDirectory directory_;
  RestoreFile good_;
  std::string bytes_;
};

TEST_F(StateFile, IsRestoredAsItWas) {
  ASSERT_TRUE(restore_all(good_).ok());
  EXPECT_EQ(bytes_.substr(0, 8), kStateFileMagic);
}

TEST_F(StateFile, EveryFlippedBitIsRefused) {
  for (std::size_t bit = 0; bit < bytes_.size() * 8; ++bit) {
    std::string damaged = bytes_;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    // The manifest's own sum would catch it; here the file's must.
    const RestoreFile file = write_file(directory_.file("damaged"), damaged);
    ASSERT_FALSE(restore_all(file).ok()) << "bit " << bit;
    const RestoreFile by_manifest{file.path, good_.expected};
    ASSERT_FALSE(restore_all(by_manifest).ok()) << "bit " << bit;
  }
}

TEST_F(StateFile, EveryTruncationIsRefused) {
  for (std::size_t length = 0; length < bytes_.size(); ++length) {
    const RestoreFile file = write_file(directory_.file("cut"), bytes_.substr(0, length));
    ASSERT_FALSE(restore_all(file).ok()) << "cut to " << length;
  }
}

TEST_F(StateFile, AppendedBytesAreRefused) {
  EXPECT_FALSE(restore_all(write_file(directory_.file("long"), bytes_ + "x")).ok());
  EXPECT_FALSE(restore_all(write_file(directory_.file("twice"), bytes_ + bytes_)).ok());
}

TEST_F(StateFile, AnotherFileThanTheManifestsIsRefused) {
  HeapBackend other({"orders", 128, {0, 127}});
  RestoreFile file = take_snapshot(other, local_file_system(), directory_.file("other"));
  file.expected = good_.expected;
  const Status status = restore_all(file);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kCorruption);
  EXPECT_NE(status.error().message.find("manifest"), std::string::npos);
}

/// Rewrites the payloads of the good file with valid checksums.
RestoreFile forge(const RestoreFile& good, const std::string& path,
                  const std::function<void(std::vector<std::string>&)>& change) {
  FileSystem& files = local_file_system();
  BlockFileReader reader =
      value_or_fail(BlockFileReader::open(files, good.path, kStateFileMagic, kStateFileVersionMax));
  std::vector<std::string> payloads;
  for (auto next = value_or_fail(reader.next()); next.has_value();
       next = value_or_fail(reader.next())) {
    payloads.emplace_back(*next);
  }
  change(payloads);
  std::filesystem::remove(path);
  BlockFileWriter writer =
      value_or_fail(BlockFileWriter::create(files, path, kStateFileMagic, kStateFileVersion));
  for (const std::string& payload : payloads) {
    EXPECT_TRUE(writer.append(payload).ok());
  }
  return {path, value_or_fail(writer.finish())};
}

TEST_F(StateFile, HostileBytesWithValidChecksumsAreRefusedOrHarmless) {
  // Every byte of every payload set to a few values. No sanitizer may object, no count may make
  // us allocate, and a file whose structure is broken must be refused. Half of the bytes belong to
  // values and names, where another byte is as good.
  std::vector<std::string> original;
  forge(good_, directory_.file("forged"), [&](std::vector<std::string>& p) { original = p; });
  int refused = 0;
  int tried = 0;
  for (std::size_t block = 0; block < original.size(); ++block) {
    for (std::size_t byte = 0; byte < original[block].size(); byte += 3) {
      for (const int value : {0xff, 0x00, 0x7f}) {
        const RestoreFile file =
            forge(good_, directory_.file("forged"), [&](std::vector<std::string>& payloads) {
              payloads[block][byte] = static_cast<char>(value);
            });
        refused += restore_all(file).ok() ? 0 : 1;
        ++tried;
      }
    }
  }
  EXPECT_GT(refused, tried / 4);
}

TEST_F(StateFile, MissingOrRepeatedBlocksAreRefused) {
  const auto refused = [&](const std::function<void(std::vector<std::string>&)>& change) {
    return !restore_all(forge(good_, directory_.file("forged"), change)).ok();
  };
  EXPECT_FALSE(refused([](std::vector<std::string>&) {}));
  EXPECT_TRUE(refused([](std::vector<std::string>& p) { p.erase(p.begin()); }));
  EXPECT_TRUE(refused([](std::vector<std::string>& p) { p.pop_back(); }));
  EXPECT_TRUE(refused([](std::vector<std::string>& p) { p.insert(p.begin(), p.front()); }));
  EXPECT_TRUE(refused([](std::vector<std::string>& p) { p.push_back(p.front()); }));
  EXPECT_TRUE(refused([](std::vector<std::string>& p) { p.push_back(p.back()); }));
  EXPECT_TRUE(refused([](std::vector<std::string>& p) { p.clear(); }));
}

TEST_F(StateFile, OtherTypesAreRefusedWithBothSchemas) {
  HeapBackend backend({"orders", 128, {0, 127}});
  ASSERT_TRUE(backend.restore(local_file_system(), {good_}).ok());
  const auto opened = backend.open_table(describe<std::uint64_t, std::uint32_t>("sums"));
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::kInvalidArgument);
  for (const char* part : {"orders", "sums", "u64 -> u64", "u64 -> u32"}) {
    EXPECT_NE(opened.error().message.find(part), std::string::npos) << opened.error().message;
  }
  EXPECT_FALSE(backend.open_table(describe<std::int64_t, std::uint64_t>("sums")).ok());
}

TEST_F(StateFile, AnotherMaxParallelismIsRefused) {
  HeapBackend backend({"orders", 64, {0, 63}});
  const Status status = backend.restore(local_file_system(), {good_});
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("128"), std::string::npos);
  EXPECT_NE(status.error().message.find("64"), std::string::npos);
}

TEST_F(StateFile, TheSameKeyGroupsTwiceAreRefused) {
  HeapBackend backend({"orders", 128, {0, 127}});
  EXPECT_FALSE(backend.restore(local_file_system(), {good_, good_}).ok());
}

TEST_F(StateFile, UnknownStatesAreReportedAndCarriedOn) {
  // Two subtasks that know nothing but "sums" restore and take a snapshot each ...
  std::vector<RestoreFile> files;
  for (int subtask = 0; subtask < 2; ++subtask) {
    HeapBackend backend({"orders", 128, key_groups_of_subtask(subtask, 128, 2)});
    ASSERT_TRUE(backend.restore(local_file_system(), {good_}).ok());
    value_or_fail(backend.open_table(describe<std::uint64_t, std::uint64_t>("sums")));
    EXPECT_EQ(value_or_fail(backend.finish_restore()),
              (std::vector<std::string>{"names", "timers"}));
    files.push_back(take_snapshot(backend, local_file_system(),
                                  directory_.file("carried" + std::to_string(subtask))));
  }
  // ... and a later job finds the rest again, also if it opens it late.
  HeapBackend backend({"orders", 128, {0, 127}});
  ASSERT_TRUE(backend.restore(local_file_system(), files).ok());
  ASSERT_EQ(value_or_fail(backend.finish_restore()).size(), 3U);
  StateTable* names =
      value_or_fail(backend.open_table(describe<std::string, std::string>("names")));
  EXPECT_EQ(names->size(7), 5U);
  const std::string key = "key 4";
  const void* value = names->find(7, &key, key_hash(key));
  ASSERT_NE(value, nullptr);
  EXPECT_EQ(*static_cast<const std::string*>(value), "vvvv");
  EXPECT_EQ(value_or_fail(backend.open_timers("timers", type_ops<std::string>()))->size(), 1U);
}

TEST_F(StateFile, AFullDiskFailsTheSnapshotAndNothingElse) {
  FaultyFileSystem files(local_file_system());
  HeapBackend backend({"orders", 128, {0, 127}});
  StateTable* table =
      value_or_fail(backend.open_table(describe<std::uint64_t, std::uint64_t>("sums")));
  for (std::uint64_t i = 0; i < 300'000; ++i) {
    put(*table, 0, i, i);
  }
  files.set_space_left(3 << 20);
  PendingSnapshot pending(files, directory_.file("full"), 1 << 20);
  backend.start_snapshot(pending.sink);
  HeapBackend::CopyProgress progress = HeapBackend::CopyProgress::kMore;
  for (std::uint64_t i = 0; progress != HeapBackend::CopyProgress::kFailed; ++i) {
    ASSERT_LT(i, 1'000'000U);
    progress = backend.copy_slice();
    ASSERT_NE(progress, HeapBackend::CopyProgress::kDone);
    put(*table, 0, i % 300'000, i);
    if (progress == HeapBackend::CopyProgress::kWaiting) {
      pending.executor.run_all();
    }
  }
  pending.executor.run_all();
  ASSERT_TRUE(pending.result.has_value());
  ASSERT_FALSE(pending.result->ok());
  EXPECT_EQ(pending.result->error().code, ErrorCode::kNoSpace);
  EXPECT_FALSE(backend.is_copying());
  EXPECT_FALSE(value_or_fail(local_file_system().exists(pending.path)));
  // The next one, with room again, is complete.
  files.heal();
  take_snapshot(backend, files, directory_.file("next"));
  EXPECT_EQ(table->size(0), 300'000U);
}

}  // namespace
}  // namespace weir::state::test
