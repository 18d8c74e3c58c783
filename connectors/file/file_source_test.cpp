#include "file/file_source.h"

#include <algorithm>
#include <charconv>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir::file {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class Metrics final : public MetricGroup {
 public:
  Counter& counter(const std::string& name) override { return counters_[name]; }
  Gauge& gauge(const std::string& name) override { return gauges_[name]; }

 private:
  std::map<std::string, Counter> counters_;
  std::map<std::string, Gauge> gauges_;
};

bool parse_number(std::string_view line, int& out) {
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), out);
  return error == std::errc() && end == line.data() + line.size();
}

/// One enumerator and its readers, with split requests answered like the runtime does: later.
template <class T>
class Host final : public EnumeratorContext, public SourceOutput {
 public:
  Host(Source& source, int parallelism) : source_(source), parallelism_(parallelism) {
    for (int i = 0; i < parallelism; ++i) {
      SourceReaderContext context;
      context.metrics = &metrics_;
      context.request_split = [this, i] { requests_.push_back(i); };
      readers.push_back(source.create_reader(std::move(context)).value());
    }
  }
  Status start() {
    enumerator_ = source_.create_enumerator({}).value();
    return enumerator_->start(*this, {});
  }
  Status restore(const std::string& state, std::vector<SourceSplit> splits) {
    enumerator_ = source_.restore_enumerator({}, state).value();
    WEIR_TRY(enumerator_->start(*this, splits));
    for (std::size_t i = 0; i < splits.size(); ++i) {
      WEIR_TRY(readers[i % readers.size()]->add_splits({splits[i]}));
    }
    return {};
  }
  /// One poll of each reader. True when all are finished.
  Result<bool> poll() {
    bool is_finished = true;
    for (auto& reader : readers) {
      WEIR_ASSIGN(const PollResult result, reader->poll(*this));
      is_finished = is_finished && result == PollResult::kFinished;
    }
    for (; !requests_.empty(); requests_.pop_front()) {
      WEIR_TRY(enumerator_->handle_split_request(requests_.front()));
    }
    return is_finished;
  }
  Status run() {
    for (int i = 0; i < 10'000; ++i) {
      WEIR_ASSIGN(const bool is_finished, poll());
      if (is_finished) {
        return {};
      }
    }
    return Error{ErrorCode::kTimeout, "the readers do not finish"};
  }
  std::vector<SourceSplit> snapshot() {
    std::vector<SourceSplit> all;
    for (auto& reader : readers) {
      for (auto& split : reader->snapshot(1)) {
        all.push_back(split);
      }
    }
    return all;
  }
  std::string enumerator_state() { return enumerator_->snapshot(1).value(); }

  int parallelism() const override { return parallelism_; }
  void assign(int subtask, std::vector<SourceSplit> splits) override {
    EXPECT_TRUE(readers[static_cast<std::size_t>(subtask)]->add_splits(std::move(splits)).ok());
  }
  void signal_no_more_splits(int subtask) override {
    readers[static_cast<std::size_t>(subtask)]->no_more_splits();
  }
  MetricGroup& metrics() override { return metrics_; }
  void emit(const std::string& /*split_id*/, BatchPtr batch) override {
    for (const T& record : batch->records<T>()) {
      records.push_back(record);
    }
  }
  void split_finished(const std::string& split_id) override { finished.push_back(split_id); }

  std::vector<std::unique_ptr<SourceReader>> readers;
  std::vector<T> records;
  std::vector<std::string> finished;

 private:
  Source& source_;
  int parallelism_;
  Metrics metrics_;
  std::unique_ptr<SplitEnumerator> enumerator_;
  std::deque<int> requests_;
};

class FileSourceTest : public testing::Test {
 protected:
  FileSourceTest() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    root_ = fs::path(testing::TempDir()) /
            ("weir-file-source-" + std::to_string(::getpid()) + "-" + info->name());
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  ~FileSourceTest() override { fs::remove_all(root_); }

