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

TEST(StateChain, GoesOnInRestoredFiles) {
  StateChain chain;
  chain.begin(4, {file("base", 1000), file("delta", 10)});
  EXPECT_EQ(chain.base_for(4).files.size(), 2U);
}

TEST(StateChain, ForgetsWhatIsNotBuiltUponAnyMore) {
  StateChain chain;
  chain.add(1, {file("a", 1)});
  chain.add(2, {file("b", 1)});
  chain.forget_before(2);
  EXPECT_EQ(chain.base_for(1).checkpoint, 0);
  EXPECT_EQ(chain.base_for(2).checkpoint, 2);
}

TEST(StateChain, BeginsANewBaseWhenTheDeltasHaveHalfOfItsBytes) {
  StateChain chain;
  chain.add(1, {file("base", 1000), file("d", 200), file("d", 299)});
  EXPECT_EQ(chain.base_for(1).checkpoint, 1);
  chain.add(2, {file("base", 1000), file("d", 200), file("d", 300)});
  EXPECT_EQ(chain.base_for(2).checkpoint, 0);
}

TEST(StateChain, BeginsANewBaseWhenThereAreTooManyFiles) {
  StateChain chain;
  std::vector<StateHandle> files{file("base", 1 << 20)};
  files.resize(StateChain::kFilesMax - 1, file("delta", 1));
  chain.add(1, files);
  EXPECT_EQ(chain.base_for(1).checkpoint, 1);
  files.push_back(file("delta", 1));
  chain.add(2, files);
  EXPECT_EQ(chain.base_for(2).checkpoint, 0);
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
