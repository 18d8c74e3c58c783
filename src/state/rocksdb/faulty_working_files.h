#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include <rocksdb/file_system.h>

#include "state/rocksdb/rocks_env.h"

namespace weir::state::test {

/// For tests: a disk below RocksDB that is full when the test says so. One at a time; all instances
/// that were opened meanwhile are gone before it is. Thread-safe.
class FaultyWorkingFiles {
 public:
  FaultyWorkingFiles()
      : disk_(std::make_shared<Disk>()),
        env_(rocksdb::NewCompositeEnv(
            std::make_shared<Files>(unsynced_env()->GetFileSystem(), disk_))) {
    set_working_files_env(env_.get());
  }
  ~FaultyWorkingFiles() { set_working_files_env(nullptr); }
  FaultyWorkingFiles(const FaultyWorkingFiles&) = delete;
  FaultyWorkingFiles& operator=(const FaultyWorkingFiles&) = delete;

  /// The next `writes` writes to files with `part` in their names find no room.
  void fill(const std::string& part, int writes = std::numeric_limits<int>::max()) {
    const std::lock_guard lock(disk_->mutex);
    disk_->part = part;
    disk_->refused_left = writes;
  }
  void make_room() { fill("", 0); }
  /// Writes that found no room.
  int refused() const { return disk_->refused; }

 private:
  struct Disk {
    std::mutex mutex;
    std::string part;
    int refused_left = 0;
    std::atomic<int> refused{0};

    rocksdb::IOStatus take(const std::string& name) {
      const std::lock_guard lock(mutex);
      if (refused_left == 0 || name.find(part) == std::string::npos) {
        return rocksdb::IOStatus::OK();
      }
      --refused_left;
      ++refused;
      return rocksdb::IOStatus::NoSpace("While appending to file: " + name,
                                        "No space left on device");
    }
  };

  class File final : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    File(std::unique_ptr<rocksdb::FSWritableFile> file, std::string name,
         std::shared_ptr<Disk> disk)
        : FSWritableFileOwnerWrapper(std::move(file)),
          name_(std::move(name)),
          disk_(std::move(disk)) {}
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* debug) override {
      rocksdb::IOStatus room = disk_->take(name_);
      return room.ok() ? FSWritableFileOwnerWrapper::Append(data, options, debug) : room;
    }
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             const rocksdb::DataVerificationInfo& verification,
                             rocksdb::IODebugContext* debug) override {
      rocksdb::IOStatus room = disk_->take(name_);
      return room.ok() ? FSWritableFileOwnerWrapper::Append(data, options, verification, debug)
                       : room;
    }

   private:
    const std::string name_;
    const std::shared_ptr<Disk> disk_;
  };

  class Files final : public rocksdb::FileSystemWrapper {
   public:
    Files(const std::shared_ptr<rocksdb::FileSystem>& files, std::shared_ptr<Disk> disk)
        : FileSystemWrapper(files), disk_(std::move(disk)) {}
    const char* Name() const override { return "weir-faulty"; }
    rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSWritableFile>* file,
                                      rocksdb::IODebugContext* debug) override {
      rocksdb::IOStatus status = FileSystemWrapper::NewWritableFile(name, options, file, debug);
      if (status.ok()) {
        *file = std::make_unique<File>(std::move(*file), name, disk_);
      }
      return status;
    }

   private:
    const std::shared_ptr<Disk> disk_;
  };

  const std::shared_ptr<Disk> disk_;
  const std::unique_ptr<rocksdb::Env> env_;
};

}  // namespace weir::state::test
