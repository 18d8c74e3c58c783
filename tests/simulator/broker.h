#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "weir/result.h"
#include "weir/sink.h"
#include "weir/time.h"

namespace weir::simulator {

/// A record: the `sequence`-th of its key.
struct Record {
  int key = 0;
  int sequence = 0;
};

/// The external system of all sinks, as a transactional log has it: records take their places in
/// the log when they are written, in transactions that stay open until they are committed, aborted
/// or expired; a marker is written in the same transaction. Its committed output is checked at each
/// commit, for the order in the log too.
class Broker {
 public:
  explicit Broker(int key_count, int sink_count);

  /// kFenced when a higher attempt has fenced the sink.
  Result<std::int64_t> open(int sink, AttemptId attempt, TimestampMs now_ms);
  /// kFenced or kLost when the transaction is no longer open.
  Status append(std::int64_t transaction, const std::vector<Record>& records);
  /// kCommitted, kAlreadyCommitted, or kLost when it was aborted and its marker is absent. A replay
  /// that is open under its id is aborted.
  CommitOutcome commit(std::int64_t transaction);
  /// Writes the records of an aborted transaction once more, whoever asks, unless its marker is
  /// there: kAlreadyCommitted. What an earlier replay left open is aborted. `replay` names it.
  CommitOutcome begin_replay(std::int64_t transaction, AttemptId attempt,
                             const std::vector<Record>& records, TimestampMs now_ms, int& replay);
  /// kCommitted, or kFenced when it is no longer open.
  Result<CommitOutcome> commit_replay(std::int64_t transaction, int replay);
  /// Fences lower attempts and aborts what they left open.
  void abort_orphans(int sink, AttemptId attempt);
  void abort(std::int64_t transaction);
  void expire(TimestampMs opened_before_ms);

  int open_count() const;
  /// Records committed so far, over all sinks.
  std::int64_t committed_count() const { return committed_count_; }
  /// The next expected sequence of a key in a sink's output.
  int next_of(int sink, int key) const;
  /// Commits may only happen for transactions that a published manifest named.
  void allow_commit(std::int64_t transaction) { allowed_.insert(transaction); }
  /// Not empty: what the committed output shows to be wrong.
  const std::string& broken() const { return broken_; }

 private:
  enum class State { kOpen, kCommitted, kAborted };
  struct Written {
    Record record;
    std::int64_t offset = 0;
  };
  struct Transaction {
    int sink = 0;
    AttemptId attempt = 0;
    State state = State::kOpen;
    TimestampMs opened_ms = 0;
    std::vector<Written> records;
    int replay = 0;  ///< how often it was begun anew
  };
  struct OfKey {
    int next = 0;
    std::int64_t last_offset = -1;
  };

  void write(Transaction& to, const std::vector<Record>& records);
  CommitOutcome apply(std::int64_t transaction, Transaction& of);

  std::map<std::int64_t, Transaction> transactions_;
  std::int64_t next_transaction_ = 1;
  std::set<std::int64_t> markers_;
  std::set<std::int64_t> allowed_;
  std::int64_t end_offset_ = 0;
  std::vector<AttemptId> fence_;             ///< per sink
  std::vector<std::vector<OfKey>> of_keys_;  ///< per sink and key
  std::int64_t committed_count_ = 0;
  std::string broken_;
};

}  // namespace weir::simulator
