#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "io/file_system.h"
#include "weir/result.h"

namespace weir {

/// A file of checksummed blocks. All integers little-endian.
///
///   file   := header block* footer
///   header := magic[8] version:u32 crc:u32                crc over the 12 bytes before it
///   block  := length:u32 crc:u32 payload[length]          crc over length and payload
///   footer := 0xffffffff:u32 crc:u32 blocks:u64 payload_bytes:u64   crc over all but itself
///
/// The footer makes a file that was cut at a block boundary as damaged as any other.

/// 2^30: also the cap that a reader applies before it allocates.
inline constexpr std::uint32_t kBlockSizeBytesMax = 1U << 30;

/// What a manifest records of a finished file.
struct FileSummary {
  std::uint64_t length_bytes = 0;
  std::uint32_t crc32c = 0;  ///< of the whole file
};

class BlockFileWriter {
 public:
  /// `magic` = 8 bytes that name the format of the payloads.
  static Result<BlockFileWriter> create(FileSystem& files, const std::string& path,
                                        std::string_view magic, std::uint32_t version);

  /// Returns the offset to pass to BlockFileReader::read_at.
  /// REQUIRES: payload.size() <= kBlockSizeBytesMax.
  Result<std::uint64_t> append(std::string_view payload);

  /// Writes the footer, makes the file's bytes durable and closes it. The caller syncs the
  /// directory once for all its files, before it relies on the name.
  Result<FileSummary> finish();

 private:
  BlockFileWriter(std::unique_ptr<WritableFile> file) : file_(std::move(file)) {}
  /// `crc`: of `bytes`.
  Status write(std::string_view bytes, std::uint32_t crc);

  std::unique_ptr<WritableFile> file_;
  FileSummary summary_;
  std::uint64_t blocks_ = 0;
  std::uint64_t payload_bytes_ = 0;
};

/// Reads blocks in order, or single ones by offset. Every failure is kCorruption naming the file
/// and the byte, unless the file system itself failed.
class BlockFileReader {
 public:
  /// kInvalidArgument when the version is higher than `version_max`.
  static Result<BlockFileReader> open(FileSystem& files, const std::string& path,
                                      std::string_view magic, std::uint32_t version_max);

  std::uint32_t version() const { return version_; }
  /// Of the whole file. REQUIRES: next() has come to the end.
  FileSummary summary() const;

  /// The next block, or nothing after the last one, when the footer was verified too. The view is
  /// valid until the next call.
  Result<std::optional<std::string_view>> next();

  /// The block at an offset returned by BlockFileWriter::append. Does not move next().
  Result<std::string> read_at(std::uint64_t offset) const;

 private:
  BlockFileReader(std::unique_ptr<ReadableFile> file, std::string path, std::uint32_t version)
      : file_(std::move(file)), path_(std::move(path)), version_(version) {}

  Error damaged(std::uint64_t offset, std::string_view what) const;
  /// Makes `size` bytes at offset_ available in the read-ahead buffer.
  Result<std::string_view> peek(std::size_t size);
  Status check_footer(std::string_view footer) const;
  /// Bytes up to offset_ are of the file's checksum `crc`.
  void pass(std::size_t bytes, std::uint32_t crc) {
    offset_ += bytes;
    crc_ = crc;
  }

  std::unique_ptr<ReadableFile> file_;
  std::string path_;
  std::uint32_t version_ = 0;
  std::uint64_t offset_ = 0;         ///< of the next block
  std::uint32_t crc_ = 0;            ///< of what comes before it
  std::string buffer_;               ///< read-ahead
  std::uint64_t buffer_offset_ = 0;  ///< where buffer_ begins in the file
  std::uint64_t blocks_ = 0;
  std::uint64_t payload_bytes_ = 0;
  bool is_finished_ = false;
};

/// Length and CRC32C of an existing file, read once from front to back.
Result<FileSummary> summarize_file(FileSystem& files, const std::string& path);

}  // namespace weir
