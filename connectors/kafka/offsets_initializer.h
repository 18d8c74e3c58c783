#pragma once

#include <cstdint>
#include <map>

#include "kafka/protocol.h"
#include "weir/time.h"

namespace weir::kafka {

/// Where to go when a group has no offset for a partition. kNone = refuse to start.
enum class OffsetResetStrategy { kEarliest, kLatest, kNone };

/// Where to start or stop reading, under the names of Flink's OffsetsInitializer. It is resolved to
/// plain offsets once, when a partition is first seen; from then on the checkpoint has them.
class OffsetsInitializer {
 public:
  enum class Kind { kEarliest, kLatest, kTimestamp, kCommitted, kExplicit };

  static OffsetsInitializer earliest() { return OffsetsInitializer(Kind::kEarliest); }
  /// The end at the time of resolving; under read_committed the last stable offset.
  static OffsetsInitializer latest() { return OffsetsInitializer(Kind::kLatest); }
  /// The first record at or after `time`; the end if there is none.
  static OffsetsInitializer timestamp(TimestampMs time) {
    OffsetsInitializer result(Kind::kTimestamp);
    result.timestamp_ = time;
    return result;
  }
  /// The offsets of the source's group. Needs set_group_id().
  static OffsetsInitializer committed_offsets(
      OffsetResetStrategy reset = OffsetResetStrategy::kNone) {
    OffsetsInitializer result(Kind::kCommitted);
    result.reset_ = reset;
    return result;
  }
  /// Partitions that are not named start at earliest (or, as a stop, end at latest).
  static OffsetsInitializer offsets(std::map<TopicPartition, std::int64_t> offsets) {
    OffsetsInitializer result(Kind::kExplicit);
    result.offsets_ = std::move(offsets);
    return result;
  }

  Kind kind() const { return kind_; }
  TimestampMs time() const { return timestamp_; }
  OffsetResetStrategy reset() const { return reset_; }
  const std::map<TopicPartition, std::int64_t>& explicit_offsets() const { return offsets_; }

 private:
  explicit OffsetsInitializer(Kind kind) : kind_(kind) {}

  Kind kind_;
  TimestampMs timestamp_ = 0;
  OffsetResetStrategy reset_ = OffsetResetStrategy::kNone;
  std::map<TopicPartition, std::int64_t> offsets_;
};

}  // namespace weir::kafka
