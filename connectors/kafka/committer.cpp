#include "kafka/committer.h"

#include <algorithm>
#include <set>
#include <thread>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"

namespace weir::kafka {
namespace {

constexpr int kLiveCommitTimeoutMs = 3'000;
constexpr int kEndTxnTimeoutMs = 2'000;
constexpr int kMarkerTimeoutMs = 1'000;
constexpr int kFenceTimeoutMs = 5'000;
constexpr int kReplaySliceMs = 2'000;

std::string epoch_name(const Committable& committable, const PreparedTransaction& prepared) {
  return "checkpoint " + std::to_string(committable.id.checkpoint) + " of sink " +
         committable.id.sink_uid + "[" + std::to_string(committable.id.subtask) +
         "], transactional id '" + prepared.transactional_id + "', topic '" + prepared.topic +
         "', " + std::to_string(prepared.record_count) + " records";
}

bool is_transient(const Error& error) {
  return error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kTimeout;
}

CommitResult retry(std::string why) { return {CommitOutcome::kRetry, std::move(why)}; }

/// kRetry for what may go away by itself; anything else is the caller's error.
Result<CommitResult> retry_or_fail(const Error& error) {
  if (is_transient(error)) {
    return retry(error.message);
  }
  return error;
}

}  // namespace

KafkaCommitter::KafkaCommitter(const SinkOptions& options, SinkContext context, ClientConfig config,
                               std::shared_ptr<PrefixClaim> claim)
    : options_(options),
      context_(std::move(context)),
      claim_(std::move(claim)),
      client_(std::move(config)) {}

void KafkaCommitter::begin_restore(const std::vector<Committable>& restored) {
  restored_ = restored;
  are_writers_open_ = false;
}

Result<CommitResult> KafkaCommitter::commit(const Committable& committable) {
  WEIR_ASSIGN(const PreparedTransaction prepared, decode_prepared(committable));
  const ProducerIdentity identity = prepared.identity();
  const std::shared_ptr<LiveTransaction> live = LiveTransactions::instance().find(identity);
  if (live == nullptr) {
    return commit_by_identity(committable, prepared);
  }
  const std::scoped_lock lock(live->mutex());
  if (live->is_finished()) {
    return commit_by_identity(committable, prepared);
  }
  Result<CommitResult> result = commit_through(*live, committable, prepared);
  if (result.ok() && result.value().outcome != CommitOutcome::kRetry) {
    // Proved, so the id may be initialised again for a later epoch.
    live->finish();
    LiveTransactions::instance().remove(identity);
  }
  return result;
}

Result<CommitResult> KafkaCommitter::commit_through(LiveTransaction& live,
                                                    const Committable& committable,
                                                    const PreparedTransaction& prepared) {
  if (replays_.contains(prepared.transactional_id)) {
    return continue_replay(committable, prepared);
  }
  kill_point("kafka.commit.before_end_txn");
  std::string detail;
  const ProducerHandle::Ended ended = live.handle().commit(kLiveCommitTimeoutMs, detail);
  kill_point("kafka.commit.after_end_txn");
  if (ended == ProducerHandle::Ended::kRetry) {
    return retry(detail);
  }
  if (ended == ProducerHandle::Ended::kCommitted) {
    return CommitResult{CommitOutcome::kCommitted, "live producer"};
  }
  log().warn("kafka: {}: {}; judging by identity and marker", epoch_name(committable, prepared),
             detail);
  return commit_by_identity(committable, prepared);
}

PreparedEpoch KafkaCommitter::facts_of(const PreparedTransaction& prepared,
                                       const CommittableId& id) {
  PreparedEpoch epoch;
  epoch.checkpoint = id.checkpoint;
  epoch.attempt = id.attempt;
  epoch.incarnation = id.incarnation;
  epoch.lineage = context_.lineage;
  epoch.age_ms = system_clock().wall_ms() - prepared.prepared_at_ms;
  epoch.marker_retention_ms = client_.marker_retention_ms();
  return epoch;
}

Result<TransactionVerdict> KafkaCommitter::judge_by_marker(EndTxnAnswer answer,
                                                           const PreparedTransaction& prepared,
                                                           const CommittableId& id) {
  WEIR_ASSIGN(const MarkerFact marker,
              client_.read_marker(prepared.marker_place(), deadline_after_ms(kMarkerTimeoutMs)));
  if (answer != EndTxnAnswer::kDone) {
    const TransactionVerdict verdict = judge_transaction(answer, marker, facts_of(prepared, id));
    if (verdict != TransactionVerdict::kFence) {
      return verdict;
    }
    WEIR_TRY(client_.fence(prepared.transactional_id, deadline_after_ms(kFenceTimeoutMs)));
    WEIR_ASSIGN(const MarkerFact after,
                client_.read_marker(prepared.marker_place(), deadline_after_ms(kMarkerTimeoutMs)));
    return judge_transaction(answer, after, facts_of(prepared, id));
  }
  // A coordinator also answers NONE for a transaction that lost its contents. The marker was part
  // of them.
  if (marker.state == MarkerFact::State::kUnstable) {
    return TransactionVerdict::kRetry;
  }
  const TransactionVerdict proof =
      judge_transaction(EndTxnAnswer::kInvalidState, marker, facts_of(prepared, id));
  return proof == TransactionVerdict::kAlreadyCommitted ? TransactionVerdict::kCommitted
                                                        : TransactionVerdict::kUnknown;
}

Result<CommitResult> KafkaCommitter::commit_by_identity(const Committable& committable,
                                                        const PreparedTransaction& prepared) {
  if (replays_.contains(prepared.transactional_id)) {
    return continue_replay(committable, prepared);
  }
  kill_point("kafka.recover.before_commit");
  const EndTxnAnswer answer =
      client_.commit(prepared.identity(), deadline_after_ms(kEndTxnTimeoutMs));
  const std::string said = client_.last_problem();
  kill_point("kafka.recover.after_commit");
  TransactionVerdict verdict = judge_transaction(answer, MarkerFact{}, PreparedEpoch{});
  if (verdict == TransactionVerdict::kReadMarker || verdict == TransactionVerdict::kCommitted) {
    const Result<TransactionVerdict> judged = judge_by_marker(answer, prepared, committable.id);
    if (!judged.ok()) {
      return retry_or_fail(judged.error());
    }
    verdict = judged.value();
  }
  switch (verdict) {
    case TransactionVerdict::kCommitted:
      return CommitResult{CommitOutcome::kCommitted, "by identity; marker read back"};
    case TransactionVerdict::kAlreadyCommitted:
      return CommitResult{CommitOutcome::kAlreadyCommitted, said + "; the marker proves it"};
    case TransactionVerdict::kRetry:
    case TransactionVerdict::kReadMarker:
    case TransactionVerdict::kFence:
      return retry(said);
    case TransactionVerdict::kAborted:
      return bring_back(committable, prepared);
    case TransactionVerdict::kUnknown:
      break;
  }
  return Error{ErrorCode::kUnknownOutcome,
               "kafka: nothing proves whether " + epoch_name(committable, prepared) +
                   " was committed (" + said + ", marker group '" + prepared.marker_group +
                   "'). Keep this checkpoint and look into the topic before going on"};
}

Result<CommitResult> KafkaCommitter::bring_back(const Committable& committable,
                                                const PreparedTransaction& prepared) {
  if (prepared.has_replay_log && !are_writers_open_) {
    return start_replay(committable, prepared);
  }
  // A copy of the EndTxn may still be on its way: shut it out before the last look at the marker.
  const Status fenced =
      client_.fence(prepared.transactional_id, deadline_after_ms(kFenceTimeoutMs));
  if (!fenced.ok()) {
    return retry_or_fail(fenced.error());
  }
  const Result<TransactionVerdict> verdict =
      judge_by_marker(EndTxnAnswer::kFenced, prepared, committable.id);
  if (!verdict.ok()) {
    return retry_or_fail(verdict.error());
  }
  if (verdict.value() == TransactionVerdict::kAlreadyCommitted) {
    return CommitResult{CommitOutcome::kAlreadyCommitted, "the marker proves it"};
  }
  if (verdict.value() != TransactionVerdict::kAborted) {
    return retry("the marker is " + std::string(verdict_name(verdict.value())));
  }
  if (prepared.has_replay_log) {
    return CommitResult{CommitOutcome::kRolledBack,
                        "the broker rolled back " + epoch_name(committable, prepared) +
                            "; the job restarts and produces it again from the replay log, before "
                            "the records that follow it"};
  }
  return CommitResult{CommitOutcome::kLost,
                      "the broker rolled back " + epoch_name(committable, prepared) +
                          ", and the sink keeps no replay log (set_replay_log(true) would have "
                          "brought it back); was the job down for longer than "
                          "transaction.timeout.ms?"};
}

Result<CommitResult> KafkaCommitter::start_replay(const Committable& committable,
                                                  const PreparedTransaction& prepared) {
  log().warn("kafka: the broker rolled back {}; producing it again from the replay log",
             epoch_name(committable, prepared));
  const Status alone = roll_back_later(committable.id);
  if (!alone.ok()) {
    return retry_or_fail(alone.error());
  }
  Properties properties = options_.properties;
  properties.set("transaction.timeout.ms", std::to_string(transaction_timeout_ms(options_)));
  WEIR_ASSIGN(const auto producer, ProducerHandle::create(properties, prepared.transactional_id,
                                                          std::make_shared<Waker>(nullptr)));
  // Fences every older holder of the id, so the marker cannot change any more.
  const Status initialised = producer->init_transactions(kFenceTimeoutMs);
  if (!initialised.ok()) {
    return retry_or_fail(initialised.error());
  }
  const Result<TransactionVerdict> verdict =
      judge_by_marker(EndTxnAnswer::kFenced, prepared, committable.id);
  if (!verdict.ok()) {
    return retry_or_fail(verdict.error());
  }
  if (verdict.value() == TransactionVerdict::kAlreadyCommitted) {
    return CommitResult{CommitOutcome::kAlreadyCommitted, "the marker proves it"};
  }
  if (verdict.value() != TransactionVerdict::kAborted) {
    return retry("the marker is " + std::string(verdict_name(verdict.value())));
  }
  replays_.try_emplace(prepared.transactional_id, producer, committable, prepared, context_.files,
                       branch_of(context_.lineage, committable.id.incarnation));
  return continue_replay(committable, prepared);
}

/// What the subtask prepared after the epoch lies before it in the topic once that is produced
/// again. None of it can be committed yet: it is rolled back, and will be produced again in its
/// turn. Done before the epoch is, so that an attempt that dies in between leaves none of them
/// behind.
Status KafkaCommitter::roll_back_later(const CommittableId& id) {
  for (const Committable& other : restored_) {
    if (other.id.subtask == id.subtask && other.id.checkpoint > id.checkpoint) {
      WEIR_ASSIGN(const PreparedTransaction prepared, decode_prepared(other));
      WEIR_TRY(client_.fence(prepared.transactional_id, deadline_after_ms(kFenceTimeoutMs)));
    }
  }
  return {};
}

Result<CommitResult> KafkaCommitter::continue_replay(const Committable& committable,
                                                     const PreparedTransaction& prepared) {
  const auto replay = replays_.find(prepared.transactional_id);
  const Result<EpochReplay::Progress> progress =
      replay->second.run_slice(deadline_after_ms(kReplaySliceMs));
  if (progress.ok() && progress.value() == EpochReplay::Progress::kGoingOn) {
    const std::string how_far = replay->second.how_far();
    log().info("kafka: {}: {} produced again so far", epoch_name(committable, prepared), how_far);
    CommitResult result = retry("producing it again, " + how_far + " so far");
    result.has_progressed = true;
    return result;
  }
  const std::string detail = replay->second.detail();
  replays_.erase(replay);
  if (!progress.ok()) {
    return retry_or_fail(progress.error().with_context(epoch_name(committable, prepared)));
  }
  if (progress.value() == EpochReplay::Progress::kUnproved) {
    return retry("replay: " + detail);  // The next call finds out by the marker.
  }
  return CommitResult{CommitOutcome::kCommitted,
                      "the broker had rolled it back; produced again from the replay log, " +
                          std::to_string(prepared.record_count) + " records"};
}

/// The marker of one id, none of whose transactions is named by the restored snapshot: what is open
/// under it is an orphan, which hides the marker and is shut out.
Result<MarkerFact> KafkaCommitter::settled_marker(const std::string& id, const MarkerPlace& place) {
  WEIR_ASSIGN(MarkerFact marker, client_.read_marker(place, deadline_after_ms(kMarkerTimeoutMs)));
  if (marker.state == MarkerFact::State::kUnstable) {
    WEIR_TRY(client_.fence(id, deadline_after_ms(kFenceTimeoutMs)));
    WEIR_ASSIGN(marker, client_.read_marker(place, deadline_after_ms(kFenceTimeoutMs)));
  }
  return marker;
}

Status KafkaCommitter::check_no_later_results(
    const std::vector<std::string>& restored_writer_states,
    const std::vector<Committable>& restored_committables, TimestampMs snapshot_ms) {
  std::set<std::string> named;
  for (const Committable& committable : restored_committables) {
    WEIR_ASSIGN(const PreparedTransaction prepared, decode_prepared(committable));
    named.insert(prepared.transactional_id);
  }
  int subtasks = context_.parallelism;
  int slots = std::max(1, context_.max_concurrent_checkpoints) + 2;
  for (const std::string& bytes : restored_writer_states) {
    WEIR_ASSIGN(const WriterState state, decode_writer_state(bytes));
    subtasks = std::max(subtasks, state.subtask + 1);
    slots = std::max(slots, static_cast<int>(state.transactional_ids.size()));
  }
  const std::string prefix = prefix_of(options_, context_);
  bool has_marker = false;
  for (int subtask = 0; subtask < subtasks; ++subtask) {
    for (int slot = 0; slot < slots; ++slot) {
      const std::string id = transactional_id(prefix, subtask, slot);
      const MarkerPlace place{marker_group(context_, subtask, slot), options_.topic};
      const bool is_named = named.contains(id);
      WEIR_ASSIGN(const MarkerFact fact,
                  is_named ? client_.read_marker(place, deadline_after_ms(kMarkerTimeoutMs))
                           : settled_marker(id, place));
      has_marker = has_marker || fact.state != MarkerFact::State::kAbsent;
      if (fact.state == MarkerFact::State::kPresent &&
          !is_in_past(context_.lineage, fact.marker.incarnation, fact.marker.checkpoint)) {
        return Error{ErrorCode::kInvalidArgument,
                     "topic '" + options_.topic + "' holds the results of checkpoint " +
                         std::to_string(fact.marker.checkpoint) + " of attempt " +
                         std::to_string(fact.marker.attempt) + " (marker group '" + place.group +
                         "'), which is not in the past of the snapshot"};
      }
      if (fact.state == MarkerFact::State::kForeign ||
          (fact.state == MarkerFact::State::kUnstable && !is_named)) {
        return Error{ErrorCode::kUnknownOutcome, "marker group '" + place.group + "' of topic '" +
                                                     options_.topic +
                                                     "' does not tell what was committed last"};
      }
    }
  }
  const std::int64_t age_ms = system_clock().wall_ms() - snapshot_ms;
  if (!has_marker && age_ms >= client_.marker_retention_ms()) {
    return Error{
        ErrorCode::kUnknownOutcome,
        "the snapshot is older than the brokers keep markers, so nothing tells whether topic '" +
            options_.topic + "' holds later results"};
  }
  return {};
}

Status KafkaCommitter::abort_orphans(const std::vector<std::string>& restored_writer_states,
                                     const std::vector<Committable>& restored_committables) {
  std::set<std::string> ids;
  std::set<std::string> prefixes{prefix_of(options_, context_)};
  for (const std::string& bytes : restored_writer_states) {
    WEIR_ASSIGN(const WriterState state, decode_writer_state(bytes));
    prefixes.insert(state.prefix);
    ids.insert(state.transactional_ids.begin(), state.transactional_ids.end());
  }
  for (const Committable& committable : restored_committables) {
    WEIR_ASSIGN(const PreparedTransaction prepared, decode_prepared(committable));
    ids.insert(prepared.transactional_id);
  }
  auto listed = client_.broker().list_transactions();
  // A coordinator that just started answers once it has read its log.
  const Deadline deadline = deadline_after_ms(kFenceTimeoutMs);
  while (!listed.ok() && is_transient(listed.error()) &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    listed = client_.broker().list_transactions();
  }
  if (!listed.ok()) {
    return listed.error();
  }
  if (listed.value().has_value()) {
    for (const ListedTransaction& one : *listed.value()) {
      const bool is_open = one.state == "Ongoing";
      for (const std::string& prefix : prefixes) {
        if (is_open && is_id_of_prefix(one.transactional_id, prefix)) {
          ids.insert(one.transactional_id);
        }
      }
    }
  } else {
    // The brokers cannot be asked: fence what an attempt before the first checkpoint may have used.
    const int slots = std::max(1, context_.max_concurrent_checkpoints) + 2;
    for (int subtask = 0; subtask < context_.parallelism; ++subtask) {
      for (int slot = 0; slot < slots; ++slot) {
        ids.insert(transactional_id(prefix_of(options_, context_), subtask, slot));
      }
    }
  }
  for (const std::string& id : ids) {
    WEIR_TRY(client_.fence(id, deadline_after_ms(kFenceTimeoutMs)));
  }
  if (!ids.empty()) {
    log().info("kafka: sink {}: fenced {} transactional ids of earlier attempts", context_.sink_uid,
               ids.size());
  }
  are_writers_open_ = true;
  return {};
}

}  // namespace weir::kafka
