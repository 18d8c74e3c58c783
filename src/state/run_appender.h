#pragma once

#include <cstddef>
#include <cstring>

#include "state/snapshot_writer.h"

namespace weir::state {

/// Appends entries of a table to one run of the walk. Those that are stored as they lie in memory,
/// hash, key and value without a gap, cost no call each. Nothing else may be appended to the walk
/// while it lives.
class RunAppender {
 public:
  RunAppender(SnapshotWriter& writer, const RunHeader& run, const EntryEncoding& encoding)
      : writer_(writer),
        run_(run),
        encoding_(encoding),
        image_bytes_(sizeof(std::uint32_t) + encoding.key_size + encoding.value_size),
        is_image_(encoding.key_size != 0 && encoding.value_size != 0 &&
                  encoding.layout.key_offset == kHashOffset + sizeof(std::uint32_t) &&
                  encoding.layout.value_offset == encoding.layout.key_offset + encoding.key_size) {}
  ~RunAppender() { flush(); }
  RunAppender(const RunAppender&) = delete;
  RunAppender& operator=(const RunAppender&) = delete;

  /// Returns the bytes it took.
  std::size_t append(const std::byte* entry, bool is_live) {
    if (!is_live || !is_image_) {
      flush();
      constexpr auto kWalk = SnapshotWriter::Stream::kWalk;
      return is_live ? writer_.append(kWalk, run_, encoding_, entry)
                     : writer_.append_erased(kWalk, run_, encoding_, entry);
    }
    if (taken_ == room_.entries) {
      flush();
      room_ = writer_.room_for(run_, image_bytes_);
    }
    copy(room_.to + taken_ * image_bytes_, entry + kHashOffset);
    ++taken_;
    return image_bytes_;
  }

 private:
  static constexpr std::size_t kHashOffset = sizeof(std::uint32_t);  // behind the tag

  void flush() {
    writer_.took(taken_, image_bytes_);
    taken_ = 0;
    room_ = {};
  }
  /// memcpy whose usual sizes are known to the compiler.
  void copy(char* to, const std::byte* from) const {
    switch (image_bytes_) {
      case 20:
        std::memcpy(to, from, 20);
        break;
      case 28:
        std::memcpy(to, from, 28);
        break;
      default:
        std::memcpy(to, from, image_bytes_);
    }
  }

  SnapshotWriter& writer_;
  const RunHeader& run_;
  const EntryEncoding& encoding_;
  const std::size_t image_bytes_;
  const bool is_image_;
  SnapshotWriter::Room room_;
  std::size_t taken_ = 0;
};

}  // namespace weir::state
