// A system that reads and writes fewer bytes than it is asked to, and is interrupted now and then.
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/local_file_system.h"

namespace {

/// Bytes per call at most; 0 = as many as asked for.
std::size_t limit = 0;
int calls = 0;

std::size_t allowed(std::size_t size) { return limit == 0 || size < limit ? size : limit; }
bool is_interrupted() { return limit != 0 && ++calls % 3 == 0; }

}  // namespace

// In place of the C library's, for this program.
extern "C" ssize_t pread(int descriptor, void* out, std::size_t size, off_t offset) {
  if (is_interrupted()) {
    errno = EINTR;
    return -1;
  }
  return ::syscall(SYS_pread64, descriptor, out, allowed(size), offset);
}
extern "C" ssize_t write(int descriptor, const void* from, std::size_t size) {
  if (is_interrupted()) {
    errno = EINTR;
    return -1;
  }
  return ::syscall(SYS_write, descriptor, from, allowed(size));
}

namespace weir {
namespace {

class ShortTransfers : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = std::filesystem::temp_directory_path() / "weir-short-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    for (int i = 0; i < 5'000; ++i) {
      bytes_ += std::to_string(i) + ",";
    }
    limit = 7;
  }
  void TearDown() override {
    limit = 0;
    std::filesystem::remove_all(directory_);
  }

  std::string directory_;
  std::string bytes_;
};

TEST_F(ShortTransfers, I1_EveryReadGoesOnUntilItHasItsBytes) {
  FileSystem& files = local_file_system();
  const std::string path = directory_ + "/file";
  {
    const auto writer = files.create_writer(path);
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE(writer.value()->append(bytes_).ok());
    ASSERT_TRUE(writer.value()->close().ok());
  }
  const Result<std::string> whole = files.read(path);
  ASSERT_TRUE(whole.ok()) << whole.error().message;
  EXPECT_EQ(whole.value(), bytes_);
  EXPECT_EQ(files.read_range(path, 1'000, 2'000).value(), bytes_.substr(1'000, 2'000));
  std::string part;
  ASSERT_TRUE(files.open(path).value()->read_at(3'000, 500, part).ok());
  EXPECT_EQ(part, bytes_.substr(3'000, 500));
  EXPECT_GT(calls, 1'000);  // it was short indeed
}

TEST_F(ShortTransfers, I1_APublishedFileIsWhole) {
  FileSystem& files = local_file_system();
  ASSERT_TRUE(files.publish(directory_ + "/manifest", bytes_).ok());
  EXPECT_EQ(files.read(directory_ + "/manifest").value(), bytes_);
}

}  // namespace
}  // namespace weir
