#include "file/line_reader.h"

#include <algorithm>

#include "base/crc32c.h"

namespace weir::file {
namespace {

constexpr std::size_t kPieceBytes = 1U << 20;
constexpr std::uint64_t kTailBytesMax = 64;

}  // namespace

Result<std::unique_ptr<LineReader>> LineReader::open(FileSystem& files, const std::string& path,
                                                     const FilePosition& position,
                                                     std::size_t line_bytes_max) {
  WEIR_ASSIGN(std::unique_ptr<ReadableFile> file, files.open(path));
  std::unique_ptr<LineReader> reader(new LineReader(std::move(file), path, line_bytes_max));
  if (reader->file_->size_bytes() < position.offset) {
    return Error{ErrorCode::kCorruption, "input file " + path + " was cut: it has " +
                                             std::to_string(reader->file_->size_bytes()) +
                                             " bytes, reading had reached " +
                                             std::to_string(position.offset)};
  }
  WEIR_TRY(reader->check_tail(position));
  reader->lines_ = position.lines;
  return reader;
}

Status LineReader::check_tail(const FilePosition& position) {
  if (position.tail_bytes > std::min(position.offset, kTailBytesMax)) {
    return Error{ErrorCode::kCorruption, "input file " + path_ + ": malformed position"};
  }
  buffer_offset_ = position.offset - position.tail_bytes;
  WEIR_TRY(file_->read_at(buffer_offset_, position.tail_bytes, buffer_));
  if (crc32c(buffer_) != position.tail_crc32c) {
    return Error{ErrorCode::kCorruption,
                 "input file " + path_ + " was changed: the bytes before offset " +
                     std::to_string(position.offset) + " are not those that were read"};
  }
  begin_ = end_ = buffer_.size();
  return {};
}

std::string_view LineReader::tail() const {
  const std::size_t size = std::min<std::size_t>(begin_, kTailBytesMax);
  return std::string_view(buffer_).substr(begin_ - size, size);
}

FilePosition LineReader::position() const {
  return {offset(), lines_, static_cast<std::uint32_t>(tail().size()), crc32c(tail())};
}

Result<std::string_view> LineReader::peek() {
  while (begin_ == end_) {
    const std::uint64_t read_until = buffer_offset_ + buffer_.size();
    if (read_until >= file_->size_bytes()) {
      end_ = buffer_.size();  // The last line may lack its line end.
      break;
    }
    if (buffer_.size() - begin_ > line_bytes_max_) {
      return Error{ErrorCode::kUser, "file " + path_ + " line " + std::to_string(lines_ + 1) +
                                         " (offset " + std::to_string(offset()) +
                                         ") is longer than " + std::to_string(line_bytes_max_) +
                                         " bytes"};
    }
    WEIR_TRY(read_more());
  }
  return std::string_view(buffer_).substr(begin_, end_ - begin_);
}

Status LineReader::read_more() {
  // What was consumed goes, but for the tail that position() describes.
  const std::size_t drop = begin_ - tail().size();
  buffer_.erase(0, drop);
  buffer_offset_ += drop;
  begin_ -= drop;
  end_ = begin_;
  const std::uint64_t from = buffer_offset_ + buffer_.size();
  const std::uint64_t left = file_->size_bytes() - from;
  WEIR_TRY(file_->read_at(
      from, static_cast<std::size_t>(std::min<std::uint64_t>(kPieceBytes, left)), piece_));
  const std::size_t last_line_end = piece_.rfind('\n');
  if (last_line_end != std::string::npos) {
    end_ = buffer_.size() + last_line_end + 1;
  }
  buffer_ += piece_;
  return {};
}

void LineReader::consume(const detail::LineCursor& cursor) {
  begin_ += cursor.consumed();
  lines_ += cursor.lines();
  WEIR_CHECK(begin_ <= end_);
}

std::string LineReader::place_of_last_line(const detail::LineCursor& cursor) const {
  return "file " + path_ + " line " + std::to_string(lines_ + cursor.lines()) + " (offset " +
         std::to_string(offset() + cursor.line_begin()) + ")";
}

}  // namespace weir::file
