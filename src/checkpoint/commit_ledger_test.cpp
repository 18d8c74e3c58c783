#include "checkpoint/commit_ledger.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace weir::checkpoint {
namespace {

Committable committable(int subtask, CheckpointId checkpoint, const std::string& payload = "",
                        AttemptId attempt = 1) {
  return {{"sink", subtask, checkpoint, attempt}, payload, {}};
}

CommitResult outcome(CommitOutcome value) { return {value, "because"}; }

struct Seen {
  std::vector<StartCommit> starts;
  std::vector<std::string> others;  ///< "restored sink", "up to 3", "stop lost"

  std::vector<std::pair<int, CheckpointId>> started() const {
    std::vector<std::pair<int, CheckpointId>> result;
    for (const StartCommit& start : starts) {
      result.emplace_back(start.committable.id.subtask, start.committable.id.checkpoint);
    }
    return result;
  }
};

Seen look(const LedgerActions& actions) {
  Seen seen;
  for (const LedgerAction& action : actions) {
    if (const auto* start = std::get_if<StartCommit>(&action)) {
      seen.starts.push_back(*start);
    } else if (const auto* done = std::get_if<RestoredDone>(&action)) {
      seen.others.push_back("restored " + done->sink_uid);
    } else if (const auto* upto = std::get_if<CommittedUpTo>(&action)) {
      seen.others.push_back("up to " + std::to_string(upto->checkpoint));
    } else if (const auto* stop = std::get_if<StopOnCommit>(&action)) {
      seen.others.push_back("stop " + std::string(error_code_name(stop->code)));
    }
  }
  return seen;
}

using Started = std::vector<std::pair<int, CheckpointId>>;
using Others = std::vector<std::string>;

TEST(CommitLedger, NothingIsCommittedBeforeItsManifestExists) {
  CommitLedger ledger;
  EXPECT_EQ(look(ledger.restore({"sink"}, {}, 0)).others, Others{"restored sink"});
  ledger.add({committable(0, 1)});
  EXPECT_TRUE(look(ledger.on_time(10)).starts.empty());
  EXPECT_EQ(ledger.outstanding(1).size(), 1U);
  EXPECT_EQ(ledger.outstanding(0).size(), 0U);
  EXPECT_EQ(look(ledger.on_checkpoint_complete(1, 10)).started(), (Started{{0, 1}}));
}

TEST(CommitLedger, OneSubtaskCommitsInOrderAndOthersDoNotWaitForIt) {
  CommitLedger ledger;
  ledger.restore({"sink"}, {}, 0);
  ledger.add({committable(0, 1), committable(1, 1)});
  ledger.add({committable(0, 2)});
  const Seen first = look(ledger.on_checkpoint_complete(1, 0));
  EXPECT_EQ(first.started(), (Started{{0, 1}, {1, 1}}));
  EXPECT_TRUE(look(ledger.on_checkpoint_complete(2, 1)).starts.empty());
  const Seen next =
      look(ledger.on_result(first.starts[0].ticket, outcome(CommitOutcome::kCommitted), 2));
  EXPECT_EQ(next.started(), (Started{{0, 2}}));
  EXPECT_TRUE(next.others.empty());
  look(ledger.on_result(next.starts[0].ticket, outcome(CommitOutcome::kCommitted), 3));
  EXPECT_EQ(
      look(ledger.on_result(first.starts[1].ticket, outcome(CommitOutcome::kAlreadyCommitted), 4))
          .others,
      Others{"up to 2"});
  EXPECT_EQ(ledger.outstanding_count(), 0U);
}

TEST(CommitLedger, WhatWasPreparedForAnAbortedCheckpointIsCoveredByTheNext) {
  CommitLedger ledger;
  ledger.restore({"sink"}, {}, 0);
  ledger.add({committable(0, 1)});
  ledger.add({committable(0, 2)});
  EXPECT_EQ(ledger.outstanding(2).size(), 2U);
  EXPECT_EQ(look(ledger.on_checkpoint_complete(2, 0)).started(), (Started{{0, 1}}));
}

TEST(CommitLedger, RestoredOnesComeFirstForTheWholeSink) {
  CommitLedger ledger;
  // Two of one epoch, and a subtask that no longer exists.
  const Seen start =
      look(ledger.restore({"sink", "other"}, {committable(3, 4, "a"), committable(3, 4, "b")}, 0));
  EXPECT_EQ(start.others, Others{"restored other"});
  EXPECT_EQ(start.starts[0].committable.payload, "a");
  ledger.add({committable(0, 5, "", 2)});
  EXPECT_TRUE(look(ledger.on_checkpoint_complete(5, 0)).starts.empty());
  EXPECT_FALSE(ledger.are_all_restored_done());
  const Seen second =
      look(ledger.on_result(start.starts[0].ticket, outcome(CommitOutcome::kAlreadyCommitted), 1));
  ASSERT_EQ(second.starts.size(), 1U);
  EXPECT_EQ(second.starts[0].committable.payload, "b");
  const Seen last =
      look(ledger.on_result(second.starts[0].ticket, outcome(CommitOutcome::kCommitted), 2));
  EXPECT_EQ(last.others, Others{"restored sink"});
  EXPECT_EQ(last.started(), (Started{{0, 5}}));
}

TEST(CommitLedger, ARetryComesBackWithBackOffAndTheSameIdentity) {
  CommitLedger ledger({.backoff_initial_ms = 100, .backoff_max_ms = 300});
  ledger.restore({"sink"}, {}, 0);
  ledger.add({committable(0, 1, "txn")});
  Seen seen = look(ledger.on_checkpoint_complete(1, 0));
  TimestampMs now_ms = 0;
  for (const std::int64_t delay_ms : {100, 200, 300, 300}) {
    ASSERT_EQ(seen.starts.size(), 1U);
    EXPECT_EQ(seen.starts[0].committable.payload, "txn");
    ledger.on_result(seen.starts[0].ticket, outcome(CommitOutcome::kRetry), now_ms);
    EXPECT_EQ(ledger.next_wake_ms(), now_ms + delay_ms);
    EXPECT_TRUE(look(ledger.on_time(now_ms + delay_ms - 1)).starts.empty());
    now_ms += delay_ms;
    seen = look(ledger.on_time(now_ms));
  }
  EXPECT_EQ(ledger.retries(), 4);
  EXPECT_EQ(ledger.oldest_first_try_ms(), 0);
}

TEST(CommitLedger, ACommitThatTakesSeveralCallsGoesOnAtOnceAndIsNotLate) {
  CommitLedger ledger({.backoff_initial_ms = 100, .deadline_ms = 1'000});
  ledger.restore({"sink"}, {}, 0);
  ledger.add({committable(0, 1), committable(0, 2)});
  Seen seen = look(ledger.on_checkpoint_complete(2, 0));
  CommitResult further = outcome(CommitOutcome::kRetry);
  further.has_progressed = true;
  TimestampMs now_ms = 0;
  for (int call = 0; call < 10; ++call) {
    ASSERT_EQ(seen.started(), (Started{{0, 1}}));
    now_ms += 900;
    seen = look(ledger.on_result(seen.starts[0].ticket, further, now_ms));
  }
  EXPECT_EQ(ledger.retries(), 0);
  // Only what comes to nothing is a failed try, and late.
  seen = look(ledger.on_result(seen.starts[0].ticket, outcome(CommitOutcome::kRetry), now_ms));
  EXPECT_TRUE(seen.starts.empty());
  EXPECT_EQ(ledger.retries(), 1);
  seen = look(ledger.on_time(now_ms + 100));
  seen = look(
      ledger.on_result(seen.starts.at(0).ticket, outcome(CommitOutcome::kRetry), now_ms + 1'100));
  EXPECT_TRUE(ledger.is_stopped());
}

struct AnswerCase {
  const char* promise;
  Result<CommitResult> answer;
  Others expected;
};

TEST(CommitLedger, NoAnswerDropsACommittable) {
  const std::vector<AnswerCase> cases{
      {"lost stops at once", outcome(CommitOutcome::kLost), {"stop lost"}},
      {"rolled back fails the job over", outcome(CommitOutcome::kRolledBack), {"stop unavailable"}},
      {"an error of unforeseen type stops", Error{ErrorCode::kInternal, "?"}, {"stop internal"}},
      {"fenced stops", Error{ErrorCode::kFenced, ""}, {"stop fenced"}},
      {"a lost reply is retried", Error{ErrorCode::kUnknownOutcome, ""}, {}},
      {"a transient error is retried", Error{ErrorCode::kUnavailable, ""}, {}},
  };
  for (const AnswerCase& item : cases) {
    CommitLedger ledger;
    ledger.restore({"sink"}, {}, 0);
    ledger.add({committable(0, 1)});
    const Seen start = look(ledger.on_checkpoint_complete(1, 0));
    Others stops;
    for (const std::string& line :
         look(ledger.on_result(start.starts[0].ticket, item.answer, 0)).others) {
      stops.push_back(line.substr(0, item.expected.empty() ? 0 : item.expected[0].size()));
    }
    EXPECT_EQ(stops, item.expected) << item.promise;
    EXPECT_EQ(ledger.outstanding(1).size(), 1U) << item.promise;
    EXPECT_EQ(ledger.is_stopped(), !item.expected.empty()) << item.promise;
    EXPECT_EQ(look(ledger.on_time(1'000'000'000)).starts.size(), item.expected.empty() ? 1U : 0U);
  }
}

TEST(CommitLedger, AnUnprovedCommitStopsAtItsDeadlineAndNamesTheEpoch) {
  CommitLedger ledger({.backoff_initial_ms = 100, .deadline_ms = 250});
  ledger.restore({"sink"}, {}, 0);
  ledger.add({committable(2, 9)});
  Seen seen = look(ledger.on_checkpoint_complete(9, 0));
  ledger.on_result(seen.starts[0].ticket, Error{ErrorCode::kUnknownOutcome, "reply lost"}, 0);
  seen = look(ledger.on_time(100));
  const LedgerActions actions =
      ledger.on_result(seen.starts[0].ticket, outcome(CommitOutcome::kRetry), 100);
  ASSERT_EQ(actions.size(), 1U);
  const auto& stop = std::get<StopOnCommit>(actions[0]);
  EXPECT_EQ(stop.code, ErrorCode::kUnknownOutcome);
  EXPECT_NE(stop.reason.find("subtask 2, checkpoint 9"), std::string::npos) << stop.reason;
  EXPECT_EQ(ledger.outstanding_count(), 1U);
}

TEST(CommitLedger, ACompleteCheckpointWithoutCommittablesIsReported) {
  CommitLedger ledger;
  ledger.restore({}, {}, 0);
  EXPECT_EQ(look(ledger.on_checkpoint_complete(3, 0)).others, Others{"up to 3"});
  EXPECT_TRUE(ledger.is_committed_up_to(3));
}

}  // namespace
}  // namespace weir::checkpoint
