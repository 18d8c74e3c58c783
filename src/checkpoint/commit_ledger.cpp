#include "checkpoint/commit_ledger.h"

#include <algorithm>
#include <limits>
#include <tuple>

#include "base/planted_bug.h"
#include "weir/check.h"

namespace weir::checkpoint {
namespace {

std::string describe(const Committable& committable) {
  const CommittableId& id = committable.id;
  return "sink " + id.sink_uid + ", subtask " + std::to_string(id.subtask) + ", checkpoint " +
         std::to_string(id.checkpoint) + " of attempt " + std::to_string(id.attempt);
}

/// The same call may succeed later.
bool is_transient(ErrorCode code) {
  return code == ErrorCode::kUnavailable || code == ErrorCode::kTimeout || code == ErrorCode::kIo ||
         code == ErrorCode::kNoSpace || code == ErrorCode::kUnknownOutcome;
}

bool is_unknown(ErrorCode code) {
  return code == ErrorCode::kUnknownOutcome || code == ErrorCode::kTimeout ||
         code == ErrorCode::kIo;
}

auto order_of(const CommittableId& id) { return std::tuple(id.checkpoint, id.attempt); }

}  // namespace

LedgerActions CommitLedger::restore(const std::vector<std::string>& sink_uids,
                                    const std::vector<Committable>& committables,
                                    TimestampMs now_ms) {
  WEIR_CHECK(lanes_.empty() && next_ticket_ == 1);
  for (const std::string& uid : sink_uids) {
    restored_left_[uid] = 0;
  }
  for (const Committable& committable : committables) {
    ++restored_left_[committable.id.sink_uid];
    insert(committable, true);
  }
  LedgerActions out;
  for (const auto& [uid, left] : restored_left_) {
    if (left == 0) {
      out.emplace_back(RestoredDone{uid});
    }
  }
  start_due(now_ms, out);
  return out;
}

void CommitLedger::add(std::vector<Committable> committables) {
  for (Committable& committable : committables) {
    insert(std::move(committable), false);
  }
}

void CommitLedger::insert(Committable committable, bool is_restored) {
  const LaneKey key(committable.id.sink_uid, committable.id.subtask);
  Lane& lane = lanes_[key];
  if (planted_bug("C14") && !lane.empty() &&
      order_of(lane.back().committable.id) == order_of(committable.id)) {
    return;
  }
  Entry entry;
  entry.ticket = next_ticket_++;
  entry.is_restored = is_restored;
  entry.committable = std::move(committable);
  // Behind everything of the same or an earlier epoch: the order within an epoch is kept.
  const auto at =
      std::upper_bound(lane.begin(), lane.end(), entry, [](const Entry& a, const Entry& b) {
        return std::tuple(!a.is_restored, order_of(a.committable.id)) <
               std::tuple(!b.is_restored, order_of(b.committable.id));
      });
  // Nothing may be put before a commit that has started.
  WEIR_CHECK(at == lane.end() || !at->is_in_flight);
  lane_of_[entry.ticket] = key;
  lane.insert(at, std::move(entry));
}

LedgerActions CommitLedger::on_checkpoint_complete(CheckpointId checkpoint, TimestampMs now_ms) {
  completed_ = std::max(completed_, checkpoint);
  LedgerActions out;
  start_due(now_ms, out);
  report_progress(out);
  return out;
}

LedgerActions CommitLedger::on_time(TimestampMs now_ms) {
  LedgerActions out;
  start_due(now_ms, out);
  return out;
}

LedgerActions CommitLedger::on_result(CommitTicket ticket, const Result<CommitResult>& result,
                                      TimestampMs now_ms) {
  LaneKey lane;
  Entry* entry = find(ticket, lane);
  WEIR_CHECK(entry != nullptr && entry->is_in_flight);
  entry->is_in_flight = false;
  LedgerActions out;
  if (!result.ok()) {
    const Error& error = result.error();
    if (is_transient(error.code) ? planted_bug("C13") : planted_bug("C17")) {
      proved(lane, ticket, out);
    } else if (is_transient(error.code)) {
      retry(*entry, error.message, is_unknown(error.code), now_ms, out);
    } else {
      stop(*entry, error.code, error.message, out);
    }
  } else if (result.value().outcome == CommitOutcome::kRetry && result.value().has_progressed) {
    entry->tries = 0;
    entry->first_try_ms = now_ms;  // The deadline is for commits that come to nothing.
    entry->not_before_ms = now_ms;
  } else if (result.value().outcome == CommitOutcome::kRetry) {
    retry(*entry, result.value().detail, false, now_ms, out);
  } else if (result.value().outcome == CommitOutcome::kRolledBack) {
    stop(*entry, ErrorCode::kUnavailable, result.value().detail, out);
  } else if (result.value().outcome == CommitOutcome::kLost) {
    stop(*entry, ErrorCode::kLost, result.value().detail, out);
  } else {
    proved(lane, ticket, out);
  }
  start_due(now_ms, out);
  return out;
}

CommitLedger::Entry* CommitLedger::find(CommitTicket ticket, LaneKey& lane) {
  const auto key = lane_of_.find(ticket);
  if (key == lane_of_.end()) {
    return nullptr;
  }
  lane = key->second;
  Lane& entries = lanes_.at(lane);
  const auto at = std::find_if(entries.begin(), entries.end(),
                               [&](const Entry& entry) { return entry.ticket == ticket; });
  return at == entries.end() ? nullptr : &*at;
}

bool CommitLedger::may_start(const LaneKey& lane, const Entry& entry) const {
  if (entry.is_restored) {
    return true;
  }
  const bool is_complete = entry.committable.id.checkpoint <= completed_ || planted_bug("C16");
  return is_complete && is_restored_done(lane.first);
}

void CommitLedger::start_due(TimestampMs now_ms, LedgerActions& out) {
  if (is_stopped_) {
    return;
  }
  for (auto& [key, lane] : lanes_) {
    if (lane.empty()) {
      continue;
    }
    Entry& first = lane.front();
    if (first.is_in_flight || !may_start(key, first) || now_ms < first.not_before_ms) {
      continue;
    }
    first.is_in_flight = true;
    ++first.tries;
    first.first_try_ms = std::min(first.first_try_ms, now_ms);
    out.emplace_back(StartCommit{first.ticket, first.committable});
  }
  const TimestampMs wake_ms = next_wake_ms();
  if (wake_ms != kMaxTimestamp) {
    out.emplace_back(WakeLedgerAt{wake_ms});
  }
}

void CommitLedger::proved(const LaneKey& key, CommitTicket ticket, LedgerActions& out) {
  Lane& lane = lanes_.at(key);
  WEIR_CHECK(!lane.empty() && lane.front().ticket == ticket);
  const bool was_restored = lane.front().is_restored;
  lane.erase(lane.begin());
  lane_of_.erase(ticket);
  if (was_restored && --restored_left_[key.first] == 0) {
    out.emplace_back(RestoredDone{key.first});
  }
  report_progress(out);
}

void CommitLedger::report_progress(LedgerActions& out) {
  if (completed_ > reported_ && is_committed_up_to(completed_)) {
    reported_ = completed_;
    out.emplace_back(CommittedUpTo{completed_});
  }
}

void CommitLedger::retry(Entry& entry, const std::string& detail, bool is_unknown_outcome,
                         TimestampMs now_ms, LedgerActions& out) {
  entry.was_unknown = entry.was_unknown || is_unknown_outcome;
  retries_ += planted_bug("C6") ? 0 : 1;
  const std::int64_t delay_ms = backoff_ms(entry.tries);
  const bool is_late =
      options_.deadline_ms >= 0 && now_ms - entry.first_try_ms + delay_ms > options_.deadline_ms;
  if (is_late) {
    stop(entry, entry.was_unknown ? ErrorCode::kUnknownOutcome : ErrorCode::kUnavailable,
         "not proved within " + std::to_string(options_.deadline_ms) + " ms and " +
             std::to_string(entry.tries) + " tries, last: " + detail,
         out);
    return;
  }
  if (options_.retries_max >= 0 && !entry.was_unknown && entry.tries > options_.retries_max) {
    stop(entry, ErrorCode::kUnavailable,
         "not done after " + std::to_string(options_.retries_max) +
             " retries (sink.committer.retries), last: " + detail,
         out);
    return;
  }
  entry.not_before_ms = now_ms + delay_ms;
}

void CommitLedger::stop(const Entry& entry, ErrorCode code, const std::string& detail,
                        LedgerActions& out) {
  // One reason is enough; the others will show again after the restart.
  if (!is_stopped_) {
    is_stopped_ = true;
    out.emplace_back(
        StopOnCommit{code, "commit of " + describe(entry.committable) + " failed (" +
                               std::string(error_code_name(code)) + "): " + detail +
                               "; nothing was dropped, the checkpoint still holds it"});
  }
}

std::int64_t CommitLedger::backoff_ms(int tries) const {
  auto delay_ms = static_cast<double>(options_.backoff_initial_ms);
  const auto max_ms = static_cast<double>(options_.backoff_max_ms);
  for (int i = 1; i < tries && delay_ms < max_ms; ++i) {
    delay_ms *= options_.backoff_multiplier;
  }
  return static_cast<std::int64_t>(std::min(delay_ms, max_ms));
}

std::vector<Committable> CommitLedger::outstanding(CheckpointId checkpoint) const {
  std::vector<Committable> result;
  for (const auto& [key, lane] : lanes_) {
    for (const Entry& entry : lane) {
      if (planted_bug("C5") ? entry.committable.id.checkpoint == checkpoint
                            : entry.committable.id.checkpoint <= checkpoint) {
        result.push_back(entry.committable);
      }
    }
  }
  return result;
}

std::size_t CommitLedger::outstanding_count() const { return lane_of_.size(); }

bool CommitLedger::is_restored_done(const std::string& sink_uid) const {
  const auto found = restored_left_.find(sink_uid);
  return found == restored_left_.end() || found->second == 0;
}

bool CommitLedger::are_all_restored_done() const {
  return std::all_of(restored_left_.begin(), restored_left_.end(),
                     [](const auto& item) { return item.second == 0; });
}

bool CommitLedger::is_committed_up_to(CheckpointId checkpoint) const {
  for (const auto& [key, lane] : lanes_) {
    const bool has_open = std::any_of(lane.begin(), lane.end(), [&](const Entry& entry) {
      return entry.committable.id.checkpoint <= checkpoint;
    });
    if (has_open) {
      return false;
    }
  }
  return true;
}

std::optional<TimestampMs> CommitLedger::oldest_first_try_ms() const {
  TimestampMs oldest = kMaxTimestamp;
  for (const auto& [key, lane] : lanes_) {
    for (const Entry& entry : lane) {
      oldest = std::min(oldest, entry.first_try_ms);
    }
  }
  return oldest == kMaxTimestamp ? std::nullopt : std::optional(oldest);
}

TimestampMs CommitLedger::next_wake_ms() const {
  TimestampMs wake_ms = kMaxTimestamp;
  for (const auto& [key, lane] : lanes_) {
    if (!lane.empty() && !lane.front().is_in_flight && may_start(key, lane.front())) {
      wake_ms = std::min(wake_ms, lane.front().not_before_ms);
    }
  }
  return is_stopped_ ? kMaxTimestamp : wake_ms;
}

}  // namespace weir::checkpoint
