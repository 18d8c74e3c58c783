#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "weir/result.h"
#include "weir/window.h"

/// How windows lie on the time line, kept beside their contents: the contents are stored by the end
/// of their slice alone, which means something else to windows that are cut in another way.
namespace weir::operators {

/// Name of the operator's union list: an item from each subtask that holds contents of windows.
inline constexpr const char* kWindowGeometryList = "window-geometry";

/// An item of it, in milliseconds.
struct WindowGeometry {
  std::int64_t size = 0;
  std::int64_t slide = 0;
  std::int64_t offset = 0;
};

/// A WindowGeometry as in docs/formats/codec.md: 24 bytes.
std::string encode_geometry(const SlidingWindowSpec& windows);

/// "tumbling windows of 10000 ms", "sliding windows of 60000 ms every 10000 ms, offset by 500 ms".
std::string describe(const SlidingWindowSpec& windows);

/// Whether slices that `stored` windows left are just what `present` windows would have left: the
/// same windows, or ones that end at the same times and are shorter by whole slides. Those need no
/// slice that the longer ones have dropped, and merge fewer of the same.
bool can_take_over(const SlidingWindowSpec& stored, const SlidingWindowSpec& present);

/// Refuses with kInvalidArgument if one of the restored items is of windows that `present` ones
/// cannot take over; kCorruption if it is none.
Status check_geometry(const std::vector<std::string>& restored, const SlidingWindowSpec& present);

}  // namespace weir::operators
