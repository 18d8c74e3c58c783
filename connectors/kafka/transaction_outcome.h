#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "weir/sink.h"
#include "weir/time.h"

namespace weir::kafka {

/// What the transaction coordinator said to EndTxn(commit, stored id and epoch).
enum class EndTxnAnswer {
  kDone,             ///< NONE: decided now, or complete since an earlier try
  kInProgress,       ///< CONCURRENT_TRANSACTIONS: a decision is being written to the partitions
  kTryElsewhere,     ///< the coordinator moved or loads
  kNoAnswer,         ///< connection lost or timed out: it may have arrived
  kInvalidState,     ///< INVALID_TXN_STATE: aborted, or nothing was open
  kFenced,           ///< the id was initialised again, or the broker's timeout fenced it
  kUnknownProducer,  ///< another producer id holds the id, or the broker forgot it
  kNotAllowed,       ///< missing ACL
  kOther,
};
EndTxnAnswer classify_end_txn(std::int16_t error_code);

/// The marker: the offset that the sink wrote into its marker group within the same transaction.
struct Marker {
  CheckpointId checkpoint = 0;
  AttemptId attempt = 0;
  std::int64_t incarnation = 0;  ///< the line of the job: CommittableId::incarnation
  LineageEntry from;             ///< where that line branched off; checkpoint 0 = nowhere
};
/// Where line `incarnation` branched off, as far as a job with `lineage` knows.
LineageEntry branch_of(const Lineage& lineage, std::int64_t incarnation);
/// "weir1 checkpoint=7 attempt=3 incarnation=9", for a line that branched off " from=5 at=6" too;
/// kept as the metadata of the marker's offset.
std::string marker_metadata(const Marker& marker);
/// Nothing if the text is not of that form or disagrees with `offset`.
std::optional<Marker> parse_marker(std::int64_t offset, std::string_view metadata);

/// What reading the marker group gave.
struct MarkerFact {
  enum class State {
    kUnread,    ///< not asked yet
    kUnstable,  ///< a transaction on the marker is still open
    kAbsent,    ///< the group holds no marker
    kPresent,
    kForeign,  ///< the group holds an offset that no weir sink wrote
  };
  State state = State::kUnread;
  Marker marker;
};

/// The epoch in question.
struct PreparedEpoch {
  CheckpointId checkpoint = 0;
  AttemptId attempt = 0;
  std::int64_t age_ms = 0;               ///< since it was prepared
  std::int64_t marker_retention_ms = 0;  ///< how long the broker keeps group offsets
  std::int64_t incarnation = 0;
  Lineage lineage;  ///< of the job that asks
};

enum class TransactionVerdict {
  kCommitted,         ///< the coordinator confirmed it
  kAlreadyCommitted,  ///< the marker proves an earlier commit
  kRetry,             ///< open: ask again with the same identity
  kReadMarker,        ///< EndTxn proves nothing; the marker is needed
  kFence,    ///< decided, but a later holder of the id hides the marker: fence it, read again
  kAborted,  ///< proved: nothing of the epoch is visible. Fence, read once more, replay
  kUnknown,  ///< nothing here proves either; keep everything and stop
};
std::string_view verdict_name(TransactionVerdict verdict);

/// Judges one epoch. Pure; the table is in docs/formats/kafka.md.
///
/// It relies on two rules of the engine: a transactional id is not used again before the outcome of
/// its transaction was proved, so a marker of a later checkpoint proves this one; and checkpoint
/// numbers and attempts only rise along one line of the job. A marker of a line that lies in the
/// job's past stands where a marker of the epoch would have replaced it. A line that branched off
/// behind the epoch committed it before it wrote anything. Any other line proves nothing.
TransactionVerdict judge_transaction(EndTxnAnswer answer, const MarkerFact& marker,
                                     const PreparedEpoch& epoch);

}  // namespace weir::kafka
