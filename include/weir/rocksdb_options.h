#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weir/config_options.h"

namespace weir {

enum class RocksDbCompactionStyle { kLevel, kUniversal, kFifo, kNone };
template <>
struct ConfigEnum<RocksDbCompactionStyle> {
  static constexpr std::array<std::pair<std::string_view, RocksDbCompactionStyle>, 4> kNames{
      {{"LEVEL", RocksDbCompactionStyle::kLevel},
       {"UNIVERSAL", RocksDbCompactionStyle::kUniversal},
       {"FIFO", RocksDbCompactionStyle::kFifo},
       {"NONE", RocksDbCompactionStyle::kNone}}};
};

enum class RocksDbCompression { kNone, kSnappy, kLz4, kZstd };
template <>
struct ConfigEnum<RocksDbCompression> {
  static constexpr std::array<std::pair<std::string_view, RocksDbCompression>, 4> kNames{
      {{"NO_COMPRESSION", RocksDbCompression::kNone},
       {"SNAPPY_COMPRESSION", RocksDbCompression::kSnappy},
       {"LZ4_COMPRESSION", RocksDbCompression::kLz4},
       {"ZSTD", RocksDbCompression::kZstd}}};
};

enum class RocksDbLogLevel { kDebug, kInfo, kWarn, kError, kFatal, kHeader };
template <>
struct ConfigEnum<RocksDbLogLevel> {
  static constexpr std::array<std::pair<std::string_view, RocksDbLogLevel>, 6> kNames{
      {{"DEBUG_LEVEL", RocksDbLogLevel::kDebug},
       {"INFO_LEVEL", RocksDbLogLevel::kInfo},
       {"WARN_LEVEL", RocksDbLogLevel::kWarn},
       {"ERROR_LEVEL", RocksDbLogLevel::kError},
       {"FATAL_LEVEL", RocksDbLogLevel::kFatal},
       {"HEADER_LEVEL", RocksDbLogLevel::kHeader}}};
};

enum class RocksDbTimerService { kHeap, kRocksDb };
template <>
struct ConfigEnum<RocksDbTimerService> {
  static constexpr std::array<std::pair<std::string_view, RocksDbTimerService>, 2> kNames{
      {{"HEAP", RocksDbTimerService::kHeap}, {"ROCKSDB", RocksDbTimerService::kRocksDb}}};
};

namespace detail {

Status rocksdb_compaction_style(const RocksDbCompactionStyle& value);
Status rocksdb_compression_per_level(const std::string& value);
/// Separated by ','.
Status locations(const std::string& value);
std::vector<std::string> split_locations(const std::string& value);
Status no_managed_memory(const bool& value);
Status no_memory_per_slot(const SizeBytes& value);
std::optional<RocksDbCompression> find_rocksdb_compression(std::string_view name);

}  // namespace detail

/// The settings of state.backend.type rocksdb, under Flink's names. Set with another backend they
/// are an error.
namespace options {

inline constexpr std::string_view kRocksDbPrefix = "state.backend.rocksdb.";

inline constexpr ConfigOption<std::string> kRocksDbLocalDir{
    "state.backend.rocksdb.localdir", "",
    "Directory for RocksDB's working files, which no restart needs; or several, separated by ',': "
    "subtasks take them in turn. Default: the machine's directory for temporary files.",
    detail::locations};
inline constexpr ConfigOption<SizeBytes> kRocksDbMemory{
    "state.backend.rocksdb.memory.fixed-per-tm", "512 mb",
    "Memory of all RocksDB state of the process: caches of values, blocks, indexes and filters. "
    "(Flink: from managed memory.)",
    detail::size_in<1024 * 1024>};
inline constexpr ConfigOption<bool> kRocksDbMemoryManaged{
    "state.backend.rocksdb.memory.managed", "false",
    "Refused: weir has no managed memory, all RocksDB state shares memory.fixed-per-tm. (Flink: "
    "true.)",
    detail::no_managed_memory};
inline constexpr ConfigOption<SizeBytes> kRocksDbMemoryPerSlot{
    "state.backend.rocksdb.memory.fixed-per-slot", "",
    "Refused: weir has no slots, all RocksDB state shares memory.fixed-per-tm.",
    detail::no_memory_per_slot};
inline constexpr ConfigOption<double> kRocksDbWriteBufferRatio{
    "state.backend.rocksdb.memory.write-buffer-ratio", "0.5",
    "Share of that memory for values, changed ones and hot ones; the rest caches blocks.",
    detail::fraction};
inline constexpr ConfigOption<double> kRocksDbHighPriorityRatio{
    "state.backend.rocksdb.memory.high-prio-pool-ratio", "0.1",
    "Share of the block cache that is kept for indexes and filters.", detail::fraction};
inline constexpr ConfigOption<bool> kRocksDbPartitionedMetadata{
    "state.backend.rocksdb.memory.partitioned-index-filters", "false",
    "Indexes and filters are read in small parts. Slower, unless they do not fit into the block "
    "cache: about a byte and a half per key.",
    nullptr};
inline constexpr ConfigOption<SizeBytes> kRocksDbBlockSize{
    "state.backend.rocksdb.block.blocksize", "4 kb", "Size of a block before compression.",
    detail::size_in<256, 64 * 1024 * 1024>};
inline constexpr ConfigOption<SizeBytes> kRocksDbMetadataBlockSize{
    "state.backend.rocksdb.block.metadata-blocksize", "4 kb",
    "Size of the parts of indexes and filters, if they are partitioned.",
    detail::size_in<256, 64 * 1024 * 1024>};
inline constexpr ConfigOption<SizeBytes> kRocksDbWriteBufferSize{
    "state.backend.rocksdb.writebuffer.size", "64 mb",
    "Changed values of one operator in one subtask after which they are written to RocksDB without "
    "waiting for a checkpoint; at most a third of its share of the memory for values.",
    detail::size_in<256 * 1024>};
inline constexpr ConfigOption<int> kRocksDbWriteBufferCount{
    "state.backend.rocksdb.writebuffer.count", "2",
    "Weir writes sorted files and leaves RocksDB's own write buffers empty.",
    detail::number_in<1, 1024, int>, false};
inline constexpr ConfigOption<int> kRocksDbThreads{
    "state.backend.rocksdb.thread.num", "2",
    "Threads for compactions; all instances of the process share them. (Flink counts flushes, too, "
    "which weir has none of.)",
    detail::number_in<1, 1024, int>};
inline constexpr ConfigOption<int> kRocksDbTransferThreads{
    "state.backend.rocksdb.checkpoint.transfer.thread.num", "4",
    "Files of a subtask that are stored, or verified and copied on restore, at a time; on the "
    "threads of weir.io-threads.",
    detail::number_in<1, 1024, int>};
inline constexpr ConfigOption<RocksDbCompactionStyle> kRocksDbCompactionStyle{
    "state.backend.rocksdb.compaction.style", "UNIVERSAL",
    "UNIVERSAL rewrites, and so uploads, less than LEVEL and takes more space; FIFO, which loses "
    "state, is refused. (Flink: LEVEL.)",
    detail::rocksdb_compaction_style};
inline constexpr ConfigOption<bool> kRocksDbDynamicLevels{
    "state.backend.rocksdb.compaction.level.use-dynamic-size", "true",
    "With LEVEL: the last level has most of the state, and levels above take what they need. "
    "(Flink: false.)",
    nullptr};
inline constexpr ConfigOption<SizeBytes> kRocksDbTargetFileSize{
    "state.backend.rocksdb.compaction.level.target-file-size-base", "64 mb",
    "With LEVEL: size of the files that compactions write.", detail::size_in<64 * 1024>};
inline constexpr ConfigOption<SizeBytes> kRocksDbLevelBaseSize{
    "state.backend.rocksdb.compaction.level.max-size-level-base", "256 mb",
    "With LEVEL: size of the first level below the newest files.", detail::size_in<256 * 1024>};
inline constexpr ConfigOption<bool> kRocksDbBloomFilter{
    "state.backend.rocksdb.use-bloom-filter", "true",
    "Filters that tell which files do not have a key. (Flink: false.)", nullptr};
inline constexpr ConfigOption<double> kRocksDbBloomBits{
    "state.backend.rocksdb.bloom-filter.bits-per-key", "10", "Size of those filters.",
    [](const double& value) { return detail::check_range(value, 1.0, 100.0); }};
inline constexpr ConfigOption<int> kRocksDbOpenFiles{"state.backend.rocksdb.files.open", "-1",
                                                     "Files an instance keeps open; -1 = all.",
                                                     detail::number_in<-1, 1'000'000'000, int>};
inline constexpr ConfigOption<RocksDbLogLevel> kRocksDbLogLevel{
    "state.backend.rocksdb.log.level", "INFO_LEVEL",
    "Of RocksDB's own log, a file LOG among the working files.", nullptr};
inline constexpr ConfigOption<std::string> kRocksDbLogDir{
    "state.backend.rocksdb.log.dir", "",
    "Directory for those logs, which then stay. Default: among the working files, which go with "
    "them.",
    detail::location};
inline constexpr ConfigOption<SizeBytes> kRocksDbLogFileSize{
    "state.backend.rocksdb.log.max-file-size", "16 mb",
    "A log that is larger is followed by a new one. (Flink: 25 mb.)", detail::size_in<1024>};
inline constexpr ConfigOption<int> kRocksDbLogFiles{
    "state.backend.rocksdb.log.file-num", "2", "Logs of an instance that are kept. (Flink: 4.)",
    detail::number_in<1, 1'000'000, int>};
inline constexpr ConfigOption<std::string> kRocksDbCompression{
    "state.backend.rocksdb.compression.per.level", "LZ4_COMPRESSION;ZSTD",
    "NO_COMPRESSION, SNAPPY_COMPRESSION, LZ4_COMPRESSION or ZSTD for each level, separated by ';'; "
    "the last is that of all further levels. (Flink: SNAPPY_COMPRESSION.)",
    detail::rocksdb_compression_per_level};
inline constexpr ConfigOption<RocksDbTimerService> kRocksDbTimers{
    "state.backend.rocksdb.timer-service.factory", "ROCKSDB",
    "Where the order of timers is kept: HEAP needs memory for every timer.", nullptr};

}  // namespace options
}  // namespace weir
