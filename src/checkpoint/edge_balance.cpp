#include "checkpoint/edge_balance.h"

#include <map>
#include <utility>

namespace weir::checkpoint {

std::vector<EdgeSnapshot> sum_edges(const std::vector<EdgeReport>& reports) {
  std::map<std::string, std::pair<EdgeSum, EdgeSum>> sums;
  for (const EdgeReport& report : reports) {
    auto& [sender, receiver] = sums[report.edge];
    (report.is_sender ? sender : receiver) += report.sum;
  }
  std::vector<EdgeSnapshot> edges;
  edges.reserve(sums.size());
  for (const auto& [name, ends] : sums) {
    edges.push_back({name, ends.first.count, ends.first.hash, ends.second.count, ends.second.hash});
  }
  return edges;
}

Status check_edge(const EdgeSnapshot& edge) {
  if (edge.sender_count == edge.receiver_count && edge.sender_hash == edge.receiver_hash) {
    return {};
  }
  return Error{ErrorCode::kCorruption,
               "edge '" + edge.name + "' is out of balance: " + std::to_string(edge.sender_count) +
                   " records sent (hash " + std::to_string(edge.sender_hash) + "), " +
                   std::to_string(edge.receiver_count) + " received (hash " +
                   std::to_string(edge.receiver_hash) + ")"};
}

Status check_edges(const std::vector<EdgeSnapshot>& edges) {
  std::string message;
  for (const EdgeSnapshot& edge : edges) {
    const Status status = check_edge(edge);
    if (!status.ok()) {
      message += (message.empty() ? "" : "; ") + status.error().message;
    }
  }
  return message.empty() ? Status() : Status(Error{ErrorCode::kCorruption, message});
}

}  // namespace weir::checkpoint
