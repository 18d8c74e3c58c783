#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/file_system.h"

namespace weir {

/// The operations that can be made to fail, by name.
enum class FileOperation {
  kRead,
  kCreate,
  kAppend,
  kSync,
  kClose,
  kPublish,
  kRename,
  kRemove,
  kList,
  kDirectory,  ///< create, remove or sync a directory
};

/// One planned fault.
struct FileFault {
  FileOperation operation = FileOperation::kAppend;
  int passes_before = 0;  ///< lets so many matching calls through first
  int times = 1;          ///< then fails so many calls
  ErrorCode code = ErrorCode::kIo;
  std::string path_contains;  ///< only calls on such paths; empty = all
  /// kAppend: write only so many bytes of the failing call (a torn write).
  /// kPublish: any value means that the file appears all the same (the reply is lost).
  std::optional<std::size_t> bytes_done;
  /// What others do while the failing call takes its time; may be empty.
  std::function<void()> meanwhile;
};

/// Passes calls on to another file system and makes planned ones fail, for tests and the
/// simulator. Thread-safe.
class FaultyFileSystem final : public FileSystem {
 public:
  explicit FaultyFileSystem(FileSystem& inner) : inner_(inner) {}

  void plan(FileFault fault);
  /// After so many more appended or published bytes the disk is full.
  void set_space_left(std::uint64_t bytes);
  void heal();
  int calls(FileOperation operation) const;

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
  friend class FaultyWritableFile;

  /// The fault that hits this call, if any.
  std::optional<FileFault> next_fault(FileOperation operation, const std::string& path);
  Status fail_if_planned(FileOperation operation, const std::string& path);
  /// How many of `wanted` bytes still fit.
  std::size_t take_space(std::size_t wanted);

  FileSystem& inner_;
  mutable std::mutex mutex_;
  std::vector<FileFault> faults_;
  std::map<FileOperation, int> calls_;
  std::optional<std::uint64_t> space_left_;
};

}  // namespace weir
