#include "kafka/transaction_outcome.h"

#include <gtest/gtest.h>

#include "kafka/protocol.h"

namespace weir::kafka {
namespace {

using Answer = EndTxnAnswer;
using State = MarkerFact::State;
using Verdict = TransactionVerdict;

constexpr std::int64_t kWeekMs = 7LL * 86'400'000;

PreparedEpoch epoch_of(CheckpointId checkpoint, AttemptId attempt, std::int64_t age_ms = 60'000) {
  return {checkpoint, attempt, age_ms, kWeekMs, 0, {}};
}

TEST(TransactionOutcome, AnswersOfTheCoordinatorAreClassified) {
  const std::pair<std::int16_t, Answer> table[] = {
      {kNoError, Answer::kDone},
      {kConcurrentTransactions, Answer::kInProgress},
      {kNotCoordinator, Answer::kTryElsewhere},
      {kCoordinatorNotAvailable, Answer::kTryElsewhere},
      {kCoordinatorLoadInProgress, Answer::kTryElsewhere},
      {kInvalidTxnState, Answer::kInvalidState},
      {kInvalidProducerEpoch, Answer::kFenced},
      {kProducerFenced, Answer::kFenced},
      {kInvalidProducerIdMapping, Answer::kUnknownProducer},
      {kTransactionalIdAuthorizationFailed, Answer::kNotAllowed},
      {-1, Answer::kOther},
  };
  for (const auto& [code, answer] : table) {
    EXPECT_EQ(classify_end_txn(code), answer) << code;
  }
}

TEST(TransactionOutcome, ADecidedOrOpenTransactionNeedsNoMarker) {
  const PreparedEpoch epoch = epoch_of(7, 2);
  EXPECT_EQ(judge_transaction(Answer::kDone, {}, epoch), Verdict::kCommitted);
  for (const Answer open : {Answer::kInProgress, Answer::kTryElsewhere, Answer::kNoAnswer}) {
    EXPECT_EQ(judge_transaction(open, {}, epoch), Verdict::kRetry);
    // Not even a marker below N may turn "open" into "aborted".
    EXPECT_EQ(judge_transaction(open, {State::kPresent, {6, 2}}, epoch), Verdict::kRetry);
  }
}

TEST(TransactionOutcome, TheMarkerDecidesWhatTheCoordinatorCannot) {
  struct Row {
    MarkerFact marker;
    Verdict verdict;
    const char* why;
  };
  const Row table[] = {
      {{State::kUnread, {}}, Verdict::kReadMarker, "nothing was asked yet"},
      {{State::kUnstable, {}}, Verdict::kFence, "a replay of the epoch died before its commit"},
      {{State::kForeign, {}}, Verdict::kUnknown, "somebody else writes to the group"},
      {{State::kAbsent, {}}, Verdict::kAborted, "no marker, and it cannot have expired"},
      {{State::kPresent, {7, 2}}, Verdict::kAlreadyCommitted, "exactly this epoch"},
      {{State::kPresent, {8, 2}}, Verdict::kAlreadyCommitted, "N+1 is never before N"},
      {{State::kPresent, {9, 5}}, Verdict::kAlreadyCommitted, "a later attempt went on from it"},
      {{State::kPresent, {6, 2}}, Verdict::kAborted, "the epoch before"},
      {{State::kPresent, {6, 1}}, Verdict::kAborted, "an earlier attempt's epoch"},
      {{State::kPresent, {7, 3}}, Verdict::kUnknown, "same number, other attempt: a branch"},
      {{State::kPresent, {8, 1}}, Verdict::kUnknown, "later number, earlier attempt: a branch"},
      {{State::kPresent, {6, 3}}, Verdict::kUnknown, "earlier number, later attempt: a branch"},
  };
  for (const Answer answer : {Answer::kInvalidState, Answer::kFenced, Answer::kUnknownProducer}) {
    for (const Row& row : table) {
      EXPECT_EQ(judge_transaction(answer, row.marker, epoch_of(7, 2)), row.verdict) << row.why;
    }
  }
}

TEST(TransactionOutcome, N1_AMarkerThatMayHaveExpiredProvesNothing) {
  const MarkerFact absent{State::kAbsent, {}};
  EXPECT_EQ(judge_transaction(Answer::kFenced, absent, epoch_of(7, 2, kWeekMs + 1)),
            Verdict::kUnknown);
  EXPECT_EQ(judge_transaction(Answer::kFenced, absent, epoch_of(7, 2, kWeekMs - 60'000)),
            Verdict::kUnknown);
  EXPECT_EQ(judge_transaction(Answer::kFenced, absent, epoch_of(7, 2, -1)), Verdict::kUnknown)
      << "the clock went back";
  EXPECT_EQ(judge_transaction(Answer::kFenced, absent, epoch_of(7, 2, kWeekMs / 2)),
            Verdict::kAborted);
}

TEST(TransactionOutcome, WithoutTheRightToCommitAMissingMarkerMayMeanOpen) {
  for (const Answer answer : {Answer::kNotAllowed, Answer::kOther}) {
    EXPECT_EQ(judge_transaction(answer, {State::kUnstable, {}}, epoch_of(7, 2)), Verdict::kRetry);
    EXPECT_EQ(judge_transaction(answer, {State::kAbsent, {}}, epoch_of(7, 2)), Verdict::kUnknown);
    EXPECT_EQ(judge_transaction(answer, {State::kPresent, {6, 2}}, epoch_of(7, 2)),
              Verdict::kUnknown);
    EXPECT_EQ(judge_transaction(answer, {State::kPresent, {7, 2}}, epoch_of(7, 2)),
              Verdict::kAlreadyCommitted);
  }
}

// N8: the job that asks came from checkpoint 9 of line 500, which came from checkpoint 4 of
// line 70.
TEST(TransactionOutcome, N8_AMarkerOfAnotherLineProvesOnlyWhatItsPlaceInThePastProves) {
  struct Row {
    Marker marker;
    Verdict verdict;
    const char* why;
  };
  const Row table[] = {
      {{7, 2, 500}, Verdict::kAlreadyCommitted, "exactly this epoch"},
      {{4, 1, 70}, Verdict::kAborted, "the epoch of this id before the branch"},
      {{6, 2, 70}, Verdict::kUnknown, "the other line went on after the branch"},
      {{7, 2, 70}, Verdict::kUnknown, "the same numbers, but of another line"},
      {{8, 3, 71}, Verdict::kUnknown, "a line nobody knows"},
      {{6, 2, 71}, Verdict::kUnknown, "a line nobody knows"},
      {{12, 9, 71, {500, 9}}, Verdict::kAlreadyCommitted, "a line that began behind the epoch"},
      {{12, 9, 71, {500, 7}}, Verdict::kAlreadyCommitted, "a line that began with the epoch"},
      {{12, 9, 71, {500, 6}}, Verdict::kUnknown, "a line that began before the epoch"},
      {{12, 9, 71, {70, 9}}, Verdict::kUnknown, "a line that began elsewhere"},
  };
  PreparedEpoch epoch = epoch_of(7, 2);
  epoch.incarnation = 500;
  epoch.lineage = {{70, 4}, {500, 9}};
  for (const Row& row : table) {
    EXPECT_EQ(judge_transaction(Answer::kFenced, {State::kPresent, row.marker}, epoch), row.verdict)
        << row.why;
  }
}

TEST(TransactionOutcome, MarkersAreReadBackAsWritten) {
  const auto marker = parse_marker(12, marker_metadata({12, 3, 0x7fffffffffffffff}));
  ASSERT_TRUE(marker.has_value());
  EXPECT_EQ(marker->checkpoint, 12);
  EXPECT_EQ(marker->attempt, 3);
  EXPECT_EQ(marker->incarnation, 0x7fffffffffffffff);
  EXPECT_EQ(parse_marker(12, "weir1 checkpoint=12 attempt=3")->incarnation, 0);
  const auto branched = parse_marker(12, marker_metadata({12, 3, 8, {5, 6}}));
  ASSERT_TRUE(branched.has_value());
  EXPECT_EQ(branched->from, (LineageEntry{5, 6}));
  EXPECT_EQ(branch_of({{3, 1}, {5, 6}}, 8), (LineageEntry{5, 6}));
  EXPECT_EQ(branch_of({{3, 1}, {5, 6}}, 5), (LineageEntry{3, 1}));
  EXPECT_EQ(branch_of({{3, 1}, {5, 6}}, 3), LineageEntry{});
  EXPECT_FALSE(parse_marker(13, marker_metadata({12, 3})).has_value());
  for (const char* text :
       {"", "weir1", "weir1 checkpoint=12", "weir1 checkpoint=12 attempt=",
        "weir1 checkpoint=12 attempt=3 ", "weir1 checkpoint=12 attempt=3 incarnation=x",
        "weir1 checkpoint=12 attempt=3 incarnation=1 from=2", "weir2 checkpoint=12 attempt=3"}) {
    EXPECT_FALSE(parse_marker(12, text).has_value()) << text;
  }
}

}  // namespace
}  // namespace weir::kafka
