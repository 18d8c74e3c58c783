#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"
#include "weir/result.h"

namespace weir::checkpoint {

/// How many records crossed one end of an edge since the attempt began, and a sum over their
/// hashes that does not depend on their order. Sums of channels and subtasks add up.
struct EdgeSum {
  std::uint64_t count = 0;
  std::uint64_t hash = 0;

  /// `record_hash` = any function of the record that both ends compute alike.
  void add(std::uint64_t record_hash) {
    ++count;
    hash += mix(record_hash);
  }
  EdgeSum& operator+=(const EdgeSum& other) {
    count += other.count;
    hash += other.hash;
    return *this;
  }
  friend bool operator==(const EdgeSum&, const EdgeSum&) = default;

  /// SplitMix64's finalizer: without it two errors could cancel each other out in the sum.
  static constexpr std::uint64_t mix(std::uint64_t x) {
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
  }
};

/// What one end of an edge reported at a barrier.
struct EdgeReport {
  std::string edge;
  bool is_sender = false;
  EdgeSum sum;
};

/// Adds the reports of all subtasks up, per edge, sorted by name.
std::vector<EdgeSnapshot> sum_edges(const std::vector<EdgeReport>& reports);

/// kCorruption naming the edge and the numbers when its ends disagree.
Status check_edge(const EdgeSnapshot& edge);
/// All edges; the message lists every one that disagrees.
Status check_edges(const std::vector<EdgeSnapshot>& edges);

}  // namespace weir::checkpoint
