#pragma once

#include <chrono>
#include <cstdint>
#include <limits>

namespace weir {

/// Event or processing time: signed milliseconds since the Unix epoch.
using TimestampMs = std::int64_t;
using DurationMs = std::chrono::milliseconds;

/// "No time yet": the watermark before the first one, the timestamp of a record without one.
inline constexpr TimestampMs kMinTimestamp = std::numeric_limits<TimestampMs>::min();
/// The final watermark: no record follows.
inline constexpr TimestampMs kMaxTimestamp = std::numeric_limits<TimestampMs>::max();

/// Number of a checkpoint; rises strictly over the whole life of a job, also across restarts.
using CheckpointId = std::int64_t;
/// Number of the present run of a job; raised by every start and restart.
using AttemptId = std::int64_t;

}  // namespace weir
