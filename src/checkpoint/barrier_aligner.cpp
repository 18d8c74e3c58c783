#include "checkpoint/barrier_aligner.h"

#include <algorithm>

#include "base/planted_bug.h"
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
  const bool is_new = checkpoint > highest_seen_ || (planted_bug("G1") && found == pending_.end());
  highest_seen_ = std::max(highest_seen_, checkpoint);
  if (is_new && is_cancelled(checkpoint)) {
    give_up(checkpoint, verdict);
  } else if (is_new) {
    found = begin(checkpoint, verdict);
  }
  if (found != pending_.end()) {
    add_barrier(input, found->second);
    add_logged(input, checkpoint, found->second, verdict);
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
  AlignerVerdict verdict;
  for (auto& [checkpoint, alignment] : pending_) {
    add_barrier(input, alignment);
    add_logged(input, checkpoint, alignment, verdict);
  }
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

AlignerVerdict BarrierAligner::on_announcement(std::size_t input, CheckpointId checkpoint) {
  WEIR_CHECK(input < ended_.size() && checkpoint > 0);
  AlignerVerdict verdict;
  // Barriers of the checkpoint, and of earlier ones, may still come: nothing is overtaken by this.
  if (checkpoint > highest_seen_ && !is_cancelled(checkpoint)) {
    highest_seen_ = checkpoint;
    begin(checkpoint, verdict);
  }
  return verdict;
}

bool BarrierAligner::may_overtake(CheckpointId checkpoint) const {
  const auto found = pending_.find(checkpoint);
  return found != pending_.end() && !found->second.is_overtaken;
}

AlignerVerdict BarrierAligner::overtake(CheckpointId checkpoint) {
  WEIR_CHECK(may_overtake(checkpoint));
  AlignerVerdict verdict;
  // A later one is triggered only when the earlier ones are over; word of that was slower.
  while (pending_.begin()->first < checkpoint) {
    if (!pending_.begin()->second.is_overtaken) {
      verdict.aborted.push_back(pending_.begin()->first);
    }
    pending_.erase(pending_.begin());
  }
  Alignment& alignment = pending_.begin()->second;
  alignment.is_overtaken = true;
  alignment.is_logged = alignment.has_barrier;
  alignment.logged_count = alignment.count;
  if (alignment.logged_count == ended_.size()) {
    verdict.logged.push_back(checkpoint);
  }
  complete_full(verdict);
  recompute_blocked(verdict);
  return verdict;
}

bool BarrierAligner::is_logging(std::size_t input) const {
  return std::any_of(pending_.begin(), pending_.end(), [&](const auto& entry) {
    return entry.second.is_overtaken && !entry.second.is_logged[input] && !planted_bug("G_log");
  });
}

AlignerVerdict BarrierAligner::on_logged(std::size_t input) {
  AlignerVerdict verdict;
  const CheckpointId checkpoint = logging_checkpoint();
  WEIR_CHECK(checkpoint != 0 && is_logging(input));
  add_logged(input, checkpoint, pending_.at(checkpoint), verdict);
  return verdict;
}

CheckpointId BarrierAligner::logging_checkpoint() const {
  for (const auto& [checkpoint, alignment] : pending_) {
    if (alignment.is_overtaken && alignment.logged_count < ended_.size()) {
      return checkpoint;
    }
  }
  return 0;
}

BarrierAligner::PendingMap::iterator BarrierAligner::begin(CheckpointId checkpoint,
                                                           AlignerVerdict& verdict) {
  verdict.started.push_back(checkpoint);
  Alignment alignment;
  alignment.has_barrier = ended_;
  alignment.count = ended_count_;
  return pending_.emplace(checkpoint, std::move(alignment)).first;
}

void BarrierAligner::add_barrier(std::size_t input, Alignment& alignment) const {
  if (!alignment.has_barrier[input]) {
    alignment.has_barrier[input] = true;
    ++alignment.count;
  }
}

void BarrierAligner::add_logged(std::size_t input, CheckpointId checkpoint, Alignment& alignment,
                                AlignerVerdict& verdict) const {
  if (!alignment.is_overtaken || alignment.is_logged[input]) {
    return;
  }
  alignment.is_logged[input] = true;
  if (++alignment.logged_count == ended_.size()) {
    verdict.logged.push_back(checkpoint);
  }
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
    if (at->second.has_barrier[input] || planted_bug("G8")) {
      ++at;
    } else {
      // The snapshot of an overtaken one is taken already: it ends without its log.
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
    if (at->second.count + (planted_bug("N20") ? 1 : 0) < ended_.size()) {
      ++at;
      continue;
    }
    if (!at->second.is_overtaken) {
      verdict.aligned.push_back(at->first);
    }
    at = pending_.erase(at);
  }
}

void BarrierAligner::recompute_blocked(AlignerVerdict& verdict) {
  if (mode_ == AlignmentMode::kAtLeastOnce) {
    return;
  }
  // A blocked input delivers nothing, so a marker of a later checkpoint on another input has ended
  // the earlier one, or overtook it: at most one holds inputs back.
  const Alignment* aligning = nullptr;
  for (const auto& [checkpoint, alignment] : pending_) {
    if (!alignment.is_overtaken && alignment.count > ended_count_) {
      WEIR_CHECK(aligning == nullptr);
      aligning = &alignment;
    }
  }
  for (std::size_t input = 0; input < blocked_.size(); ++input) {
    const bool is_blocked = aligning != nullptr && !ended_[input] && aligning->has_barrier[input];
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
