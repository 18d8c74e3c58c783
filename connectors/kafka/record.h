#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "weir/time.h"

namespace weir::kafka {

struct Header {
  std::string name;
  std::optional<std::string> value;  ///< nothing = null
  bool operator==(const Header&) const = default;
};

/// One record to be written. A serializer fills it in; everything but the value is optional.
struct Record {
  std::optional<std::string> key;
  std::string value;
  bool is_tombstone = false;  ///< write a null value (deletes the key when compacted)
  std::vector<Header> headers;
  std::optional<std::int32_t> partition;  ///< nothing = by key, or sticky random without a key
  std::optional<TimestampMs> timestamp;   ///< nothing = the time of writing
  std::string topic;                      ///< empty = the sink's topic

  /// Makes it a fresh record; keeps the buffers.
  void clear() {
    key.reset();
    value.clear();
    is_tombstone = false;
    headers.clear();
    partition.reset();
    timestamp.reset();
    topic.clear();
  }
  bool operator==(const Record&) const = default;
};

}  // namespace weir::kafka
