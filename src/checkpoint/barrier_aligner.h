#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <vector>

#include "weir/time.h"

namespace weir::checkpoint {

enum class AlignmentMode {
  kExactlyOnce,  ///< inputs that are ahead are blocked
  kAtLeastOnce,  ///< barriers are counted, nothing is blocked
};

/// What one event decided, in the order in which the gate acts on it: forward a cancel marker for
/// each of `aborted`, take the snapshots of `aligned` (ascending) and forward their barriers, then
/// read is_blocked() again if `has_blocking_changed`.
struct AlignerVerdict {
  std::vector<CheckpointId> aborted;
  std::vector<CheckpointId> aligned;
  /// First sign of these checkpoints: alignment time counts from here.
  std::vector<CheckpointId> started;
  /// The logs of these overtaken checkpoints hold everything now that their barriers overtook.
  std::vector<CheckpointId> logged;
  bool has_blocking_changed = false;
};

/// Holds back inputs that are ahead until one checkpoint's barrier has reached every input, or
/// lets a checkpoint's barrier overtake what is under way (an unaligned checkpoint).
/// Pure logic: no threads, no clock, no I/O. Handles several checkpoints under way.
///
/// Markers of one input arrive in the order of their checkpoints. So a marker (barrier or cancel)
/// of checkpoint N on an input tells that no earlier barrier will follow there: what still waits
/// for that input is aborted.
///
/// Overtaking (Chandy and Lamport 1985, as in Flink's unaligned checkpoints): the snapshot is taken
/// at overtake(); what each input still delivers ahead of its barrier is part of the checkpoint and
/// has to be logged (is_logging) until on_logged() or the barrier itself comes. The barrier itself
/// decides nothing any more.
///
/// Invariants: an input is blocked only while another one still owes the pending barrier; each
/// checkpoint is aligned, overtaken or aborted at most once, the first two with rising numbers;
/// at most one checkpoint is logging.
class BarrierAligner {
 public:
  BarrierAligner(std::size_t input_count, AlignmentMode mode);

  /// A barrier was read from `input`. REQUIRES: !is_blocked(input) and the input has not ended.
  AlignerVerdict on_barrier(std::size_t input, CheckpointId checkpoint);
  /// A cancel marker was read from `input`: upstream gave the checkpoint up. Same REQUIRES.
  AlignerVerdict on_cancel(std::size_t input, CheckpointId checkpoint);
  /// `input` has ended: counts as having delivered every pending and future barrier.
  AlignerVerdict on_end_of_input(std::size_t input);
  /// The coordinator gave the checkpoint up. Its later barriers start nothing; the first of them
  /// is answered with `aborted`, so that nobody downstream waits.
  AlignerVerdict abort(CheckpointId checkpoint);

  /// The barrier is somewhere in `input`, behind what it may overtake.
  AlignerVerdict on_announcement(std::size_t input, CheckpointId checkpoint);
  /// True when overtake() may be called: begun, and neither over nor overtaken.
  bool may_overtake(CheckpointId checkpoint) const;
  /// The snapshot is taken now, whatever is still under way. Unblocks the inputs; gives earlier
  /// checkpoints up. REQUIRES: may_overtake(checkpoint).
  AlignerVerdict overtake(CheckpointId checkpoint);
  /// True when what is read from `input` belongs to the log of an overtaken checkpoint.
  bool is_logging(std::size_t input) const;
  /// Everything ahead of the barrier in `input` is in the log. REQUIRES: is_logging(input).
  AlignerVerdict on_logged(std::size_t input);
  /// The checkpoint whose log is not complete yet; 0 = none.
  CheckpointId logging_checkpoint() const;

  bool is_blocked(std::size_t input) const { return blocked_[input]; }
  bool has_ended(std::size_t input) const { return ended_[input]; }
  bool have_all_ended() const { return ended_count_ == ended_.size(); }
  std::size_t input_count() const { return ended_.size(); }
  /// Checkpoints with some but not all barriers, ascending.
  std::vector<CheckpointId> pending() const;
  /// Inputs that still owe the barrier of a pending checkpoint.
  std::vector<std::size_t> inputs_missing(CheckpointId checkpoint) const;

 private:
  struct Alignment {
    std::vector<bool> has_barrier;
    std::size_t count = 0;
    bool is_overtaken = false;
    std::vector<bool> is_logged;  ///< of an overtaken one: has_barrier, or on_logged()
    std::size_t logged_count = 0;
  };

  using PendingMap = std::map<CheckpointId, Alignment>;

  PendingMap::iterator begin(CheckpointId checkpoint, AlignerVerdict& verdict);
  void add_barrier(std::size_t input, Alignment& alignment) const;
  void add_logged(std::size_t input, CheckpointId checkpoint, Alignment& alignment,
                  AlignerVerdict& verdict) const;

  /// Earlier checkpoints that still wait for `input` cannot complete any more.
  void abort_overtaken(std::size_t input, CheckpointId checkpoint, AlignerVerdict& verdict);
  void give_up(CheckpointId checkpoint, AlignerVerdict& verdict);
  void complete_full(AlignerVerdict& verdict);
  void recompute_blocked(AlignerVerdict& verdict);
  bool is_cancelled(CheckpointId checkpoint) const { return cancelled_.contains(checkpoint); }
  void remember_cancelled(CheckpointId checkpoint);

  const AlignmentMode mode_;
  std::vector<bool> ended_;
  std::size_t ended_count_ = 0;
  std::vector<bool> blocked_;
  PendingMap pending_;
  /// Highest checkpoint of which a marker was seen: an unknown lower one is over.
  CheckpointId highest_seen_ = 0;
  std::set<CheckpointId> cancelled_;  ///< by the coordinator, above highest_seen_; bounded
};

}  // namespace weir::checkpoint
