#pragma once

#include <cstdint>

#include "weir/batch.h"

namespace weir::runtime {

/// Count and order-free hash of the records that crossed an edge since the attempt began. Sender
/// and receiver each keep one; a checkpoint completes only if they agree, which turns a record lost
/// or doubled between tasks into a failure. Never reset: an aborted checkpoint's barrier may have
/// been seen by one end only.
struct EdgeSums {
  std::uint64_t count = 0;
  std::uint64_t hash = 0;

  void add(const Batch& batch) {
    const std::size_t size = batch.size();
    std::uint64_t sum = 0;
    const TimestampMs* const timestamps = batch.timestamps();
    for (std::size_t i = 0; i < size; ++i) {
      const auto time = static_cast<std::uint64_t>(timestamps[i]);
      sum += time ^ (time << 17);
    }
    if (batch.is_keyed()) {
      const std::uint32_t* const hashes = batch.key_hashes();
      for (std::size_t i = 0; i < size; ++i) {
        sum += hashes[i] * std::uint64_t{0x9E3779B1};
      }
    }
    hash += sum;
    count += size;
  }
};

/// The sums of one edge in one subtask.
struct EdgeReport {
  int edge = 0;
  EdgeSums sums;
};

}  // namespace weir::runtime
