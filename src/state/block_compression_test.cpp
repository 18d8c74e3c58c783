// Compressed blocks, and the state files that hold them.
#include "state/block_compression.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <random>
#include <string>

#include "state/canonical_file.h"
#include "state/state_file_survey.h"
#include "state/test_support.h"

namespace weir::state::test {
namespace {

std::string text_of(std::size_t size) {
  std::string text;
  while (text.size() < size) {
    text += "key " + std::to_string(text.size() % 997) + ", ";
  }
  return text.substr(0, size);
}

std::string noise_of(std::size_t size) {
  std::mt19937 random(1);
  std::string noise(size, '\0');
  std::generate(noise.begin(), noise.end(), [&] { return static_cast<char>(random()); });
  return noise;
}

TEST(BlockCompression, GivesBackWhatItTook) {
  BlockCompressor compressor;
  for (const std::size_t size : {1'000U, 100'000U, 1U << 20}) {
    const std::string payload = text_of(size);
    const std::string compressed(compressor.compress(payload));
    ASSERT_FALSE(compressed.empty()) << size;
    EXPECT_LT(compressed.size(), size / 3);
    EXPECT_TRUE(is_compressed(compressed));
    EXPECT_EQ(decompress_block(compressed), payload);
  }
}

TEST(BlockCompression, LeavesWhatWouldHardlyBeSmaller) {
  BlockCompressor compressor;
  EXPECT_TRUE(compressor.compress(noise_of(100'000)).empty());
  EXPECT_TRUE(compressor.compress("short").empty());
}

TEST(BlockCompression, MalformedPayloadsAreRefused) {
  BlockCompressor compressor;
  const std::string payload = text_of(5'000);
  const std::string good(compressor.compress(payload));
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(decompress_block(good.substr(0, size)).has_value()) << size;
  }
  EXPECT_FALSE(decompress_block(good + "x").has_value());
  for (std::size_t byte = 0; byte < 8; ++byte) {
    std::string bad = good;
    bad[byte] = static_cast<char>(bad[byte] + 1);
    EXPECT_TRUE(byte == 0 || !decompress_block(bad).has_value()) << "header, byte " << byte;
  }
  std::mt19937 random(2);
  for (int i = 0; i < 20'000; ++i) {
    std::string bad = good;
    bad[random() % bad.size()] = static_cast<char>(random());
    static_cast<void>(decompress_block(bad));  // The block's checksum tells; here it only ends.
  }
}

class CompressedStateFile : public ::testing::Test {
 protected:
  CompressedStateFile() {
    for (std::uint64_t key = 0; key < 20'000; ++key) {
      put(*table_, static_cast<StateNamespace>(key % 3), key, "value " + std::to_string(key % 10));
    }
    plain_ = take_snapshot(backend_, local_file_system(), directory_.file("plain"));
    compressed_ = take_snapshot(backend_, local_file_system(), directory_.file("compressed"), 0, 0,
                                {}, /*is_compressed=*/true);
  }
  std::string canonical_of(const RestoreFile& file) const {
    const std::string path = directory_.file("canonical");
    EXPECT_TRUE(write_canonical_file(local_file_system(), file, path).ok());
    std::string bytes = read_file(path);
    std::filesystem::remove(path);
    return bytes;
  }

  TemporaryDirectory directory_;
  HeapBackend backend_{{"orders", 128, {0, 127}}};
  StateTable* table_ =
      value_or_fail(backend_.open_table(describe<std::uint64_t, std::string>("names")));
  RestoreFile plain_;
  RestoreFile compressed_;
};

TEST_F(CompressedStateFile, HoldsTheSameInLess) {
  EXPECT_LT(compressed_.expected.length_bytes, plain_.expected.length_bytes / 2);
  EXPECT_EQ(canonical_of(compressed_), canonical_of(plain_));
  const auto survey = value_or_fail(survey_state_file(local_file_system(), compressed_));
  EXPECT_EQ(survey.key_groups,
            value_or_fail(survey_state_file(local_file_system(), plain_)).key_groups);
  EXPECT_EQ(value_or_fail(read_state_file_index(local_file_system(), compressed_.path)).entries,
            20'000U);
}

TEST_F(CompressedStateFile, IsRestoredIntoAPartOfTheKeyGroups) {
  std::size_t entries = 0;
  for (const KeyGroupRange range : {KeyGroupRange{0, 40}, {41, 127}}) {
    HeapBackend restored({"orders", 128, range});
    ASSERT_TRUE(restored.restore(local_file_system(), {compressed_}).ok());
    StateTable* table =
        value_or_fail(restored.open_table(describe<std::uint64_t, std::string>("names")));
    ASSERT_TRUE(restored.finish_restore().ok());
    for (const StateNamespace ns : table->namespaces()) {
      entries += table->size(ns);
      table->for_each(ns, [&](const void* key, std::uint32_t, const void* value) {
        const auto number = *static_cast<const std::uint64_t*>(key);
        EXPECT_EQ(*static_cast<const std::string*>(value), "value " + std::to_string(number % 10));
      });
    }
  }
  EXPECT_EQ(entries, 20'000U);
}

TEST_F(CompressedStateFile, DamageIsRefused) {
  const std::string good = read_file(compressed_.path);
  const auto is_refused = [&](const std::string& bytes) {
    RestoreFile file = write_file(directory_.file("bad"), bytes);  // as a manifest that trusts it
    HeapBackend restored({"orders", 128, {0, 127}});
    return !restored.restore(local_file_system(), {file}).ok();
  };
  EXPECT_FALSE(is_refused(good));
  std::mt19937 random(3);
  for (int i = 0; i < 500; ++i) {
    std::string bad = good;
    bad[random() % bad.size()] ^= static_cast<char>(1U << (random() % 8));
    EXPECT_TRUE(is_refused(bad)) << i;
  }
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(is_refused(good.substr(0, random() % good.size()))) << i;
  }
}

}  // namespace
}  // namespace weir::state::test
