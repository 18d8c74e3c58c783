// A base and the deltas that build on it: what they hold, and what is refused.

#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "state/canonical_file.h"
#include "state/state_file_survey.h"
#include "state/test_support.h"

namespace weir::state::test {
namespace {

using Sum = std::uint64_t;

class StateFileChain : public ::testing::Test {
 protected:
  /// Checkpoint 1 holds the keys 0 to 999 in two namespaces, 2 changes 7, erases 8 and drops the
  /// second namespace, 3 brings 8 and a new key.
  StateFileChain() {
    for (Sum key = 0; key < 1000; ++key) {
      put(*table_, 0, key, key);
      put(*table_, 1, key, key);
    }
    base_ = snapshot("base", 1, 0);
    put<Sum, Sum>(*table_, 0, 7, 70);
    erase(8);
    table_->drop_namespace(1);
    second_ = snapshot("second", 2, 1);
    put<Sum, Sum>(*table_, 0, 8, 80);
    put<Sum, Sum>(*table_, 0, 5000, 1);
    third_ = snapshot("third", 3, 2);
  }

  RestoreFile snapshot(const std::string& name, CheckpointId checkpoint, CheckpointId since,
                       KeyGroupRange whole = {}) {
    return take_snapshot(backend_, local_file_system(), directory_.file(name), checkpoint, since,
                         whole);
  }
  void erase(Sum key) { EXPECT_TRUE(table_->erase(0, &key, key_hash(key))); }

  static HeapBackend::Options options(KeyGroupRange key_groups = {0, 127}) {
    HeapBackend::Options options{"orders", 128, key_groups};
    options.is_incremental = true;
    return options;
  }
  static Status restore(const std::vector<RestoreFile>& files) {
    HeapBackend backend(options());
    WEIR_TRY(backend.restore(local_file_system(), files));
    WEIR_TRY(backend.open_table(describe<Sum, Sum>("sums")).status());
    return backend.finish_restore().status();
  }
  static void expect_refused(const std::vector<RestoreFile>& files, const std::string& why) {
    const Status status = restore(files);
    ASSERT_FALSE(status.ok()) << why;
    EXPECT_EQ(status.error().code, ErrorCode::kCorruption);
    EXPECT_NE(status.error().message.find(why), std::string::npos) << status.error().message;
  }

