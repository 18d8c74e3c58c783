#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "weir/result.h"
#include "weir/sink.h"
#include "weir/time.h"

namespace weir::checkpoint {

/// Names one committable within one ledger.
using CommitTicket = std::uint64_t;

struct CommitLedgerOptions {
  std::int64_t backoff_initial_ms = 100;
  std::int64_t backoff_max_ms = 10'000;
  double backoff_multiplier = 2.0;
  /// A committable not proved so long after its first try, or its latest progress, fails the job.
  /// -1 = never.
  std::int64_t deadline_ms = 10 * 60 * 1000;
  /// sink.committer.retries: so many retries of one commit whose outcome was never unknown, then the
  /// job fails over. -1 = any number.
  int retries_max = -1;
};

/// Call Committer::commit of the sink and bring the answer to on_result.
struct StartCommit {
  CommitTicket ticket = 0;
  Committable committable;
};
/// Call on_time not later than this.
struct WakeLedgerAt {
  TimestampMs at_ms = 0;
};
/// Every restored committable of the sink is proved: abort_orphans may run, writers may open.
struct RestoredDone {
  std::string sink_uid;
};
/// Every commit of checkpoints up to this one is proved. After a terminal checkpoint the tasks
/// may end.
struct CommittedUpTo {
  CheckpointId checkpoint = 0;
};
/// Nothing more is committed by this ledger. What is outstanding stays outstanding.
struct StopOnCommit {
  ErrorCode code = ErrorCode::kLost;  ///< kLost, kUnknownOutcome, or what the committer said
  std::string reason;                 ///< names sink, subtask and epoch
};

using LedgerAction =
    std::variant<StartCommit, WakeLedgerAt, RestoredDone, CommittedUpTo, StopOnCommit>;
using LedgerActions = std::vector<LedgerAction>;

/// Keeps every prepared epoch until its commit is proved, and says which commits may start.
/// Pure: no threads, no clock, no I/O. One per attempt, for all sinks.
///
/// Invariants: no commit starts before a manifest with it was published; per sink and subtask at
/// most one commit is under way and they start in the order of checkpoints, each after the one
/// before it was proved; no new committable of a sink starts before all restored ones are proved;
/// a committable leaves only by proof.
class CommitLedger {
 public:
  explicit CommitLedger(CommitLedgerOptions options = {}) : options_(options) {}

  /// Committables of the restored manifest: to be committed now. Call once, before anything else,
  /// with all sinks of the job. Emits RestoredDone at once for a sink that has none.
  LedgerActions restore(const std::vector<std::string>& sink_uids,
                        const std::vector<Committable>& committables, TimestampMs now_ms);

  /// Committables from an acknowledgement. Those of late and refused acknowledgements belong here
  /// too: what was prepared for an aborted checkpoint is covered by the next complete one.
  void add(std::vector<Committable> committables);

  /// A manifest naming outstanding(checkpoint) was published.
  LedgerActions on_checkpoint_complete(CheckpointId checkpoint, TimestampMs now_ms);

  /// The committer's answer. Any Error other than transient ones and kUnknownOutcome stops.
  LedgerActions on_result(CommitTicket ticket, const Result<CommitResult>& result,
                          TimestampMs now_ms);
  LedgerActions on_time(TimestampMs now_ms);

  /// Everything not proved that belongs into the manifest of `checkpoint`: prepared for it or
  /// earlier, in the order in which it will be committed.
  std::vector<Committable> outstanding(CheckpointId checkpoint) const;
  std::size_t outstanding_count() const;
  bool is_restored_done(const std::string& sink_uid) const;
  bool are_all_restored_done() const;
  /// True when everything prepared for checkpoints up to `checkpoint` is proved.
  bool is_committed_up_to(CheckpointId checkpoint) const;
  bool is_stopped() const { return is_stopped_; }
  /// Failed tries since the start, and the oldest eligible commit's first try: a sink that lands
  /// nothing must show.
  std::int64_t retries() const { return retries_; }
  std::optional<TimestampMs> oldest_first_try_ms() const;
  TimestampMs next_wake_ms() const;

 private:
  struct Entry {
    CommitTicket ticket = 0;
    Committable committable;
    bool is_restored = false;
    bool is_in_flight = false;
    bool was_unknown = false;  ///< some try ended without an answer
    int tries = 0;
    TimestampMs first_try_ms = kMaxTimestamp;
    TimestampMs not_before_ms = kMinTimestamp;
  };
  /// Commits of one sink and subtask in order. Restored ones come first.
  using LaneKey = std::pair<std::string, int>;
  using Lane = std::vector<Entry>;

  void insert(Committable committable, bool is_restored);
  Entry* find(CommitTicket ticket, LaneKey& lane);
  bool may_start(const LaneKey& lane, const Entry& entry) const;
  void start_due(TimestampMs now_ms, LedgerActions& out);
  void proved(const LaneKey& lane, CommitTicket ticket, LedgerActions& out);
  void retry(Entry& entry, const std::string& detail, bool is_unknown, TimestampMs now_ms,
             LedgerActions& out);
  void stop(const Entry& entry, ErrorCode code, const std::string& detail, LedgerActions& out);
  void report_progress(LedgerActions& out);
  std::int64_t backoff_ms(int tries) const;

  const CommitLedgerOptions options_;
  std::map<LaneKey, Lane> lanes_;
  std::map<CommitTicket, LaneKey> lane_of_;
  std::map<std::string, int> restored_left_;  ///< per sink
  CommitTicket next_ticket_ = 1;
  CheckpointId completed_ = 0;
  CheckpointId reported_ = 0;
  std::int64_t retries_ = 0;
  bool is_stopped_ = false;
};

}  // namespace weir::checkpoint
