#include "print/print_sink.h"

#include <cstdio>
#include <string>

#include <gtest/gtest.h>

namespace weir::print {
namespace {

struct Word {
  std::string text;
  int count = 0;
};
struct Line {
  Word longest;
  double share = 0;
  bool is_last = false;
};

template <class T>
std::string text_of(const T& value) {
  std::string out;
  append_text(out, value);
  return out;
}

/// What a writer of this sink writes.
std::string written(int parallelism, int subtask,
                    const std::function<std::shared_ptr<Sink>(std::FILE*)>& make_sink) {
  std::FILE* const file = std::tmpfile();
  SinkWriterContext context;
  context.subtask.parallelism = parallelism;
  context.subtask.subtask = subtask;
  const auto sink = make_sink(file);
  const auto writer = sink->create_writer(std::move(context), {}).value();
  auto batch = Batch::make<Word>();
  batch->push_back(Word{"to", 2}, 0);
  batch->push_back(Word{"be", 1}, 0);
  EXPECT_TRUE(writer->write(*batch).ok());
  EXPECT_TRUE(writer->begin_prepare(1).ok());
  EXPECT_TRUE(writer->poll_prepared(1).value().has_value());
  std::rewind(file);
  std::string text(1000, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  return text;
}

TEST(Print, NumbersAndStringsAreThemselvesAndMembersHaveNames) {
  EXPECT_EQ(text_of(-3), "-3");
  EXPECT_EQ(text_of(std::string("weir")), "weir");
  EXPECT_EQ(text_of(Line{{"weir", 3}, 0.5, true}),
            "{longest={text=weir, count=3}, share=0.5, is_last=true}");
}

TEST(Print, EachRecordIsALineThatIsOutBeforeTheCheckpoint) {
  EXPECT_EQ(written(1, 0, [](std::FILE* file) { return to_stdout<Word>(file); }),
            "{text=to, count=2}\n{text=be, count=1}\n");
}

TEST(Print, SeveralSubtasksAreToldApart) {
  EXPECT_EQ(written(2, 1, [](std::FILE* file) { return to_stdout<Word>(file); }),
            "2> {text=to, count=2}\n2> {text=be, count=1}\n");
}

TEST(Print, AFunctionDecidesTheText) {
  const auto format = [](const Word& word, std::string& out) { out += word.text; };
  EXPECT_EQ(written(1, 0, [&](std::FILE* file) { return to_stdout<Word>(format, file); }),
            "to\nbe\n");
}

}  // namespace
}  // namespace weir::print