  TemporaryDirectory directory_;
  HeapBackend backend_{options()};
  StateTable* table_ = value_or_fail(backend_.open_table(describe<Sum, Sum>("sums")));
  RestoreFile base_;
  RestoreFile second_;
  RestoreFile third_;
};

TEST_F(StateFileChain, IsRestoredInOrder) {
  HeapBackend restored(options());
  ASSERT_TRUE(restored.restore(local_file_system(), {base_, second_, third_}).ok());
  StateTable* table = value_or_fail(restored.open_table(describe<Sum, Sum>("sums")));
  ASSERT_TRUE(restored.finish_restore().ok());
  EXPECT_EQ(table->size(0), 1001U);
  EXPECT_EQ(table->size(1), 0U);
  const auto value = [&](Sum key) {
    const void* found = table->find(0, &key, key_hash(key));
    return found == nullptr ? Sum{0} : *static_cast<const Sum*>(found);
  };
  EXPECT_EQ(value(7), 70U);
  EXPECT_EQ(value(8), 80U);
  EXPECT_EQ(value(9), 9U);
  EXPECT_EQ(value(5000), 1U);
}

TEST_F(StateFileChain, ADeltaHoldsWhatChangedAndSaysHowManyThereAre) {
  FileSystem& files = local_file_system();
  const StateFileIndex base = value_or_fail(read_state_file_index(files, base_.path));
  EXPECT_EQ(base.since, 0);
  EXPECT_EQ(base.states.at(0).entries, 2000U);
  const StateFileIndex second = value_or_fail(read_state_file_index(files, second_.path));
  EXPECT_EQ(second.checkpoint, 2);
  EXPECT_EQ(second.since, 1);
  EXPECT_EQ(second.states.at(0).entries, 1U);
  EXPECT_EQ(second.states.at(0).erased, 1U);
  EXPECT_EQ(second.states.at(0).dropped, std::vector<StateNamespace>{1});
  EXPECT_EQ(second.states.at(0).live, 999U);
  const StateFileIndex third = value_or_fail(read_state_file_index(files, third_.path));
  EXPECT_EQ(third.states.at(0).entries, 2U);
  EXPECT_EQ(third.states.at(0).live, 1001U);
  EXPECT_LT(third_.expected.length_bytes, base_.expected.length_bytes / 50);
}

TEST_F(StateFileChain, E5_AnythingButTheWholeChainInOrderIsRefused) {
  expect_refused({second_}, "builds on checkpoint 1, whose file is not there");
  expect_refused({base_, third_}, "does not build on");
  expect_refused({base_, third_, second_}, "does not build on");
  expect_refused({second_, base_}, "covers key groups");
  expect_refused({base_, second_, second_}, "does not build on");
  expect_refused({base_, base_}, "covers key groups");
  EXPECT_TRUE(restore({base_}).ok());
  EXPECT_TRUE(restore({base_, second_}).ok());
}

TEST_F(StateFileChain, FilesThatAreWholeInAllKeyGroupsTogetherNeedNoEarlierOnes) {
  put<Sum, Sum>(*table_, 0, 1, 11);
  const RestoreFile low = snapshot("low", 4, 3, {0, 63});
  put<Sum, Sum>(*table_, 0, 2, 22);
  erase(3);
  const RestoreFile middle = snapshot("middle", 5, 4, {40, 70});
  erase(4);
  const RestoreFile high = snapshot("high", 6, 5, {64, 127});
  expect_refused({middle, high}, "builds on checkpoint 4, whose file is not there");
  expect_refused({low, middle}, "builds on checkpoint 3, whose file is not there");
  expect_refused({low, high}, "does not build on");

  HeapBackend restored(options());
  ASSERT_TRUE(restored.restore(local_file_system(), {low, middle, high}).ok());
  StateTable* table = value_or_fail(restored.open_table(describe<Sum, Sum>("sums")));
  ASSERT_TRUE(restored.finish_restore().ok());
  ASSERT_EQ(table->size(0), table_->size(0));
  table_->for_each(0, [&](const void* key, std::uint32_t hash, const void* value) {
    const void* found = table->find(0, key, hash);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(*static_cast<const Sum*>(found), *static_cast<const Sum*>(value));
  });
  const StateFileIndex index = value_or_fail(read_state_file_index(local_file_system(), high.path));
  EXPECT_EQ(index.whole, (KeyGroupRange{64, 127}));
  EXPECT_GT(index.states.at(0).entries, 400U);
  EXPECT_EQ(index.states.at(0).erased, 1U);
}

/// Not the whole table, unless much of it was written.
TEST_F(StateFileChain, ADeltaVisitsWhatWasWritten) {
  HeapBackend backend(options());
  StateTable* table = value_or_fail(backend.open_table(describe<Sum, Sum>("sums")));
  for (Sum key = 0; key < 100'000; ++key) {
    put(*table, 0, key, key);
  }
  const auto slices_after = [&](Sum changes, CheckpointId checkpoint) {
    for (Sum key = 0; key < changes; ++key) {
      put(*table, 0, key * 17 % 100'000, key);
    }
    PendingSnapshot pending(local_file_system(),
                            directory_.file("delta" + std::to_string(checkpoint)));
    backend.start_snapshot(pending.sink, checkpoint, checkpoint - 1);
    // Written again before its slot is visited.
    put<Sum, Sum>(*table, 0, 0, 1);
    int slices = 1;
    for (; backend.copy_slice(1000) != HeapBackend::CopyProgress::kDone; ++slices) {
      pending.executor.run_all();
    }
    pending.executor.run_all();
    EXPECT_EQ(pending.result->value().entries, changes);
    backend.forget_before(checkpoint);
    return slices;
  };
  static_cast<void>(take_snapshot(backend, local_file_system(), directory_.file("all"), 1));
  EXPECT_LT(slices_after(100, 2), 5);
  EXPECT_LT(slices_after(100, 3), 5);
  EXPECT_GT(slices_after(50'000, 4), 100);
  EXPECT_LT(slices_after(100, 5), 5) << "what was written too much is known again";
}

/// What nobody opens is written whole with the key groups it is in.
TEST_F(StateFileChain, AStateNobodyOpensGoesOnInFilesThatAreWhole) {
  HeapBackend carrying(options());
  ASSERT_TRUE(carrying.restore(local_file_system(), {base_, second_, third_}).ok());
  carrying.build_on_restored(3);
  ASSERT_EQ(value_or_fail(carrying.finish_restore()), std::vector<std::string>{"sums"});
  const auto take = [&](CheckpointId checkpoint, CheckpointId since, KeyGroupRange whole) {
    return take_snapshot(carrying, local_file_system(),
                         directory_.file("carried" + std::to_string(checkpoint)), checkpoint, since,
                         whole);
  };
  const RestoreFile first = take(4, 3, {0, 99});
  const RestoreFile last = take(5, 4, {100, 127});
  EXPECT_TRUE(restore({first, last}).ok());
  HeapBackend restored(options());
  ASSERT_TRUE(restored.restore(local_file_system(), {first, last}).ok());
  EXPECT_EQ(value_or_fail(restored.open_table(describe<Sum, Sum>("sums")))->size(0), 1001U);
}

TEST_F(StateFileChain, E5_ADeltaOfAnotherChainIsRefusedByTheNumberOfEntries) {
  HeapBackend other(options());
  StateTable* table = value_or_fail(other.open_table(describe<Sum, Sum>("sums")));
  put<Sum, Sum>(*table, 0, 1, 1);
  static_cast<void>(take_snapshot(other, local_file_system(), directory_.file("other"), 1));
  put<Sum, Sum>(*table, 0, 2, 1);
  const RestoreFile foreign =
      take_snapshot(other, local_file_system(), directory_.file("foreign"), 2, 1);
  expect_refused({base_, foreign}, "it says 2");
}

TEST_F(StateFileChain, E5_EveryFlippedBitOfADeltaIsRefused) {
  const std::string good = read_file(second_.path);
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string damaged = good;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    const RestoreFile file = write_file(directory_.file("damaged"), damaged);
    ASSERT_FALSE(restore({base_, file, third_}).ok()) << "bit " << bit;
  }
  for (std::size_t length = 0; length < good.size(); ++length) {
    const RestoreFile file = write_file(directory_.file("cut"), good.substr(0, length));
    ASSERT_FALSE(restore({base_, file, third_}).ok()) << "cut to " << length;
  }
}

TEST_F(StateFileChain, ASurveyCountsEntriesAndNotErasedKeys) {
  const StateFileSurvey survey = value_or_fail(survey_state_file(local_file_system(), second_));
  std::uint64_t entries = 0;
  for (const KeyGroupSize& size : survey.key_groups) {
    entries += size.entries;
  }
  EXPECT_EQ(entries, 1U);
}

/// The bytes of the first code block of docs/formats/state-file.md below `heading`: lines of an
/// offset, hexadecimal bytes and, four blanks on, a remark.
std::string bytes_of_docs(const std::string& heading) {
  const std::string page = read_file(WEIR_SOURCE_DIR "/docs/formats/state-file.md");
  std::istringstream lines(page.substr(page.find("```", page.find(heading)) + 4));
  std::string bytes;
  for (std::string line; std::getline(lines, line) && line != "```";) {
    std::istringstream words(line.substr(4, line.find("    ") - 4));
    for (std::string word; words >> word;) {
      bytes.push_back(static_cast<char>(std::stoi(word, nullptr, 16)));
    }
  }
  return bytes;
}

TEST(StateFileDocs, TheWorkedExampleIsWhatIsWritten) {
  TemporaryDirectory directory;
  HeapBackend::Options options{"count", 4, {0, 1}};
  options.is_incremental = true;
  HeapBackend backend(options);
  StateTable* table = value_or_fail(backend.open_table(describe<std::int32_t, std::uint16_t>("n")));
  put<std::int32_t, std::uint16_t>(*table, 0, 1, 10);
  put<std::int32_t, std::uint16_t>(*table, 0, 2, 20);
  const std::string key = "a";
  value_or_fail(backend.open_timers("t", type_ops<std::string>()))
      ->add(1000, 7, &key, key_hash(key));
  const RestoreFile base = take_snapshot(backend, local_file_system(), directory.file("base"), 5);
  put<std::int32_t, std::uint16_t>(*table, 0, 2, 21);
  const std::int32_t one = 1;
  ASSERT_TRUE(table->erase(0, &one, key_hash(one)));
  const RestoreFile delta =
      take_snapshot(backend, local_file_system(), directory.file("delta"), 6, 5);
  if (const char* to = std::getenv("WEIR_KEEP")) {
    std::filesystem::copy(base.path, std::string(to) + "/base");
    std::filesystem::copy(delta.path, std::string(to) + "/delta");
  }
  EXPECT_EQ(read_file(base.path), bytes_of_docs("## Worked example"));
  EXPECT_EQ(read_file(delta.path), bytes_of_docs("A delta that builds on it"));
}

TEST_F(StateFileChain, ADeltaHasNoCanonicalForm) {
  const auto info = write_canonical_file(local_file_system(), second_, directory_.file("out"));
  ASSERT_FALSE(info.ok());
  EXPECT_FALSE(std::filesystem::exists(directory_.file("out")));
}

}  // namespace
}  // namespace weir::state::test
