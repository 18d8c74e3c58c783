#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "checkpoint/manifest.h"
#include "weir/time.h"

namespace weir::checkpoint {

/// Names a request to whoever made it. 0 = the engine's own (periodic and final checkpoints).
using RequestId = std::uint64_t;

/// A wish for a checkpoint that waits for its turn.
struct TriggerRequest {
  RequestId request = 0;
  SnapshotKind kind = SnapshotKind::kCheckpoint;
  bool is_periodic = false;
  bool is_forced = false;    ///< may run beside others, whatever the limit says
  bool is_terminal = false;  ///< stop, or end of input
  bool is_drain = false;     ///< stop after the end of input was simulated
};

/// Flink's CheckpointRequestDecider, the queue half: savepoints before checkpoints, forced before
/// not, user before periodic, older before newer; at most kRequestsMax wait. Pure.
class TriggerQueue {
 public:
  static constexpr std::size_t kRequestsMax = 1000;

  /// Returns the request that had to go because the queue is full: the last waiting one, or the
  /// new one if it would be the last.
  std::optional<TriggerRequest> add(const TriggerRequest& request);
  /// The next request that may start, taken out. While `is_limit_reached` only a forced one may.
  std::optional<TriggerRequest> take(bool is_limit_reached);
  std::vector<TriggerRequest> take_all();
  bool has_terminal() const;
  bool has_periodic() const;
  bool empty() const { return waiting_.empty(); }
  std::size_t size() const { return waiting_.size(); }

 private:
  std::vector<TriggerRequest> waiting_;  ///< in the order of their turn
};

}  // namespace weir::checkpoint
