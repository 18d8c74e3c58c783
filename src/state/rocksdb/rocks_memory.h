#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "io/file_system.h"
#include "state/rocksdb/rocksdb_settings.h"
#include "weir/result.h"

namespace rocksdb {
class Cache;
class WriteBufferManager;
}  // namespace rocksdb

namespace weir::state {

/// What all RocksDB instances of the process share: the memory that they may take together. One
/// part is for weir's own caches of values, the other for RocksDB's block cache, from which its
/// indexes, filters and write buffers come, too. Thread-safe.
class RocksMemory {
 public:
  /// The process' one; made with the settings of whoever comes first and gone with the last.
  static std::shared_ptr<RocksMemory> of_process(const RocksDbSettings& settings);
  explicit RocksMemory(const RocksDbSettings& settings);

  const std::shared_ptr<rocksdb::Cache>& block_cache() const { return block_cache_; }
  const std::shared_ptr<rocksdb::WriteBufferManager>& write_buffers() const {
    return write_buffers_;
  }

  /// Weir's caches: bytes in use by all of them, and by how much one more may grow.
  void add_cached(std::int64_t bytes) { cached_.fetch_add(bytes, std::memory_order_relaxed); }
  std::int64_t cached() const { return cached_.load(std::memory_order_relaxed); }
  std::int64_t cached_max() const { return cached_max_; }
  void add_user(int count) { users_.fetch_add(count, std::memory_order_relaxed); }
  /// A cache that is smaller may grow, even if the others have taken everything.
  std::int64_t fair_share() const {
    const int users = users_.load(std::memory_order_relaxed);
    return cached_max_ / (users < 1 ? 1 : users);
  }

 private:
  std::shared_ptr<rocksdb::Cache> block_cache_;
  std::shared_ptr<rocksdb::WriteBufferManager> write_buffers_;
  const std::int64_t cached_max_;
  std::atomic<std::int64_t> cached_{0};
  std::atomic<int> users_{0};
};

/// A directory of the process below `base`, for working files that mean nothing to anybody else.
/// Removed with the last user; those that killed processes left behind are removed by whoever comes
/// next.
class RocksDirectory {
 public:
  static Result<std::shared_ptr<RocksDirectory>> of_process(const std::string& base);
  ~RocksDirectory();

  /// The path of a directory that no one had before. It does not exist yet.
  std::string next(const std::string& hint);

 private:
  RocksDirectory(std::string path, std::unique_ptr<FileLock> lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}
  static void remove_stale(const std::string& base);

  const std::string path_;
  const std::unique_ptr<FileLock> lock_;
  std::atomic<std::uint64_t> next_{1};
};

}  // namespace weir::state
