#include "state/rocksdb/rocks_memory.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include <rocksdb/cache.h>
#include <rocksdb/write_buffer_manager.h>
#include <unistd.h>

#include "base/log.h"
#include "base/planted_bug.h"
#include "io/local_file_system.h"

namespace weir::state {
namespace {

constexpr std::string_view kDirectoryPrefix = "weir-rocksdb-";
constexpr std::string_view kLockName = "lock";
/// Held while directories are made and stale ones removed, so that neither meets a half-made one.
constexpr std::string_view kBaseLockName = "weir-rocksdb.lock";

Result<std::unique_ptr<FileLock>> lock_base(const std::string& base) {
  constexpr int kTriesMax = 2000;
  for (int tries = 1;; ++tries) {
    auto lock = local_file_system().lock(join_path(base, kBaseLockName));
    if (lock.ok() || lock.error().code != ErrorCode::kUnavailable || tries == kTriesMax) {
      return lock;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

std::int64_t cache_part(const RocksDbSettings& settings) {
  return static_cast<std::int64_t>(static_cast<double>(settings.memory_bytes) *
                                   settings.write_buffer_ratio);
}

/// A block that is larger than a shard is read again each time. The filter of a file of 64 MB has
/// several MB, more than RocksDB's default leaves for a shard of a cache of 256 MB.
int shard_bits(std::size_t capacity) {
  constexpr std::size_t kShardMin = std::size_t{64} << 20;
  constexpr int kBitsMax = 6;
  return std::clamp(static_cast<int>(std::bit_width(capacity / kShardMin)) - 1, 0, kBitsMax);
}

}  // namespace

RocksMemory::RocksMemory(const RocksDbSettings& settings) : cached_max_(cache_part(settings)) {
  const auto blocks =
      static_cast<std::size_t>(settings.memory_bytes) - static_cast<std::size_t>(cached_max_);
  rocksdb::LRUCacheOptions options;
  options.capacity = blocks;
  options.high_pri_pool_ratio = settings.high_priority_ratio;
  options.num_shard_bits = shard_bits(blocks);
  block_cache_ = rocksdb::NewLRUCache(options);
  // Changes reach RocksDB as whole sorted files: write buffers stay empty, but if one is used, the
  // cache pays for it.
  write_buffers_ = std::make_shared<rocksdb::WriteBufferManager>(blocks / 2, block_cache_);
}

std::shared_ptr<RocksMemory> RocksMemory::of_process(const RocksDbSettings& settings) {
  static std::mutex mutex;
  static std::weak_ptr<RocksMemory> shared;
  const std::lock_guard lock(mutex);
  std::shared_ptr<RocksMemory> memory = shared.lock();
  if (memory == nullptr) {
    memory = std::make_shared<RocksMemory>(settings);
    shared = memory;
  }
  return memory;
}

Result<std::shared_ptr<RocksDirectory>> RocksDirectory::of_process(const std::string& base) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<RocksDirectory>> directories;
  const std::lock_guard guard(mutex);
  std::string root = base;
  if (root.empty()) {
    std::error_code failure;
    root = std::filesystem::temp_directory_path(failure).string();
    root = failure ? "/tmp" : root;
  }
  if (auto present = directories[root].lock()) {
    return present;
  }
  FileSystem& files = local_file_system();
  const auto named = [&](Status status) {
    return status.ok() ? status
                       : Status(status.error().with_context(
                             "state.backend.rocksdb.localdir: cannot use " + root));
  };
  WEIR_TRY(named(files.create_directories(root)));
  auto base_lock = lock_base(root);
  WEIR_TRY(named(base_lock.status()));
  remove_stale(root);
  // What is still there belongs to someone: a process of another container, say, whose number is
  // the same.
  static int number = 0;
  std::string path;
  Status created = Error{ErrorCode::kAlreadyExists, ""};
  while (!created.ok() && created.error().code == ErrorCode::kAlreadyExists) {
    path = join_path(root, std::string(kDirectoryPrefix) + std::to_string(::getpid()) + "-" +
                               std::to_string(++number));
    created = files.create_directory(path);
  }
  WEIR_TRY(named(created));
  auto lock = files.lock(join_path(path, kLockName));
  WEIR_TRY(named(lock.status()));
  std::shared_ptr<RocksDirectory> made(
      new RocksDirectory(std::move(path), std::move(lock).value()));
  directories[root] = made;
  return made;
}

RocksDirectory::~RocksDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string RocksDirectory::next(const std::string& hint) {
  std::string name = hint.substr(0, 40);
  for (char& c : name) {
    const bool is_plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    c = is_plain ? c : '_';
  }
  return join_path(path_, std::to_string(next_.fetch_add(1)) + "-" + name);
}

void RocksDirectory::remove_stale(const std::string& base) {
  std::error_code failure;
  std::filesystem::directory_iterator entries(base, failure);
  for (const std::filesystem::directory_iterator end; !failure && entries != end;
       entries.increment(failure)) {
    const std::filesystem::path& path = entries->path();
    std::error_code ignored;
    if (!path.filename().string().starts_with(kDirectoryPrefix)) {
      continue;
    }
    const auto lock = local_file_system().lock((path / kLockName).string());
    if (lock.ok() && !planted_bug("E9")) {
      log().info("removing {}, left behind by a process that died", path.string());
      std::filesystem::remove_all(path, ignored);
    }
  }
}

}  // namespace weir::state
