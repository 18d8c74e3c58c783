#include "io/block_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/crc32c.h"

namespace weir {
namespace {

constexpr std::size_t kMagicBytes = 8;
constexpr std::size_t kFileHeaderBytes = kMagicBytes + 4 + 4;
constexpr std::size_t kBlockHeaderBytes = 8;
constexpr std::size_t kFooterBytes = 4 + 4 + 8 + 8;
constexpr std::uint32_t kFooterMark = 0xffffffffU;
constexpr std::size_t kReadAheadBytes = 1U << 20;

template <class T>
T load(std::string_view bytes, std::size_t offset) {
  T value{};
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// Checksums of a block, which takes one look at its bytes.
struct BlockSums {
  std::uint32_t payload = 0;
  std::uint32_t block = 0;  ///< what its header says: of length and payload
};

BlockSums sums_of(std::string_view payload) {
  const auto length = static_cast<std::uint32_t>(payload.size());
  std::array<char, sizeof length> bytes{};
  std::memcpy(bytes.data(), &length, sizeof length);
  const std::uint32_t of_payload = crc32c(payload);
  return {of_payload, crc32c_of_both(crc32c(std::string_view(bytes.data(), bytes.size())),
                                     of_payload, payload.size())};
}

/// Checksum of the footer: everything but the checksum itself.
std::uint32_t footer_crc(std::string_view footer) {
  return crc32c(footer.substr(8), crc32c(footer.substr(0, 4)));
}

}  // namespace

Result<BlockFileWriter> BlockFileWriter::create(FileSystem& files, const std::string& path,
                                                std::string_view magic, std::uint32_t version) {
  WEIR_CHECK(magic.size() == kMagicBytes);
  WEIR_ASSIGN(auto file, files.create_writer(path));
  BlockFileWriter writer(std::move(file));
  std::string header(magic);
  put(header, version);
  put(header, crc32c(header));
  const Status written = writer.write(header, crc32c(header));
  if (!written.ok()) {
    // Nobody else knows yet that there is a file.
    static_cast<void>(files.remove(path).ok());
    return written.error();
  }
  return writer;
}

Status BlockFileWriter::write(std::string_view bytes, std::uint32_t crc) {
  summary_.crc32c = crc32c_of_both(summary_.crc32c, crc, bytes.size());
  summary_.length_bytes += bytes.size();
  return file_->append(bytes);
}

Result<std::uint64_t> BlockFileWriter::append(std::string_view payload) {
  WEIR_CHECK(payload.size() <= kBlockSizeBytesMax);
  const std::uint64_t offset = summary_.length_bytes;
  const BlockSums sums = sums_of(payload);
  std::string header;
  put(header, static_cast<std::uint32_t>(payload.size()));
  put(header, sums.block);
  WEIR_TRY(write(header, crc32c(header)));
  WEIR_TRY(write(payload, sums.payload));
  ++blocks_;
  payload_bytes_ += payload.size();
  return offset;
}

Result<FileSummary> BlockFileWriter::finish() {
  std::string footer;
  put(footer, kFooterMark);
  put(footer, std::uint32_t{0});
  put(footer, blocks_);
  put(footer, payload_bytes_);
  const std::uint32_t crc = footer_crc(footer);
  std::memcpy(footer.data() + 4, &crc, sizeof crc);
  WEIR_TRY(write(footer, crc32c(footer)));
  WEIR_TRY(file_->sync());
  WEIR_TRY(file_->close());
  return summary_;
}

Result<BlockFileReader> BlockFileReader::open(FileSystem& files, const std::string& path,
                                              std::string_view magic, std::uint32_t version_max) {
  WEIR_CHECK(magic.size() == kMagicBytes);
  WEIR_ASSIGN(auto file, files.open(path));
  BlockFileReader reader(std::move(file), path, 0);
  WEIR_ASSIGN(const std::string_view header, reader.peek(kFileHeaderBytes));
  if (header.substr(0, kMagicBytes) != magic) {
    return reader.damaged(0, "not a " + std::string(magic) + " file");
  }
  if (load<std::uint32_t>(header, 12) != crc32c(header.substr(0, 12))) {
    return reader.damaged(8, "wrong checksum of the file header");
  }
  reader.version_ = load<std::uint32_t>(header, 8);
  if (reader.version_ == 0 || reader.version_ > version_max) {
    return Error{ErrorCode::kInvalidArgument,
                 "file " + path + " has format version " + std::to_string(reader.version_) +
                     ", this weir reads up to " + std::to_string(version_max)};
  }
  reader.pass(kFileHeaderBytes, crc32c(header));
  return reader;
}

Error BlockFileReader::damaged(std::uint64_t offset, std::string_view what) const {
  return Error{ErrorCode::kCorruption, "file " + path_ + " is damaged at byte " +
                                           std::to_string(offset) + ": " + std::string(what)};
}

Result<std::string_view> BlockFileReader::peek(std::size_t size) {
  const std::uint64_t file_size = file_->size_bytes();
  // Before anything is allocated: a length read from the file is not to be trusted.
  if (offset_ > file_size || size > file_size - offset_) {
    return damaged(offset_, "the file ends at byte " + std::to_string(file_size));
  }
  const bool is_buffered =
      offset_ >= buffer_offset_ && offset_ - buffer_offset_ + size <= buffer_.size();
  if (!is_buffered) {
    const auto wanted = static_cast<std::size_t>(
        std::min<std::uint64_t>(std::max(size, kReadAheadBytes), file_size - offset_));
    WEIR_TRY(file_->read_at(offset_, wanted, buffer_));
    buffer_offset_ = offset_;
  }
  return std::string_view(buffer_).substr(static_cast<std::size_t>(offset_ - buffer_offset_), size);
}

FileSummary BlockFileReader::summary() const {
  WEIR_CHECK(is_finished_);
  return {offset_, crc_};
}

Result<std::optional<std::string_view>> BlockFileReader::next() {
  if (is_finished_) {
    return std::optional<std::string_view>();
  }
  WEIR_ASSIGN(const std::string_view header, peek(kBlockHeaderBytes));
  const auto length = load<std::uint32_t>(header, 0);
  const auto crc = load<std::uint32_t>(header, 4);
  if (length == kFooterMark) {
    WEIR_ASSIGN(const std::string_view footer, peek(kFooterBytes));
    WEIR_TRY(check_footer(footer));
    pass(kFooterBytes, crc32c(footer, crc_));
    is_finished_ = true;
    return std::optional<std::string_view>();
  }
  if (length > kBlockSizeBytesMax) {
    return damaged(offset_, "impossible block length " + std::to_string(length));
  }
  WEIR_ASSIGN(const std::string_view block, peek(kBlockHeaderBytes + length));
  const std::string_view payload = block.substr(kBlockHeaderBytes);
  const BlockSums sums = sums_of(payload);
  if (sums.block != crc) {
    return damaged(offset_, "wrong checksum of a block of " + std::to_string(length) + " bytes");
  }
  pass(block.size(),
       crc32c_of_both(crc32c(block.substr(0, kBlockHeaderBytes), crc_), sums.payload, length));
  ++blocks_;
  payload_bytes_ += length;
  return std::optional<std::string_view>(payload);
}

Status BlockFileReader::check_footer(std::string_view footer) const {
  if (load<std::uint32_t>(footer, 4) != footer_crc(footer)) {
    return damaged(offset_, "wrong checksum of the footer");
  }
  if (load<std::uint64_t>(footer, 8) != blocks_ ||
      load<std::uint64_t>(footer, 16) != payload_bytes_) {
    return damaged(offset_, "the footer counts other blocks");
  }
  if (offset_ + kFooterBytes != file_->size_bytes()) {
    return damaged(offset_ + kFooterBytes, "bytes after the footer");
  }
  return {};
}

Result<std::string> BlockFileReader::read_at(std::uint64_t offset) const {
  std::string header;
  WEIR_TRY(file_->read_at(offset, kBlockHeaderBytes, header));
  const auto length = load<std::uint32_t>(header, 0);
  if (length > kBlockSizeBytesMax) {
    return damaged(offset, "no block begins here");
  }
  std::string payload;
  WEIR_TRY(file_->read_at(offset + kBlockHeaderBytes, length, payload));
  if (sums_of(payload).block != load<std::uint32_t>(header, 4)) {
    return damaged(offset, "wrong checksum of a block of " + std::to_string(length) + " bytes");
  }
  return payload;
}

Result<FileSummary> summarize_file(FileSystem& files, const std::string& path) {
  WEIR_ASSIGN(const auto file, files.open(path));
  FileSummary summary;
  std::string part;
  while (summary.length_bytes < file->size_bytes()) {
    const auto size = static_cast<std::size_t>(
        std::min<std::uint64_t>(kReadAheadBytes, file->size_bytes() - summary.length_bytes));
    WEIR_TRY(file->read_at(summary.length_bytes, size, part));
    summary.crc32c = crc32c(part, summary.crc32c);
    summary.length_bytes += size;
  }
  return summary;
}

}  // namespace weir
