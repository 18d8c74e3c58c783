#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "file/file_source.h"
#include "io/file_system.h"
#include "weir/result.h"

namespace weir::file {

/// The position in a file: what a split's state holds, and enough to notice another file there.
struct FilePosition {
  std::uint64_t offset = 0;      ///< of the next line
  std::uint64_t lines = 0;       ///< before it
  std::uint32_t tail_bytes = 0;  ///< before it, up to 64, that tail_crc32c covers
  std::uint32_t tail_crc32c = 0;
};

/// Reads the whole lines of one file in large pieces, from a position on.
///
/// Invariant: `position()` is behind the last line that was consumed.
class LineReader {
 public:
  /// Fails when the file is not the one, or shorter than, `position` was taken of.
  static Result<std::unique_ptr<LineReader>> open(FileSystem& files, const std::string& path,
                                                  const FilePosition& position,
                                                  std::size_t line_bytes_max);

  /// At least one whole line, or nothing at the end of the file. Valid until the next call.
  Result<std::string_view> peek();
  /// REQUIRES: peek() gave the bytes and lines that `cursor` took.
  void consume(const detail::LineCursor& cursor);
  FilePosition position() const;
  const std::string& path() const { return path_; }
  /// Line number (from 1) and offset of the line the cursor gave last.
  std::string place_of_last_line(const detail::LineCursor& cursor) const;

 private:
  LineReader(std::unique_ptr<ReadableFile> file, std::string path, std::size_t line_bytes_max)
      : file_(std::move(file)), path_(std::move(path)), line_bytes_max_(line_bytes_max) {}

  Status check_tail(const FilePosition& position);
  /// Appends the next piece of the file to the buffer.
  Status read_more();
  std::string_view tail() const;
  std::uint64_t offset() const { return buffer_offset_ + begin_; }

  std::unique_ptr<ReadableFile> file_;
  std::string path_;
  std::size_t line_bytes_max_;
  std::string buffer_;
  std::string piece_;                ///< what the last read brought; kept for its memory
  std::uint64_t buffer_offset_ = 0;  ///< of buffer_[0] in the file
  std::size_t begin_ = 0;            ///< of the next line in buffer_
  std::size_t end_ = 0;              ///< of the whole lines in buffer_
  std::uint64_t lines_ = 0;
};

}  // namespace weir::file
