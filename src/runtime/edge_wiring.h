#pragma once

#include "weir/stream_graph.h"

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

}  // namespace weir::runtime