  std::string write(const std::string& name, const std::string& text) {
    const fs::path path = root_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
    return path.string();
  }
  std::vector<std::string> lines_of(const std::string& path) {
    const auto source = FileSource<std::string>::for_lines(path).build();
    Host<std::string> host(*source, 1);
    const Status started = host.start();
    EXPECT_TRUE(started.ok());
    const Status status = host.run();
    EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().message);
    return host.records;
  }
  /// `count` numbered lines of different lengths.
  std::string numbers(int first, int count) {
    std::string text;
    for (int i = first; i < first + count; ++i) {
      text += std::to_string(i) + "\n";
    }
    return text;
  }

  fs::path root_;
};

TEST_F(FileSourceTest, LinesComeWithoutTheirEnds) {
  EXPECT_THAT(lines_of(write("a", "one\ntwo\r\n\nfour")), ElementsAre("one", "two", "", "four"));
  EXPECT_THAT(lines_of(write("b", "")), IsEmpty());
  EXPECT_THAT(lines_of(write("c", "\n")), ElementsAre(""));
}

TEST_F(FileSourceTest, LinesLongerThanAPieceAreWhole) {
  const std::string longest(3'000'000, 'x');
  const auto lines = lines_of(write("a", "first\n" + longest + "\nlast\n"));
  ASSERT_THAT(lines, SizeIs(3));
  EXPECT_EQ(lines[1], longest);
  EXPECT_EQ(lines[2], "last");

  const auto source = FileSource<std::string>::for_lines((root_ / "a").string())
                          .with_max_line_size(1'000'000)
                          .build();
  Host<std::string> host(*source, 1);
  ASSERT_TRUE(host.start().ok());
  EXPECT_THAT(host.run().error().message, HasSubstr("line 2"));
}

TEST_F(FileSourceTest, DirectoriesAndPatternsLeaveOutHiddenFiles) {
  write("in/b.csv", "2\n");
  write("in/a.csv", "1\n");
  write("in/deep/c.csv", "3\n");
  write("in/.part-0.inprogress", "9\n");
  write("in/_temporary/d.csv", "9\n");
  EXPECT_THAT(lines_of((root_ / "in").string()), ElementsAre("1", "2", "3"));
  EXPECT_THAT(lines_of((root_ / "in/*.csv").string()), ElementsAre("1", "2"));
  EXPECT_THAT(lines_of("file://" + (root_ / "in/*.csv").string()), ElementsAre("1", "2"));
}

