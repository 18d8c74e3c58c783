#include "operators/window_geometry.h"

#include <optional>

#include "operators/window_slices.h"
#include "weir/codec.h"

namespace weir::operators {
namespace {

std::optional<SlidingWindowSpec> decode_geometry(const std::string& item) {
  Decoder in(item);
  const auto size = in.raw<std::int64_t>();
  const auto slide = in.raw<std::int64_t>();
  const auto offset = in.raw<std::int64_t>();
  const SlidingWindowSpec windows{DurationMs(size), DurationMs(slide), DurationMs(offset)};
  if (!in.exhausted() || !problem_of(windows, DurationMs(0)).empty()) {
    return std::nullopt;
  }
  return windows;
}

std::string text_of(DurationMs time) { return std::to_string(time.count()) + " ms"; }

}  // namespace

std::string encode_geometry(const SlidingWindowSpec& windows) {
  std::string item;
  Encoder out(item);
  for (const DurationMs part : {windows.size, windows.slide, windows.offset}) {
    out.raw(std::int64_t{part.count()});
  }
  return item;
}

std::string describe(const SlidingWindowSpec& windows) {
  std::string text = windows.size == windows.slide ? "tumbling windows of " + text_of(windows.size)
                                                   : "sliding windows of " + text_of(windows.size) +
                                                         " every " + text_of(windows.slide);
  if (windows.offset.count() != 0) {
    text += ", offset by " + text_of(windows.offset);
  }
  return text;
}

bool can_take_over(const SlidingWindowSpec& stored, const SlidingWindowSpec& present) {
  if (stored.slide != present.slide ||
      (stored.offset - present.offset).count() % stored.slide.count() != 0) {
    return false;
  }
  if (stored.size == present.size) {
    return true;
  }
  // Below the slide there are gaps, and slices are cut in another way.
  return present.size < stored.size && present.size >= present.slide &&
         (stored.size - present.size).count() % stored.slide.count() == 0;
}

Status check_geometry(const std::vector<std::string>& restored, const SlidingWindowSpec& present) {
  for (const std::string& item : restored) {
    const auto stored = decode_geometry(item);
    if (!stored.has_value()) {
      return Error{ErrorCode::kCorruption,
                   "operator state '" + std::string(kWindowGeometryList) + "' is malformed"};
    }
    if (!can_take_over(*stored, present)) {
      return Error{ErrorCode::kInvalidArgument,
                   "the snapshot holds contents of " + describe(*stored) + ", but the job has " +
                       describe(present) +
                       ", into which they cannot be sorted. Give the operator another uid, so that "
                       "its windows begin empty, or keep the old windows until they have run out "
                       "(stop with --drain)"};
    }
  }
  return {};
}

}  // namespace weir::operators
