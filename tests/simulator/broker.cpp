#include "simulator/broker.h"

#include <algorithm>

#include "base/planted_bug.h"

namespace weir::simulator {

Broker::Broker(int key_count, int sink_count)
    : fence_(static_cast<std::size_t>(sink_count), 0),
      next_(static_cast<std::size_t>(sink_count),
            std::vector<int>(static_cast<std::size_t>(key_count), 0)) {}

Result<std::int64_t> Broker::open(int sink, AttemptId attempt, TimestampMs now_ms) {
  if (attempt < fence_[static_cast<std::size_t>(sink)]) {
    return Error{ErrorCode::kFenced, "a newer attempt has fenced the sink"};
  }
  const std::int64_t id = next_transaction_++;
  transactions_[id] = {sink, attempt, State::kOpen, now_ms, {}};
  return id;
}

Status Broker::append(std::int64_t transaction, const std::vector<Record>& records) {
  Transaction& to = transactions_.at(transaction);
  if (to.state != State::kOpen) {
    return Error{to.attempt < fence_[static_cast<std::size_t>(to.sink)] ? ErrorCode::kFenced
                                                                        : ErrorCode::kLost,
                 "the transaction was aborted"};
  }
  to.records.insert(to.records.end(), records.begin(), records.end());
  return {};
}

CommitOutcome Broker::commit(std::int64_t transaction) {
  Transaction& of = transactions_.at(transaction);
  if (markers_.contains(transaction) && !planted_bug("C2")) {
    return CommitOutcome::kAlreadyCommitted;
  }
  if (of.state == State::kAborted) {
    return CommitOutcome::kLost;
  }
  of.state = State::kCommitted;
  apply(transaction, of.sink, of.records);
  return CommitOutcome::kCommitted;
}

Result<CommitOutcome> Broker::replay(int sink, std::int64_t transaction, AttemptId attempt,
                                     const std::vector<Record>& records) {
  if (attempt < fence_[static_cast<std::size_t>(sink)]) {
    return Error{ErrorCode::kFenced, "a newer attempt has fenced the sink"};
  }
  if (markers_.contains(transaction)) {
    return CommitOutcome::kAlreadyCommitted;
  }
  apply(transaction, sink, records);
  return CommitOutcome::kCommitted;
}

void Broker::apply(std::int64_t transaction, int sink, const std::vector<Record>& records) {
  if (!allowed_.contains(transaction) && broken_.empty()) {
    broken_ = "transaction " + std::to_string(transaction) +
              " was committed before any manifest named it";
  }
  markers_.insert(transaction);
  std::vector<int>& next = next_[static_cast<std::size_t>(sink)];
  for (const Record& record : records) {
    int& expected = next[static_cast<std::size_t>(record.key)];
    if (record.sequence != expected && broken_.empty()) {
      broken_ = "sink " + std::to_string(sink) + " committed record " +
                std::to_string(record.sequence) + " of key " + std::to_string(record.key) +
                " where " + std::to_string(expected) + " was next";
    }
    expected = record.sequence + 1;
    ++committed_count_;
  }
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
  return next_[static_cast<std::size_t>(sink)][static_cast<std::size_t>(key)];
}

}  // namespace weir::simulator
