#include "simulator/broker.h"

#include <algorithm>

#include "base/planted_bug.h"

namespace weir::simulator {

Broker::Broker(int key_count, int sink_count)
    : fence_(static_cast<std::size_t>(sink_count), 0),
      of_keys_(static_cast<std::size_t>(sink_count),
               std::vector<OfKey>(static_cast<std::size_t>(key_count))) {}

Result<std::int64_t> Broker::open(int sink, AttemptId attempt, TimestampMs now_ms) {
  if (attempt < fence_[static_cast<std::size_t>(sink)]) {
    return Error{ErrorCode::kFenced, "a newer attempt has fenced the sink"};
  }
  const std::int64_t id = next_transaction_++;
  transactions_[id] = {sink, attempt, State::kOpen, now_ms, {}, 0};
  return id;
}

Status Broker::append(std::int64_t transaction, const std::vector<Record>& records) {
  Transaction& to = transactions_.at(transaction);
  if (to.state != State::kOpen) {
    return Error{to.attempt < fence_[static_cast<std::size_t>(to.sink)] ? ErrorCode::kFenced
                                                                        : ErrorCode::kLost,
                 "the transaction was aborted"};
  }
  write(to, records);
  return {};
}

void Broker::write(Transaction& to, const std::vector<Record>& records) {
  for (const Record& record : records) {
    to.records.push_back({record, end_offset_++});
  }
}

CommitOutcome Broker::commit(std::int64_t transaction) {
  Transaction& of = transactions_.at(transaction);
  if (markers_.contains(transaction) && !planted_bug("C2")) {
    return CommitOutcome::kAlreadyCommitted;
  }
  if (of.replay > 0) {
    of.state = State::kAborted;  // another producer has the id: fenced to see what became of it
  }
  return of.state == State::kAborted ? CommitOutcome::kLost : apply(transaction, of);
}

CommitOutcome Broker::begin_replay(std::int64_t transaction, AttemptId attempt,
                                   const std::vector<Record>& records, TimestampMs now_ms,
                                   int& replay) {
  if (markers_.contains(transaction)) {
    return CommitOutcome::kAlreadyCommitted;
  }
  Transaction& of = transactions_.at(transaction);
  of.attempt = attempt;
  of.state = State::kOpen;
  of.opened_ms = now_ms;
  of.records.clear();
  replay = ++of.replay;
  write(of, records);
  return CommitOutcome::kRetry;
}

Result<CommitOutcome> Broker::commit_replay(std::int64_t transaction, int replay) {
  Transaction& of = transactions_.at(transaction);
  if (of.state != State::kOpen || of.replay != replay) {
    return Error{ErrorCode::kUnavailable, "the replay was aborted"};
  }
  return apply(transaction, of);
}

CommitOutcome Broker::apply(std::int64_t transaction, Transaction& of) {
  if (!allowed_.contains(transaction) && broken_.empty()) {
    broken_ = "transaction " + std::to_string(transaction) +
              " was committed before any manifest named it";
  }
  of.state = State::kCommitted;
  markers_.insert(transaction);
  std::vector<OfKey>& of_keys = of_keys_[static_cast<std::size_t>(of.sink)];
  for (const auto& [record, offset] : of.records) {
    OfKey& key = of_keys[static_cast<std::size_t>(record.key)];
    const std::string what = "sink " + std::to_string(of.sink) + " committed record " +
                             std::to_string(record.sequence) + " of key " +
                             std::to_string(record.key);
    if (record.sequence != key.next && broken_.empty()) {
      broken_ = what + " where " + std::to_string(key.next) + " was next";
    }
    if (offset <= key.last_offset && broken_.empty()) {
      broken_ = what + " before the record that precedes it in its key";
    }
    key.next = record.sequence + 1;
    key.last_offset = offset;
    ++committed_count_;
  }
  return CommitOutcome::kCommitted;
}

void Broker::abort_orphans(int sink, AttemptId attempt) {
  AttemptId& fence = fence_[static_cast<std::size_t>(sink)];
  fence = std::max(fence, attempt);
  for (auto& [id, transaction] : transactions_) {
    if (transaction.sink == sink && transaction.state == State::kOpen &&
        transaction.attempt < attempt) {
      transaction.state = State::kAborted;
    }
  }
}

void Broker::abort(std::int64_t transaction) {
  Transaction& of = transactions_.at(transaction);
  if (of.state == State::kOpen) {
    of.state = State::kAborted;
  }
}

void Broker::expire(TimestampMs opened_before_ms) {
  for (auto& [id, transaction] : transactions_) {
    if (transaction.state == State::kOpen && transaction.opened_ms < opened_before_ms) {
      transaction.state = State::kAborted;
    }
  }
}

int Broker::open_count() const {
  return static_cast<int>(
      std::count_if(transactions_.begin(), transactions_.end(),
                    [](const auto& item) { return item.second.state == State::kOpen; }));
}

int Broker::next_of(int sink, int key) const {
  return of_keys_[static_cast<std::size_t>(sink)][static_cast<std::size_t>(key)].next;
}

}  // namespace weir::simulator
