#include "io/block_file.h"

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "io/faulty_file_system.h"
#include "io/local_file_system.h"

namespace weir {
namespace {

constexpr std::string_view kMagic = "WEIRTEST";

class BlockFileTest : public testing::Test {
 protected:
  BlockFileTest() {
    std::string name = std::filesystem::temp_directory_path() / "weir-blk-XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  ~BlockFileTest() override { std::filesystem::remove_all(root_); }

  std::string path(std::string_view name) const { return join_path(root_, name); }

  FileSummary write(const std::string& name, const std::vector<std::string>& blocks,
                    std::vector<std::uint64_t>* offsets = nullptr) {
    auto writer = BlockFileWriter::create(files_, path(name), kMagic, 3).value();
    for (const std::string& block : blocks) {
      const std::uint64_t offset = writer.append(block).value();
      if (offsets != nullptr) {
        offsets->push_back(offset);
      }
    }
    return writer.finish().value();
  }

  /// All blocks of a file, or the first error.
  Result<std::vector<std::string>> read(const std::string& name) {
    WEIR_ASSIGN(auto reader, BlockFileReader::open(files_, path(name), kMagic, 3));
    std::vector<std::string> blocks;
    while (true) {
      WEIR_ASSIGN(const auto block, reader.next());
      if (!block.has_value()) {
        return blocks;
      }
      blocks.emplace_back(*block);
    }
  }

  std::string root_;
  LocalFileSystem files_;
};

TEST_F(BlockFileTest, BlocksComeBackInOrderAndByOffset) {
  const std::vector<std::string> blocks{"one", "", std::string(3'000'000, 'z'), "four"};
  std::vector<std::uint64_t> offsets;
  const FileSummary summary = write("f", blocks, &offsets);
  EXPECT_EQ(read("f").value(), blocks);
  auto reader = BlockFileReader::open(files_, path("f"), kMagic, 3).value();
  EXPECT_EQ(reader.version(), 3U);
  for (std::size_t i = blocks.size(); i-- > 0;) {
    EXPECT_EQ(reader.read_at(offsets[i]).value(), blocks[i]);
  }
  const std::string bytes = files_.read(path("f")).value();
  EXPECT_EQ(summary.length_bytes, bytes.size());
  EXPECT_EQ(summary.crc32c, crc32c(bytes));
  EXPECT_EQ(summarize_file(files_, path("f")).value().crc32c, summary.crc32c);
}

TEST_F(BlockFileTest, EveryBitFlipAndEveryTruncationIsRefused) {
  write("f", {"hello", "", "a second block"});
  const std::string good = files_.read(path("f")).value();
  int variant = 0;
  const auto expect_refused = [&](const std::string& bytes) {
    const std::string name = "v" + std::to_string(variant++);
    std::filesystem::remove(path(name));
    {
      auto file = files_.create_writer(path(name)).value();
      ASSERT_TRUE(file->append(bytes).ok());
      ASSERT_TRUE(file->close().ok());
    }
    const auto result = read(name);
    ASSERT_FALSE(result.ok()) << "variant " << variant;
    EXPECT_NE(result.error().message.find(path(name)), std::string::npos);
  };
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    expect_refused(bad);
  }
  for (std::size_t length = 0; length < good.size(); ++length) {
    expect_refused(good.substr(0, length));
  }
  expect_refused(good + "x");
}

TEST_F(BlockFileTest, ANewerVersionIsRefusedByName) {
  write("f", {"x"});
  const auto reader = BlockFileReader::open(files_, path("f"), kMagic, 2);
  ASSERT_FALSE(reader.ok());
  EXPECT_EQ(reader.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(reader.error().message.find("version 3"), std::string::npos);
}

TEST_F(BlockFileTest, ATornWriteIsNoticedAtTheWriterAndAtTheReader) {
  FaultyFileSystem faulty(files_);
  faulty.plan({.operation = FileOperation::kAppend, .passes_before = 4, .bytes_done = 2});
  auto writer = BlockFileWriter::create(faulty, path("torn"), kMagic, 3).value();
  ASSERT_TRUE(writer.append("whole").ok());
  EXPECT_FALSE(writer.append("cut off here").ok());
  {
    const BlockFileWriter gone = std::move(writer);
  }
  EXPECT_FALSE(read("torn").ok());
}

TEST_F(BlockFileTest, AFileWhoseHeaderCannotBeWrittenIsNotLeftBehind) {
  FaultyFileSystem faulty(files_);
  faulty.set_space_left(7);
  EXPECT_FALSE(BlockFileWriter::create(faulty, path("f"), kMagic, 3).ok());
  EXPECT_FALSE(files_.exists(path("f")).value());
}

TEST_F(BlockFileTest, AFailedSyncFailsTheFile) {
  FaultyFileSystem faulty(files_);
  faulty.plan({.operation = FileOperation::kSync});
  auto writer = BlockFileWriter::create(faulty, path("f"), kMagic, 3).value();
  ASSERT_TRUE(writer.append("x").ok());
  EXPECT_FALSE(writer.finish().ok());
}

}  // namespace
}  // namespace weir
