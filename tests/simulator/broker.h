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

/// The external system of all sinks, as a transactional log has it: transactions that stay open
/// until they are committed, aborted or expired; a marker written in the same transaction; fencing
/// by attempt. Its committed output is checked at each commit.
class Broker {
 public:
  explicit Broker(int key_count, int sink_count);

  /// kFenced when a higher attempt has fenced the sink.
  Result<std::int64_t> open(int sink, AttemptId attempt, TimestampMs now_ms);
  /// kFenced or kLost when the transaction is no longer open.
  Status append(std::int64_t transaction, const std::vector<Record>& records);
  /// kCommitted, kAlreadyCommitted, or kLost when it was aborted and its marker is absent.
  CommitOutcome commit(std::int64_t transaction);
  /// Writes records and marker of an aborted transaction again, unless the marker is there.
  Result<CommitOutcome> replay(int sink, std::int64_t transaction, AttemptId attempt,
                               const std::vector<Record>& records);
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
  struct Transaction {
    int sink = 0;
    AttemptId attempt = 0;
    State state = State::kOpen;
    TimestampMs opened_ms = 0;
    std::vector<Record> records;
  };

  void apply(std::int64_t transaction, int sink, const std::vector<Record>& records);

  std::map<std::int64_t, Transaction> transactions_;
  std::int64_t next_transaction_ = 1;
  std::set<std::int64_t> markers_;
  std::set<std::int64_t> allowed_;
  std::vector<AttemptId> fence_;        ///< per sink
  std::vector<std::vector<int>> next_;  ///< per sink and key
  std::int64_t committed_count_ = 0;
  std::string broken_;
};

}  // namespace weir::simulator
