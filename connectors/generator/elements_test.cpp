#include "generator/elements.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir::generator {
namespace {

struct Words final : SourceOutput, EnumeratorContext {
  void emit(const std::string&, BatchPtr batch) override {
    for (const std::string& word : batch->records<std::string>()) {
      words.push_back(word);
    }
  }
  void split_finished(const std::string&) override {}
  int parallelism() const override { return 1; }
  void assign(int, std::vector<SourceSplit> splits) override {
    EXPECT_TRUE(reader->add_splits(std::move(splits)).ok());
  }
  void signal_no_more_splits(int) override { reader->no_more_splits(); }
  MetricGroup& metrics() override { std::abort(); }

  std::unique_ptr<SourceReader> reader;
  std::vector<std::string> words;
};

std::vector<std::string> words_of(weir::Source& source) {
  Words host;
  host.reader = source.create_reader({}).value();
  EXPECT_TRUE(source.create_enumerator({}).value()->start(host, {}).ok());
  while (host.reader->poll(host).value() != PollResult::kFinished) {
  }
  return host.words;
}

TEST(FromElements, YieldsTheElementsInTheirOrderAndEnds) {
  const auto source = from_elements<std::string>({"to", "be", "or"});
  EXPECT_EQ(source->boundedness(), Boundedness::kBounded);
  EXPECT_THAT(words_of(*source), testing::ElementsAre("to", "be", "or"));
}

TEST(FromElements, NoElementsAreAnEmptyStream) {
  EXPECT_THAT(words_of(*from_elements<std::string>({})), testing::IsEmpty());
}

}  // namespace
}  // namespace weir::generator