TEST_F(FileSourceTest, WhatCannotBeReadIsSaidBeforeTheStart) {
  const auto preflight = [](const std::string& path) {
    return FileSource<std::string>::for_lines(path).build()->preflight({});
  };
  EXPECT_EQ(preflight((root_ / "none").string()).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(preflight((root_ / "*.none").string()).error().code, ErrorCode::kNotFound);
  EXPECT_THAT(preflight(write("a.gz", "")).error().message, HasSubstr("compressed"));
  EXPECT_TRUE(preflight(write("a.txt", "")).ok());
  EXPECT_THAT(preflight("hdfs:///in").error().message, HasSubstr("'hdfs:///in' is on 'hdfs'"));
}

TEST_F(FileSourceTest, EveryFileIsReadOnceByWhicheverReaderAsks) {
  for (int i = 0; i < 7; ++i) {
    write("in/" + std::to_string(i), numbers(i * 1000, 1000));
  }
  const auto source = FileSource<int>::for_lines((root_ / "in").string(), parse_number).build();
  Host<int> host(*source, 3);
  ASSERT_TRUE(host.start().ok());
  ASSERT_TRUE(host.run().ok());
  std::sort(host.records.begin(), host.records.end());
  ASSERT_THAT(host.records, SizeIs(7000));
  EXPECT_EQ(host.records.back(), 6999);
  EXPECT_EQ(std::unique(host.records.begin(), host.records.end()), host.records.end());
  EXPECT_THAT(host.finished, SizeIs(7));
}

TEST_F(FileSourceTest, GoesOnFromAnySnapshotWithoutLossOrRepetition) {
  write("in/a", numbers(0, 30'000));
  write("in/b", numbers(30'000, 20'000));
  write("in/c", numbers(50'000, 1));
  const auto source = FileSource<int>::for_lines((root_ / "in").string(), parse_number).build();
  for (int polls = 0; polls < 16; ++polls) {
    Host<int> first(*source, 2);
    ASSERT_TRUE(first.start().ok());
    for (int i = 0; i < polls; ++i) {
      ASSERT_TRUE(first.poll().ok());
    }
    Host<int> second(*source, 3);
    ASSERT_TRUE(second.restore(first.enumerator_state(), first.snapshot()).ok());
    ASSERT_TRUE(second.run().ok());
    auto all = first.records;
    all.insert(all.end(), second.records.begin(), second.records.end());
    std::sort(all.begin(), all.end());
    ASSERT_THAT(all, SizeIs(50'001)) << polls;
    EXPECT_EQ(std::unique(all.begin(), all.end()), all.end()) << polls;
  }
}

TEST_F(FileSourceTest, AFileThatWasCutOrChangedIsNoticedOnRestore) {
  const std::string path = write("a", numbers(0, 30'000));
  const auto source = FileSource<int>::for_lines(path, parse_number).build();
  Host<int> first(*source, 1);
  ASSERT_TRUE(first.start().ok());
  ASSERT_TRUE(first.poll().ok());
  ASSERT_TRUE(first.poll().ok());
  ASSERT_THAT(first.snapshot(), SizeIs(1));
  const auto restored = [&] {
    Host<int> second(*source, 1);
    EXPECT_TRUE(second.restore(first.enumerator_state(), first.snapshot()).ok());
    return second.run();
  };
  EXPECT_TRUE(restored().ok());
  write("a", numbers(0, 100));
  EXPECT_THAT(restored().error().message, HasSubstr("was cut"));
  write("a", std::string(300'000, '\n'));
  EXPECT_THAT(restored().error().message, HasSubstr("was changed"));
  fs::remove(path);
  EXPECT_EQ(restored().error().code, ErrorCode::kNotFound);
}

TEST_F(FileSourceTest, ABadLineFailsTheJobAndIsNamed) {
  const std::string path = write("a", "1\n22\nthree\n4\n");
  const auto source = FileSource<int>::for_lines(path, parse_number).build();
  Host<int> host(*source, 1);
  ASSERT_TRUE(host.start().ok());
  const Status status = host.run();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kUser);
  EXPECT_THAT(status.error().message, HasSubstr(path + " line 3 (offset 5)"));
}

TEST_F(FileSourceTest, BadLinesMayBeSkippedAndAreCounted) {
  const std::string path = write("a", "x\n1\nno\n2\ny");
  const auto source =
      FileSource<int>::for_lines(
          path,
          [](std::string_view line, int& out) -> Status {
            return parse_number(line, out) ? Status() : Error{ErrorCode::kUser, "no number"};
          })
          .with_bad_records(BadRecords::kSkip)
          .build();
  Host<int> host(*source, 1);
  ASSERT_TRUE(host.start().ok());
  ASSERT_TRUE(host.run().ok());
  EXPECT_THAT(host.records, ElementsAre(1, 2));
  EXPECT_EQ(host.metrics().counter("numRecordsInErrors").value(), 3);
}

TEST_F(FileSourceTest, MalformedStatesAreRefused) {
  const auto source = FileSource<std::string>::for_lines(write("a", "x\n")).build();
  EXPECT_FALSE(source->restore_enumerator({}, "garbage").ok());
  Host<std::string> host(*source, 1);
  EXPECT_FALSE(host.readers[0]->add_splits({{"a", "garbage"}}).ok());
}

}  // namespace
}  // namespace weir::file
