#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/file_system.h"

namespace weir {

/// The machine's own file system. fsync wherever a promise of FileSystem needs it.
class LocalFileSystem final : public FileSystem {
 public:
  LocalFileSystem();

  Result<std::string> read(const std::string& path) override;
  Result<std::string> read_range(const std::string& path, std::uint64_t offset,
                                 std::size_t size) override;
  Result<std::unique_ptr<ReadableFile>> open(const std::string& path) override;
  Result<std::unique_ptr<WritableFile>> create_writer(const std::string& path) override;
  Status publish(const std::string& path, std::string_view bytes) override;
  Status rename_no_replace(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status remove_directory(const std::string& path) override;
  Result<std::vector<DirectoryEntry>> list(const std::string& directory) override;
  Result<bool> exists(const std::string& path) override;
  Result<std::uint64_t> size_bytes(const std::string& path) override;
  Status create_directory(const std::string& path) override;
  Status create_directories(const std::string& path) override;
  Status sync_directory(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override;

 private:
  std::string aside_name(const std::string& path);

  /// Makes names of this instance differ from those of any other process, host or run.
  const std::string unique_prefix_;
  std::atomic<std::uint64_t> next_unique_{0};
};

/// The process-wide instance.
LocalFileSystem& local_file_system();

}  // namespace weir
