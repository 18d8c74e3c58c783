#include "checkpoint/barrier_aligner.h"

#include <map>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace weir::checkpoint {
namespace {

using Ids = std::vector<CheckpointId>;

TEST(BarrierAligner, InputsThatAreAheadAreBlockedUntilAllHaveTheBarrier) {
  BarrierAligner aligner(3, AlignmentMode::kExactlyOnce);
  const AlignerVerdict first = aligner.on_barrier(0, 1);
  EXPECT_EQ(first.started, Ids{1});
  EXPECT_TRUE(first.has_blocking_changed);
  EXPECT_TRUE(aligner.is_blocked(0));
  EXPECT_FALSE(aligner.is_blocked(1));
  EXPECT_EQ(aligner.on_barrier(2, 1).aligned, Ids{});
  EXPECT_EQ(aligner.inputs_missing(1), std::vector<std::size_t>{1});
  const AlignerVerdict last = aligner.on_barrier(1, 1);
  EXPECT_EQ(last.aligned, Ids{1});
  EXPECT_FALSE(aligner.is_blocked(0));
  EXPECT_EQ(aligner.pending(), Ids{});
}

TEST(BarrierAligner, OneInputIsAlignedAtOnce) {
  BarrierAligner aligner(1, AlignmentMode::kExactlyOnce);
  EXPECT_EQ(aligner.on_barrier(0, 5).aligned, Ids{5});
  EXPECT_FALSE(aligner.is_blocked(0));
}

TEST(BarrierAligner, ANewerBarrierEndsAnOlderAlignment) {
  BarrierAligner aligner(2, AlignmentMode::kExactlyOnce);
  (void)aligner.on_barrier(0, 1);
  const AlignerVerdict verdict = aligner.on_barrier(1, 2);
  EXPECT_EQ(verdict.aborted, Ids{1});
  EXPECT_EQ(verdict.started, Ids{2});
  EXPECT_FALSE(aligner.is_blocked(0));
  EXPECT_TRUE(aligner.is_blocked(1));
  EXPECT_EQ(aligner.on_barrier(0, 2).aligned, Ids{2});
}

TEST(BarrierAligner, ABarrierThatComesTooLateDecidesNothing) {
  BarrierAligner aligner(2, AlignmentMode::kExactlyOnce);
  (void)aligner.on_barrier(0, 2);
  const AlignerVerdict late = aligner.on_barrier(1, 1);
  EXPECT_TRUE(late.aborted.empty() && late.aligned.empty() && late.started.empty());
  EXPECT_EQ(aligner.on_barrier(1, 2).aligned, Ids{2});
}

TEST(BarrierAligner, ACancelMarkerReleasesWhoWaits) {
  BarrierAligner aligner(2, AlignmentMode::kExactlyOnce);
  (void)aligner.on_barrier(0, 1);
  const AlignerVerdict verdict = aligner.on_cancel(1, 1);
  EXPECT_EQ(verdict.aborted, Ids{1});
  EXPECT_TRUE(verdict.has_blocking_changed);
  EXPECT_FALSE(aligner.is_blocked(0));
  EXPECT_TRUE(aligner.on_cancel(0, 1).aborted.empty());
}

TEST(BarrierAligner, ACancelMarkerBeforeAnyBarrierIsPassedOnOnce) {
  BarrierAligner aligner(2, AlignmentMode::kExactlyOnce);
  EXPECT_EQ(aligner.on_cancel(0, 1).aborted, Ids{1});
  const AlignerVerdict late = aligner.on_barrier(1, 1);
  EXPECT_TRUE(late.aborted.empty() && late.started.empty());
  EXPECT_FALSE(aligner.is_blocked(1));
}

TEST(BarrierAligner, TheCoordinatorsAbortReleasesWhoWaits) {
  BarrierAligner aligner(2, AlignmentMode::kExactlyOnce);
  (void)aligner.on_barrier(0, 1);
  EXPECT_EQ(aligner.abort(1).aborted, Ids{1});
  EXPECT_FALSE(aligner.is_blocked(0));
  EXPECT_TRUE(aligner.on_barrier(1, 1).started.empty());
}

TEST(BarrierAligner, AnAbortAheadOfItsBarriersIsPassedOnWithTheFirstOfThem) {
  BarrierAligner aligner(2, AlignmentMode::kExactlyOnce);
  EXPECT_TRUE(aligner.abort(2).aborted.empty());
  (void)aligner.on_barrier(0, 1);
  EXPECT_EQ(aligner.on_barrier(1, 1).aligned, Ids{1});
  EXPECT_EQ(aligner.on_barrier(0, 2).aborted, Ids{2});
  EXPECT_FALSE(aligner.is_blocked(0));
  EXPECT_TRUE(aligner.on_barrier(1, 2).aborted.empty());
}

TEST(BarrierAligner, AnEndedInputCountsForPendingAndFutureBarriers) {
  BarrierAligner aligner(2, AlignmentMode::kExactlyOnce);
  (void)aligner.on_barrier(0, 1);
  EXPECT_EQ(aligner.on_end_of_input(1).aligned, Ids{1});
  EXPECT_FALSE(aligner.is_blocked(0));
  EXPECT_EQ(aligner.on_barrier(0, 2).aligned, Ids{2});
  (void)aligner.on_end_of_input(0);
  EXPECT_TRUE(aligner.have_all_ended());
}

TEST(BarrierAligner, AtLeastOnceCountsSeveralAndBlocksNobody) {
  BarrierAligner aligner(2, AlignmentMode::kAtLeastOnce);
  (void)aligner.on_barrier(0, 1);
  (void)aligner.on_barrier(0, 2);
  EXPECT_EQ(aligner.pending(), (Ids{1, 2}));
  EXPECT_FALSE(aligner.is_blocked(0));
  EXPECT_EQ(aligner.on_barrier(1, 1).aligned, Ids{1});
  EXPECT_EQ(aligner.on_end_of_input(1).aligned, Ids{2});
}

TEST(BarrierAligner, AtLeastOnceACancelDoesNotOvertakeAnEarlierBarrier) {
  BarrierAligner aligner(2, AlignmentMode::kAtLeastOnce);
  (void)aligner.on_barrier(0, 1);
  // Forwarded now, the marker would tell downstream that barrier 1 will not come.
  EXPECT_TRUE(aligner.on_cancel(0, 2).aborted.empty());
  EXPECT_EQ(aligner.on_barrier(1, 1).aligned, Ids{1});
  EXPECT_TRUE(aligner.on_barrier(1, 2).started.empty());
}

/// Random streams of ascending barriers, cancels and ends: every verdict must fit a simple model.
TEST(BarrierAligner, RandomStreamsKeepTheInvariants) {
  for (std::uint64_t seed = 0; seed < 20'000; ++seed) {
    std::mt19937_64 chance(seed);
    const auto pick = [&](std::size_t n) { return static_cast<std::size_t>(chance() % n); };
    const auto mode = pick(2) == 0 ? AlignmentMode::kExactlyOnce : AlignmentMode::kAtLeastOnce;
    const std::size_t inputs = 1 + pick(4);
    BarrierAligner aligner(inputs, mode);
    std::vector<CheckpointId> last(inputs, 0);
    std::vector<std::set<CheckpointId>> delivered(inputs);
    CheckpointId last_aligned = 0;
    std::map<CheckpointId, int> outcomes;
    for (int step = 0; step < 40; ++step) {
      AlignerVerdict verdict;
      const std::size_t input = pick(inputs);
      const std::size_t what = pick(20);
      if (what == 0) {
        verdict = aligner.abort(static_cast<CheckpointId>(1 + pick(10)));
      } else if (aligner.is_blocked(input) || aligner.has_ended(input)) {
        continue;
      } else if (what == 1) {
        verdict = aligner.on_end_of_input(input);
      } else {
        last[input] += pick(4) == 0 ? 2 : 1;
        if (what <= 3) {
          verdict = aligner.on_cancel(input, last[input]);
        } else {
          delivered[input].insert(last[input]);
          verdict = aligner.on_barrier(input, last[input]);
        }
      }
      for (const CheckpointId id : verdict.aborted) {
        ASSERT_EQ(++outcomes[id], 1) << "seed " << seed << " checkpoint " << id;
      }
      for (const CheckpointId id : verdict.aligned) {
        ASSERT_EQ(++outcomes[id], 1) << "seed " << seed << " checkpoint " << id;
        ASSERT_GT(id, last_aligned);
        last_aligned = id;
        for (std::size_t i = 0; i < inputs; ++i) {
          ASSERT_TRUE(delivered[i].contains(id) || aligner.has_ended(i)) << "seed " << seed;
        }
      }
      std::size_t blocked = 0;
      for (std::size_t i = 0; i < inputs; ++i) {
        blocked += aligner.is_blocked(i) ? 1 : 0;
      }
      ASSERT_TRUE(blocked == 0 || !aligner.pending().empty()) << "seed " << seed;
      ASSERT_LT(blocked, inputs) << "seed " << seed << ": a deadlock";
    }
  }
}

// ---- overtaking

TEST(BarrierAligner, AnOvertakenCheckpointBlocksNobodyAndLogsWhoOwesTheBarrier) {
  BarrierAligner aligner(3, AlignmentMode::kExactlyOnce);
  (void)aligner.on_barrier(0, 1);
  EXPECT_TRUE(aligner.is_blocked(0));
  ASSERT_TRUE(aligner.may_overtake(1));
  const AlignerVerdict verdict = aligner.overtake(1);
  EXPECT_TRUE(verdict.has_blocking_changed);
  EXPECT_TRUE(verdict.logged.empty() && verdict.aligned.empty());
  EXPECT_FALSE(aligner.may_overtake(1)) << "once";
  EXPECT_FALSE(aligner.is_blocked(0));
  EXPECT_FALSE(aligner.is_logging(0));
  EXPECT_TRUE(aligner.is_logging(1) && aligner.is_logging(2));
  EXPECT_EQ(aligner.logging_checkpoint(), 1);
  EXPECT_TRUE(aligner.on_logged(2).logged.empty());
  EXPECT_EQ(aligner.on_barrier(1, 1).logged, Ids{1});
  EXPECT_EQ(aligner.logging_checkpoint(), 0);
  const AlignerVerdict last = aligner.on_barrier(2, 1);
  EXPECT_TRUE(last.aligned.empty() && last.logged.empty()) << "its snapshot was taken long ago";
  EXPECT_EQ(aligner.pending(), Ids{});
}

TEST(BarrierAligner, AnAnnouncedCheckpointMayBeOvertakenBeforeAnyBarrierCame) {
  BarrierAligner aligner(2, AlignmentMode::kExactlyOnce);
  EXPECT_FALSE(aligner.may_overtake(4));
  EXPECT_EQ(aligner.on_announcement(0, 4).started, Ids{4});
  EXPECT_TRUE(aligner.on_announcement(1, 4).started.empty());
  EXPECT_FALSE(aligner.is_blocked(0));
  (void)aligner.overtake(4);
  EXPECT_TRUE(aligner.is_logging(0) && aligner.is_logging(1));
}

TEST(BarrierAligner, AnAnnouncedCheckpointMayStillBeAligned) {
  BarrierAligner aligner(2, AlignmentMode::kExactlyOnce);
  (void)aligner.on_announcement(0, 4);
  (void)aligner.on_barrier(1, 4);
  EXPECT_TRUE(aligner.is_blocked(1));
  EXPECT_EQ(aligner.on_barrier(0, 4).aligned, Ids{4});
}

TEST(BarrierAligner, TheNextCheckpointAlignsWhileBarriersOfAnOvertakenOneAreStillQueued) {
  BarrierAligner aligner(2, AlignmentMode::kExactlyOnce);
  (void)aligner.on_barrier(0, 1);
  (void)aligner.overtake(1);
  EXPECT_EQ(aligner.on_logged(1).logged, Ids{1});
  (void)aligner.on_barrier(0, 2);  // a savepoint, say
  EXPECT_TRUE(aligner.is_blocked(0));
  (void)aligner.on_barrier(1, 1);
  EXPECT_TRUE(aligner.is_blocked(0)) << "the queued barrier decides nothing";
  EXPECT_EQ(aligner.on_barrier(1, 2).aligned, Ids{2});
}

/// G8: abort of N between the steps of N and N + 1.
TEST(BarrierAligner, G8_AnAbortedCheckpointDoesNotReturnThroughItsAnnouncementOrBarrier) {
  BarrierAligner aligner(2, AlignmentMode::kExactlyOnce);
  (void)aligner.on_announcement(0, 1);
  (void)aligner.overtake(1);
  EXPECT_EQ(aligner.abort(1).aborted, Ids{1});
  EXPECT_FALSE(aligner.is_logging(0));
  (void)aligner.on_announcement(1, 1);
  EXPECT_FALSE(aligner.may_overtake(1));
  (void)aligner.on_announcement(1, 2);
  (void)aligner.overtake(2);
  EXPECT_TRUE(aligner.on_barrier(0, 1).logged.empty());
  EXPECT_EQ(aligner.on_barrier(0, 2).logged, Ids{});
  EXPECT_EQ(aligner.on_logged(1).logged, Ids{2});
  (void)aligner.abort(3);
  EXPECT_TRUE(aligner.on_announcement(0, 3).started.empty());
  EXPECT_FALSE(aligner.may_overtake(3));
}

TEST(BarrierAligner, OvertakingGivesUpWhatIsStillAligning) {
  BarrierAligner aligner(2, AlignmentMode::kExactlyOnce);
  (void)aligner.on_barrier(0, 1);
  (void)aligner.on_announcement(1, 2);
  const AlignerVerdict verdict = aligner.overtake(2);
  EXPECT_EQ(verdict.aborted, Ids{1});
  EXPECT_FALSE(aligner.is_blocked(0));
  (void)aligner.on_barrier(1, 1);
  EXPECT_EQ(aligner.pending(), Ids{2});
}

}  // namespace
}  // namespace weir::checkpoint
