#pragma once

#include <algorithm>

#include "runtime/execution_plan.h"

namespace weir::runtime {

/// Whether a sender's subtask has a channel to a receiver's subtask. Pointwise patterns connect
/// neighbours only; all others connect everybody.
constexpr bool is_connected(Partitioning partitioning, int sender, int senders, int receiver,
                            int receivers) {
  switch (partitioning) {
    case Partitioning::kForward:
      return sender == receiver;
    case Partitioning::kRescale:
      return senders <= receivers ? receiver * senders / receivers == sender
                                  : sender * receivers / senders == receiver;
    case Partitioning::kGlobal:  // records go to 0 only, barriers and watermarks to everybody
    case Partitioning::kHash:
    case Partitioning::kRebalance:
    case Partitioning::kBroadcast:
      return true;
  }
  return true;
}

/// Whether a barrier may overtake records between these operators. Pointwise and broadcast edges
/// cannot: their records could not be dealt out again at another parallelism (Flink's rule).
constexpr bool can_overtake(Partitioning partitioning) {
  return partitioning == Partitioning::kHash || partitioning == Partitioning::kRebalance ||
         partitioning == Partitioning::kGlobal;
}

/// Whether barriers may overtake the input of a vertex: one edge that cannot, or whose records
/// cannot be stored, makes all of them wait.
inline bool can_overtake_into(const ExecutionPlan& plan, const PlanVertex& vertex) {
  return std::all_of(vertex.input_edges.begin(), vertex.input_edges.end(), [&](int id) {
    const PlanEdge& edge = plan.edges[static_cast<std::size_t>(id)];
    return can_overtake(edge.partitioning) && edge.record != nullptr &&
           edge.record->encode != nullptr;
  });
}

}  // namespace weir::runtime
