#pragma once

#include <cstdint>

#include "weir/batch.h"

namespace weir::runtime {

/// Count and order-free hash of the records that crossed an edge since the attempt began. Sender
/// and receiver each keep one; a checkpoint completes only if they agree, which turns a record lost
/// or doubled between tasks into a failure. Never reset: an aborted checkpoint's barrier may have
/// been seen by one end only.
///
/// A record's hash mixes its event time with its key hash or, where records have no key, with the
/// hash of their content, so that neither a record exchanged for another one nor values exchanged
/// between records cancel out. How records are cut into batches makes no difference.
struct EdgeSums {
  std::uint64_t count = 0;
  std::uint64_t hash = 0;

  void add(const Batch& batch);
};

/// The sums of one edge in one subtask.
struct EdgeReport {
  int edge = 0;
  EdgeSums sums;
};

}  // namespace weir::runtime
