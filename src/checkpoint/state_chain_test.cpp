#include "checkpoint/state_chain.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>

namespace weir::checkpoint {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

StateHandle file(const std::string& path, std::uint64_t bytes) {
  return {{path, bytes, 1}, "heap", {0, 127}, ""};
}

TEST(StateChain, ADeltaBuildsOnTheFilesOfTheCheckpointThatTheBarrierNames) {
  StateChain chain;
  EXPECT_EQ(chain.base_for(0).checkpoint, 0);
  EXPECT_EQ(chain.base_for(7).checkpoint, 0) << "no file of it";
  chain.add(7, {file("base", 1000)});
  StateChain::Base base = chain.base_for(7);
  EXPECT_EQ(base.checkpoint, 7);
  base.files.push_back(file("delta-8", 10));
  chain.add(8, base.files);
  // 8 is not known to be complete when 9 starts.
  base = chain.base_for(7);
  EXPECT_THAT(base.files, ElementsAre(file("base", 1000)));
  EXPECT_THAT(chain.base_for(8).files, ElementsAre(file("base", 1000), file("delta-8", 10)));
}

TEST(StateChain, GoesOnInRestoredFilesOfJustItsKeyGroups) {
  StateChain chain;
  EXPECT_TRUE(chain.begin(4, {file("shared/base", 1000), file("shared/delta", 10)}, {0, 127}));
  EXPECT_EQ(chain.base_for(4).files.size(), 2U);
  EXPECT_FALSE(StateChain().begin(4, {file("shared/base", 1000)}, {0, 63})) << "rescaled";
  EXPECT_FALSE(StateChain().begin(4, {file("chk-4/base", 1000)}, {0, 127})) << "not to be shared";
  EXPECT_FALSE(StateChain().begin(4, {}, {0, 127})) << "there was no state";
}

TEST(StateChain, ForgetsWhatIsNotBuiltUponAnyMore) {
  StateChain chain;
  chain.add(1, {file("a", 1)});
  chain.add(2, {file("b", 1)});
  chain.forget_before(2);
  EXPECT_EQ(chain.base_for(1).checkpoint, 0);
  EXPECT_EQ(chain.base_for(2).checkpoint, 2);
}

StateHandle link(std::uint64_t bytes, KeyGroupRange whole, std::uint64_t whole_bytes,
                 std::uint64_t raw_bytes = 0) {
  return {{"", bytes, 1}, "heap", {0, 127}, ChainLink{whole, whole_bytes, raw_bytes}.encode()};
}

TEST(ChainLink, IsReadBack) {
  const ChainLink some = ChainLink::of(link(100, {3, 17}, 90), false);
  EXPECT_EQ(some.whole, (KeyGroupRange{3, 17}));
  EXPECT_EQ(some.whole_bytes, 90U);
  EXPECT_EQ(some.raw_bytes, 0U);
  EXPECT_EQ(ChainLink::of(link(100, {3, 17}, 90, 150), false).raw_bytes, 150U);
  EXPECT_EQ(ChainLink::of(link(100, {}, 0), true).whole.size(), 0);
  // Of weir 0.1: the first file is the base.
  EXPECT_EQ(ChainLink::of(file("base", 1000), true).whole, (KeyGroupRange{0, 127}));
  EXPECT_EQ(ChainLink::of(file("base", 1000), true).whole_bytes, 1000U);
  EXPECT_EQ(ChainLink::of(file("delta", 10), false).whole.size(), 0);
  for (const KeyGroupRange outside : {KeyGroupRange{100, 128}, KeyGroupRange{200, 300}}) {
    EXPECT_EQ(ChainLink::of(link(100, outside, 90), false).whole.size(), 0);
  }
}

/// A job whose state has `state_bytes`, evenly spread, of which each checkpoint finds `delta_bytes`
/// changed. Files are compressed to `stored_percent`.
class Steady {
 public:
  Steady(int groups, std::uint64_t state_bytes, std::uint64_t delta_bytes,
         std::uint64_t stored_percent = 100)
      : all_{0, groups - 1},
        state_bytes_(state_bytes),
        delta_bytes_(delta_bytes),
        stored_percent_(stored_percent) {}

  void checkpoint() {
    const StateChain::Base base = chain_.base_for(last_);
    const KeyGroupRange whole = base.checkpoint == 0 ? all_ : base.whole;
    const auto share = static_cast<double>(whole.size()) / all_.size();
    const auto whole_bytes = static_cast<std::uint64_t>(static_cast<double>(state_bytes_) * share);
    const auto rest = static_cast<std::uint64_t>(static_cast<double>(delta_bytes_) * (1 - share));
    const std::uint64_t raw_bytes = whole_bytes + rest;
    const ChainLink link{whole, whole_bytes, stored_percent_ == 100 ? 0 : raw_bytes};
    files = StateChain::extended(
        base.files, {{"shared/" + std::to_string(++last_), raw_bytes * stored_percent_ / 100, 1},
                     "heap",
                     all_,
                     link.encode()});
    chain_.add(last_, files);
    chain_.forget_before(last_);
    written = files.back().file.length_bytes;
    total = 0;
    for (const StateHandle& handle : files) {
      total += handle.file.length_bytes;
    }
  }

  std::vector<StateHandle> files;
  std::uint64_t written = 0;  ///< by the last checkpoint
  std::uint64_t total = 0;    ///< of all files

