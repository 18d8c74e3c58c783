#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

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
        is_image_(encoding.expiry == nullptr && encoding.key_size != 0 &&
                  encoding.value_size != 0 &&
                  encoding.layout.key_offset == kHashOffset + sizeof(std::uint32_t) &&
                  encoding.layout.value_offset == encoding.layout.key_offset + encoding.key_size) {}
  ~RunAppender() { flush(); }
  RunAppender(const RunAppender&) = delete;
  RunAppender& operator=(const RunAppender&) = delete;

  bool takes_images() const { return is_image_; }
  std::size_t image_bytes() const { return image_bytes_; }

  /// Appends those of `count` slots, `stride` bytes apart, whose entries are live and were written
  /// in the epochs from `first` on and before `end`. Which ones these are cannot be predicted:
  /// every slot is copied, and the next copy goes over it unless it counts. Returns how many did;
  /// `tags` gets the bits of all tags that were seen. REQUIRES: takes_images().
  std::size_t append_written(const std::byte* slot, std::size_t count, std::size_t stride,
                             std::uint32_t first, std::uint32_t end, std::uint32_t& tags) {
    switch (image_bytes_) {
      case 20:
        return append_written(slot, count, stride, first, end, tags, Constant<20>());
      case 28:
        return append_written(slot, count, stride, first, end, tags, Constant<28>());
      default:
        return append_written(slot, count, stride, first, end, tags, image_bytes_);
    }
  }

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

  template <std::size_t Bytes>
  using Constant = std::integral_constant<std::size_t, Bytes>;

  /// `bytes`: of an image, known to the compiler where that is usual.
  template <class Bytes>
  std::size_t append_written(const std::byte* slot, std::size_t count, std::size_t stride,
                             std::uint32_t first, std::uint32_t end, std::uint32_t& tags,
                             Bytes bytes) {
    const auto counts = [=](std::uint32_t tag) { return tag - first < end - first; };
    std::size_t appended = 0;
    std::uint32_t seen = 0;
    while (count != 0) {
      if (taken_ == room_.entries) {
        // Room is asked for an entry that is there: a file has no empty runs.
        while (count != 0 && !counts(tag_of(slot))) {
          seen |= tag_of(slot);
          slot += stride;
          --count;
        }
        if (count == 0) {
          break;
        }
        flush();
        room_ = writer_.room_for(run_, bytes);
      }
      const std::size_t at_once = std::min(count, room_.entries - taken_);
      char* const begin = room_.to + taken_ * bytes;
      char* to = begin;
      for (std::size_t i = 0; i < at_once; ++i, slot += stride) {
        const std::uint32_t tag = tag_of(slot);
        seen |= tag;
        std::memcpy(to, slot + kHashOffset, bytes);
        to += counts(tag) ? static_cast<std::size_t>(bytes) : 0;
      }
      const std::size_t taken = static_cast<std::size_t>(to - begin) / bytes;
      taken_ += taken;
      appended += taken;
      count -= at_once;
    }
    tags |= seen;
    return appended;
  }

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
