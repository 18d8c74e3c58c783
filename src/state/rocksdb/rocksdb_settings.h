#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace weir::state {

/// How keyed state lives in RocksDB; the settings state.backend.rocksdb.*.
struct RocksDbSettings {
  enum class CompactionStyle { kLevel, kUniversal, kFifo, kNone };
  enum class Compression { kNone, kSnappy, kLz4, kZstd };
  enum class LogLevel { kDebug, kInfo, kWarn, kError, kFatal, kHeader };

  std::string local_directory;  ///< empty: the machine's directory for temporary files
  std::vector<std::string> more_local_directories;  ///< subtasks take one after the other
  /// Of the process: weir's own cache, the blocks RocksDB holds, its indexes and filters.
  std::uint64_t memory_bytes = std::uint64_t{512} << 20;
  double write_buffer_ratio = 0.5;        ///< of memory_bytes, for weir's cache of values
  double high_priority_ratio = 0.1;       ///< of the block cache, for indexes and filters
  bool has_partitioned_metadata = false;  ///< indexes and filters in blocks of their own
  std::uint64_t write_buffer_bytes = std::uint64_t{64} << 20;  ///< changed values until written
  std::uint64_t block_bytes = 4096;
  std::uint64_t metadata_block_bytes = 4096;  ///< of indexes and filters, if partitioned
  int background_threads = 2;  ///< for compactions; the process' instances share them
  int transfer_threads = 4;    ///< files of a subtask stored or restored at a time
  CompactionStyle compaction_style = CompactionStyle::kUniversal;
  // Of kLevel.
  bool has_dynamic_levels = true;
  std::uint64_t target_file_bytes = std::uint64_t{64} << 20;
  std::uint64_t level_base_bytes = std::uint64_t{256} << 20;

  bool has_bloom_filter = true;
  double bloom_bits_per_key = 10;
  int files_open = -1;
  LogLevel log_level = LogLevel::kInfo;
  std::string log_directory;  ///< empty: among the working files
  std::uint64_t log_file_bytes = std::uint64_t{16} << 20;
  int log_files = 2;
  /// At least one; the last is that of all further levels.
  std::vector<Compression> compression_per_level{Compression::kLz4, Compression::kZstd};
  bool are_timers_in_store = true;
};

}  // namespace weir::state
