#include "runtime/dealt_splits.h"

#include <gmock/gmock.h>

#include <stdexcept>
#include <string>

namespace weir::runtime {
namespace {

using ::testing::ElementsAre;

class DealtSplitsTest : public ::testing::Test {
 protected:
  std::vector<std::string> delivered_;
  DealtSplits dealt_{2, [this](int subtask, TaskMessage message) {
                       std::string line = std::to_string(subtask) + ":";
                       if (const auto* add = std::get_if<AddSplits>(&message)) {
                         for (const SourceSplit& split : add->splits) {
                           line += " " + split.id;
                         }
                       } else if (std::holds_alternative<NoMoreSplits>(message)) {
                         line += " no more";
                       }
                       delivered_.push_back(line);
                     }};
};

TEST_F(DealtSplitsTest, AReaderGetsAllOfOneCallAtOnce) {
  dealt_.assign(1, {{"a", ""}});
  dealt_.assign(0, {{"b", ""}});
  dealt_.assign(1, {{"c", ""}, {"d", ""}});
  EXPECT_THAT(delivered_, ElementsAre());
  dealt_.deliver();
  EXPECT_THAT(delivered_, ElementsAre("0: b", "1: a c d"));
  dealt_.deliver();
  EXPECT_EQ(delivered_.size(), 2u);
}

TEST_F(DealtSplitsTest, TheLastSplitsComeBeforeTheWordThatTheyAre) {
  dealt_.signal_no_more(0);
  dealt_.assign(0, {{"a", ""}});
  dealt_.signal_no_more(1);
  dealt_.deliver();
  EXPECT_THAT(delivered_, ElementsAre("0: a", "0: no more", "1: no more"));
}

TEST_F(DealtSplitsTest, ASubtaskThatThereIsNotIsRefused) {
  EXPECT_THROW(dealt_.assign(2, {{"a", ""}}), std::out_of_range);
  EXPECT_THROW(dealt_.signal_no_more(-1), std::out_of_range);
}

}  // namespace
}  // namespace weir::runtime
