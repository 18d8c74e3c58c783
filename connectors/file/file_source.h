#pragma once

#include <concepts>
#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "weir/batch.h"
#include "weir/result.h"
#include "weir/source.h"

namespace weir::file {

/// What to do with a line the decoder refuses.
enum class BadRecords {
  kFail,  ///< fail the job and name file, line and offset
  kSkip   ///< leave it out and count it in numRecordsInErrors
};

/// The settings of a file source, without its record type.
struct FileSourceSettings {
  std::string path;  ///< file, directory (searched recursively) or glob pattern
  BadRecords bad_records = BadRecords::kFail;
  std::size_t line_bytes_max = 16UL * 1024 * 1024;
};

namespace detail {

/// Takes whole lines off the front of a buffer.
class LineCursor {
 public:
  /// `text` ends at a line end, or is the end of the file.
  explicit LineCursor(std::string_view text) : text_(text) {}

  bool at_end() const { return consumed_ == text_.size(); }
  /// The next line without its '\n' or "\r\n". REQUIRES: !at_end().
  std::string_view next() {
    line_begin_ = consumed_;
    const char* const begin = text_.data() + consumed_;
    const std::size_t left = text_.size() - consumed_;
    const auto* const end = static_cast<const char*>(std::memchr(begin, '\n', left));
    std::size_t length = end == nullptr ? left : static_cast<std::size_t>(end - begin);
    consumed_ += end == nullptr ? length : length + 1;
    ++lines_;
    if (length > 0 && begin[length - 1] == '\r') {
      --length;
    }
    return {begin, length};
  }
  std::size_t consumed() const { return consumed_; }
  /// Where the line that next() gave last begins.
  std::size_t line_begin() const { return line_begin_; }
  std::size_t lines() const { return lines_; }

 private:
  std::string_view text_;
  std::size_t consumed_ = 0;
  std::size_t line_begin_ = 0;
  std::size_t lines_ = 0;
};

/// Decodes lines into `batch` until it is full, the cursor is at its end, or a line is refused:
/// then the error says why, and the cursor stands behind that line.
using DecodeLines = std::function<Status(LineCursor& lines, Batch& batch)>;

std::shared_ptr<Source> make_file_source(const TypeOps& type, DecodeLines decode,
                                         FileSourceSettings settings);

}  // namespace detail

/// Reads the lines of files, once each; bounded. The files are listed when the job starts for the
/// first time and dealt to the readers one by one as they ask; a split's state is the offset of its
/// next line. Hidden files (a name that begins with '.' or '_') are left out of directories, so the
/// output of a FileSink can be read while others are still being written. A file must be complete
/// when the job starts and stay as it is; one that shrank or changed before the offset is noticed
/// on restore. Compressed files are refused.
///
///   FileSource<Order>::for_lines("/data/in", [](std::string_view line, Order& order) {
///     return parse(line, order);
///   }).build();
template <class T>
class FileSource {
 public:
  class Builder {
   public:
    Builder(std::string path, detail::DecodeLines decode) : decode_(std::move(decode)) {
      settings_.path = std::move(path);
    }
    Builder& with_bad_records(BadRecords bad_records) {
      settings_.bad_records = bad_records;
      return *this;
    }
    /// A longer line fails the job.
    Builder& with_max_line_size(std::size_t bytes) {
      settings_.line_bytes_max = bytes;
      return *this;
    }
    std::shared_ptr<Source> build() const {
      return detail::make_file_source(type_ops<T>(), decode_, settings_);
    }

   private:
    detail::DecodeLines decode_;
    FileSourceSettings settings_;
  };

  /// `decode` fills a default-constructed record from a line without its line end; it returns
  /// bool or Status. Event times come from the watermark strategy.
  template <class Decode>
  static Builder for_lines(std::string path, Decode decode) {
    static_assert(std::is_default_constructible_v<T>,
                  "weir: for_lines() needs a record type with a default constructor");
    static_assert(std::is_invocable_r_v<bool, const Decode&, std::string_view, T&> ||
                      std::is_invocable_r_v<Status, const Decode&, std::string_view, T&>,
                  "weir: for_lines() needs a const-callable bool or Status "
                  "(std::string_view line, T& out)");
    return Builder(
        std::move(path),
        [decode = std::move(decode)](detail::LineCursor& lines, Batch& batch) -> Status {
          while (!lines.at_end() && !batch.full()) {
            T record{};
            if constexpr (std::is_invocable_r_v<bool, const Decode&, std::string_view, T&>) {
              if (!decode(lines.next(), record)) {
                return Error{ErrorCode::kUser, "the decoder refused the line"};
              }
            } else {
              WEIR_TRY(decode(lines.next(), record));
            }
            batch.push_back(std::move(record), kMinTimestamp);
          }
          return {};
        });
  }
  /// Lines as they are.
  static Builder for_lines(std::string path)
    requires std::is_same_v<T, std::string>
  {
    return for_lines(std::move(path), [](std::string_view line, std::string& out) {
      out.assign(line);
      return true;
    });
  }
};

}  // namespace weir::file
