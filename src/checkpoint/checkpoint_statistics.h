#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "weir/time.h"

namespace weir::checkpoint {

/// Sizes of a published checkpoint, for the metrics.
struct PublishedSizes {
  std::uint64_t size_bytes = 0;       ///< written for this checkpoint
  std::uint64_t full_size_bytes = 0;  ///< everything its manifest names
  std::uint64_t metadata_size_bytes = 0;
};

/// Counters of one job; field by field Flink's metrics. Times are of the coordinator's clock.
struct CheckpointStatistics {
  std::int64_t total_number_of_checkpoints = 0;
  std::int64_t number_of_in_progress_checkpoints = 0;
  std::int64_t number_of_completed_checkpoints = 0;
  std::int64_t number_of_failed_checkpoints = 0;
  CheckpointId last_completed_checkpoint_id = 0;
  std::int64_t last_checkpoint_duration_ms = 0;
  std::uint64_t last_checkpoint_size_bytes = 0;
  std::uint64_t last_checkpoint_full_size_bytes = 0;
  std::uint64_t last_checkpoint_metadata_size_bytes = 0;
  TimestampMs last_checkpoint_completed_ms = 0;
};

/// The same under Flink's metric names.
inline std::vector<std::pair<std::string_view, std::int64_t>> metrics_of(
    const CheckpointStatistics& s) {
  return {
      {"totalNumberOfCheckpoints", s.total_number_of_checkpoints},
      {"numberOfInProgressCheckpoints", s.number_of_in_progress_checkpoints},
      {"numberOfCompletedCheckpoints", s.number_of_completed_checkpoints},
      {"numberOfFailedCheckpoints", s.number_of_failed_checkpoints},
      {"lastCompletedCheckpointId", s.last_completed_checkpoint_id},
      {"lastCheckpointDuration", s.last_checkpoint_duration_ms},
      {"lastCheckpointSize", static_cast<std::int64_t>(s.last_checkpoint_size_bytes)},
      {"lastCheckpointFullSize", static_cast<std::int64_t>(s.last_checkpoint_full_size_bytes)},
      {"lastCheckpointMetadataSize",
       static_cast<std::int64_t>(s.last_checkpoint_metadata_size_bytes)},
      {"lastCheckpointCompletedTimestamp", s.last_checkpoint_completed_ms},
  };
}

}  // namespace weir::checkpoint
