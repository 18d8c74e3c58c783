#include "checkpoint/barrier_aligner.h"

#include <algorithm>

#include "weir/check.h"

namespace weir::checkpoint {
namespace {

/// Aborted checkpoints whose barriers have not come. The coordinator has few of them under way at
/// a time; a forgotten one only costs an alignment that upstream will cancel or overtake.
constexpr std::size_t kCancelledMax = 1024;

}  // namespace

BarrierAligner::BarrierAligner(std::size_t input_count, AlignmentMode mode)
    : mode_(mode), ended_(input_count, false), blocked_(input_count, false) {
  WEIR_CHECK(input_count > 0);
}

AlignerVerdict BarrierAligner::on_barrier(std::size_t input, CheckpointId checkpoint) {
  WEIR_CHECK(input < ended_.size() && !blocked_[input] && !ended_[input] && checkpoint > 0);
  AlignerVerdict verdict;
  abort_overtaken(input, checkpoint, verdict);
  auto found = pending_.find(checkpoint);
  const bool is_new = checkpoint > highest_seen_;
  highest_seen_ = std::max(highest_seen_, checkpoint);
  if (is_new && is_cancelled(checkpoint)) {
    give_up(checkpoint, verdict);
  } else if (is_new) {
    found = pending_.emplace(checkpoint, Alignment{ended_, ended_count_}).first;
    verdict.started.push_back(checkpoint);
  }
  if (found != pending_.end() && !found->second.has_barrier[input]) {
    found->second.has_barrier[input] = true;
    ++found->second.count;
  }
  complete_full(verdict);
  recompute_blocked(verdict);
  return verdict;
}

AlignerVerdict BarrierAligner::on_cancel(std::size_t input, CheckpointId checkpoint) {
  WEIR_CHECK(input < ended_.size() && !blocked_[input] && !ended_[input] && checkpoint > 0);
  AlignerVerdict verdict;
  abort_overtaken(input, checkpoint, verdict);
  const bool is_first = checkpoint > highest_seen_;
  highest_seen_ = std::max(highest_seen_, checkpoint);
  if (pending_.erase(checkpoint) > 0 || is_first) {
    give_up(checkpoint, verdict);
  }
  recompute_blocked(verdict);
  return verdict;
}

AlignerVerdict BarrierAligner::on_end_of_input(std::size_t input) {
  WEIR_CHECK(input < ended_.size() && !blocked_[input] && !ended_[input]);
  ended_[input] = true;
  ++ended_count_;
  for (auto& [checkpoint, alignment] : pending_) {
    if (!alignment.has_barrier[input]) {
      alignment.has_barrier[input] = true;
      ++alignment.count;
    }
  }
  AlignerVerdict verdict;
  complete_full(verdict);
  recompute_blocked(verdict);
  return verdict;
}

AlignerVerdict BarrierAligner::abort(CheckpointId checkpoint) {
  AlignerVerdict verdict;
  if (pending_.erase(checkpoint) > 0) {
    give_up(checkpoint, verdict);
  } else if (checkpoint > highest_seen_) {
    // Told downstream when its barrier comes: a marker must not run ahead of earlier barriers.
    remember_cancelled(checkpoint);
  }
  recompute_blocked(verdict);
  return verdict;
}

std::vector<CheckpointId> BarrierAligner::pending() const {
  std::vector<CheckpointId> ids;
  for (const auto& [checkpoint, alignment] : pending_) {
    ids.push_back(checkpoint);
  }
  return ids;
}

std::vector<std::size_t> BarrierAligner::inputs_missing(CheckpointId checkpoint) const {
  std::vector<std::size_t> inputs;
  const auto found = pending_.find(checkpoint);
  if (found != pending_.end()) {
    for (std::size_t input = 0; input < ended_.size(); ++input) {
      if (!found->second.has_barrier[input]) {
        inputs.push_back(input);
      }
    }
  }
  return inputs;
}

void BarrierAligner::abort_overtaken(std::size_t input, CheckpointId checkpoint,
                                     AlignerVerdict& verdict) {
  for (auto at = pending_.begin(); at != pending_.end() && at->first < checkpoint;) {
    if (at->second.has_barrier[input]) {
      ++at;
    } else {
      verdict.aborted.push_back(at->first);
      at = pending_.erase(at);
    }
  }
}

void BarrierAligner::give_up(CheckpointId checkpoint, AlignerVerdict& verdict) {
  // While an earlier barrier is still to be forwarded, a cancel marker would tell downstream that
  // it will not come. Downstream learns of the abort from the coordinator in this case.
  if (pending_.empty() || pending_.begin()->first > checkpoint) {
    verdict.aborted.push_back(checkpoint);
  }
}

void BarrierAligner::complete_full(AlignerVerdict& verdict) {
  for (auto at = pending_.begin(); at != pending_.end();) {
    if (at->second.count < ended_.size()) {
      ++at;
      continue;
    }
    verdict.aligned.push_back(at->first);
    at = pending_.erase(at);
  }
}

void BarrierAligner::recompute_blocked(AlignerVerdict& verdict) {
  if (mode_ == AlignmentMode::kAtLeastOnce) {
    return;
  }
  // A blocked input delivers nothing, so all but one of several pending ones were overtaken.
  WEIR_CHECK(pending_.size() <= 1);
  for (std::size_t input = 0; input < blocked_.size(); ++input) {
    const bool is_blocked = !pending_.empty() && !ended_[input] &&
                            pending_.begin()->second.has_barrier[input];
    if (blocked_[input] != is_blocked) {
      blocked_[input] = is_blocked;
      verdict.has_blocking_changed = true;
    }
  }
}

void BarrierAligner::remember_cancelled(CheckpointId checkpoint) {
  while (!cancelled_.empty() && *cancelled_.begin() <= highest_seen_) {
    cancelled_.erase(cancelled_.begin());
  }
  if (cancelled_.size() >= kCancelledMax) {
    cancelled_.erase(cancelled_.begin());
  }
  cancelled_.insert(checkpoint);
}

}  // namespace weir::checkpoint