 private:
  const KeyGroupRange all_;
  const std::uint64_t state_bytes_;
  const std::uint64_t delta_bytes_;
  const std::uint64_t stored_percent_;
  StateChain chain_;
  CheckpointId last_ = 0;
};

TEST(StateChain, RenewsAFewKeyGroupsWithEveryFile) {
  Steady job(128, 1'000'000, 10'000);
  job.checkpoint();
  EXPECT_EQ(job.written, 1'000'000U);
  for (int i = 0; i < 60; ++i) {
    job.checkpoint();
    EXPECT_LE(job.written, 50'000U) << i;
  }
  std::uint64_t sum = 0;
  for (int i = 0; i < 500; ++i) {
    job.checkpoint();
    EXPECT_LE(job.written, 50'000U) << i;
    EXPECT_LE(job.total, 1'550'000U) << i;
    EXPECT_LE(job.files.size(), 55U) << i;
    sum += job.written;
  }
  EXPECT_LT(sum / 500, 32'000U) << "twice as many bytes are renewed as there are in deltas";
}

TEST(StateChain, RenewsLessWhereCompressionLeavesRoomForWhatIsOutdated) {
  // Deltas of 2 %: as they are, half of the state is reached after 25 of them. At half the size, a
  // whole state of outdated bytes may be stored beside half of one: after 100.
  Steady job(128, 1'000'000, 20'000, 50);
  for (int i = 0; i < 200; ++i) {
    job.checkpoint();
  }
  std::uint64_t sum = 0;
  for (int i = 0; i < 500; ++i) {
    job.checkpoint();
    EXPECT_LE(job.total, 1'530'000U) << i;
    sum += job.written;
  }
  EXPECT_LT(sum / 500, 15'500U) << "half as many bytes are renewed as there are in deltas";
  EXPECT_GT(job.files.size(), 90U);
}

TEST(StateChain, WhatWasRenewedInOneGoIsSpreadNextTime) {
  // Half of the state came with one file.
  StateChain chain;
  std::vector<StateHandle> files{link(1'000'000, {0, 127}, 1'000'000),
                                 link(500'000, {0, 63}, 500'000)};
  int most = 0;
  for (int i = 2; i < 300; ++i) {
    chain.add(i, files);
    const StateChain::Base base = chain.base_for(i);
    ASSERT_EQ(base.checkpoint, i);
    const auto whole_bytes = static_cast<std::uint64_t>(base.whole.size()) * 1'000'000 / 128;
    files = StateChain::extended(base.files, link(10'000 + whole_bytes, base.whole, whole_bytes));
    most = std::max(most, base.whole.size());
  }
  EXPECT_LE(most, 6);
  EXPECT_LE(files.size(), 60U);
}

TEST(StateChain, HasNotTooManyFilesWhateverLittleTheyHold) {
  for (const int groups : {1, 5, 64, 128}) {
    Steady job(groups, 1'000'000, 10);
    for (int i = 0; i < 1000; ++i) {
      job.checkpoint();
      EXPECT_LE(job.files.size(), StateChain::kFilesMax + 2) << groups << " key groups";
    }
  }
}

TEST(StateChain, BeginsANewBaseWhenMostOfTheStateHasChanged) {
  Steady job(128, 1'000'000, 900'000);
  for (int i = 0; i < 20; ++i) {
    job.checkpoint();
    EXPECT_LE(job.files.size(), 2U);
    EXPECT_LE(job.total, 2'000'000U);
  }
}

TEST(StateChain, AStateThatGrowsIsNotWrittenAgainAndAgain) {
  StateChain chain;
  chain.add(1, {link(1000, {0, 127}, 1000)});
  // A hundred times as much as there was: all of it is due, once.
  std::vector<StateHandle> files{link(1000, {0, 127}, 1000), link(100'000, {}, 0)};
  chain.add(2, files);
  EXPECT_EQ(chain.base_for(2).checkpoint, 0);
  chain.add(3, {link(101'000, {0, 127}, 101'000)});
  EXPECT_EQ(chain.base_for(3).checkpoint, 3);
  EXPECT_EQ(chain.base_for(3).whole.size(), 0);
}

Manifest complete(CheckpointId checkpoint, const std::vector<std::string>& paths) {
  Manifest manifest;
  manifest.checkpoint = checkpoint;
  SubtaskSnapshot subtask;
  for (const std::string& path : paths) {
    subtask.files.push_back(file(path, 1));
  }
  manifest.operators = {{"uid", "", 1, 128, {}, {subtask}}};
  return manifest;
}

TEST(FilesBuiltUpon, HoldsTheFilesOfACheckpointUntilNoneUnderWayBuildsOnIt) {
  FilesBuiltUpon files;
  files.on_complete(complete(1, {"base"}));
  files.on_triggered(2, 1);
  files.on_triggered(3, 1);
  files.on_complete(complete(2, {"new base"}));
  files.on_over(2);
  EXPECT_THAT(files.files(), UnorderedElementsAre("base", "new base")) << "3 builds on 1";
  files.on_over(3);
  EXPECT_THAT(files.files(), ElementsAre("new base"));
}

TEST(FilesBuiltUpon, HoldsTheLastCompleteOneReadyForTheNext) {
  FilesBuiltUpon files;
  EXPECT_THAT(files.files(), IsEmpty());
  files.on_triggered(1, 0);
  files.on_over(1);
  files.on_complete(complete(2, {"a", "b"}));
  EXPECT_THAT(files.files(), ElementsAre("a", "b"));
}

}  // namespace
}  // namespace weir::checkpoint
