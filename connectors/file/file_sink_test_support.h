#pragma once

#include <algorithm>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <unistd.h>

#include <gtest/gtest.h>

#include "file/file_sink.h"

namespace weir::file {
namespace sink_test {

namespace fs = std::filesystem;

struct Row {
  int number = 0;
};

/// A directory of its own for each test, with what readers of the output do.
class FileSinkTest : public testing::Test {
 protected:
  FileSinkTest() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    root_ = fs::path(testing::TempDir()) /
            ("weir-file-sink-" + std::to_string(::getpid()) + "-" + info->name());
    fs::remove_all(root_);
  }
  ~FileSinkTest() override { fs::remove_all(root_); }

  std::string out() const { return (root_ / "out").string(); }

  std::vector<std::string> files(bool is_hidden) const {
    std::vector<std::string> names;
    if (fs::exists(out())) {
      for (const auto& entry : fs::recursive_directory_iterator(out())) {
        const std::string name = entry.path().filename();
        if (entry.is_regular_file() && (name.front() == '.') == is_hidden) {
          names.push_back(fs::relative(entry.path(), out()));
        }
      }
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  /// All lines of `part-*`, sorted.
  std::vector<std::string> visible_lines() const {
    std::vector<std::string> lines;
    for (const std::string& name : files(false)) {
      std::ifstream file(fs::path(out()) / name);
      for (std::string line; std::getline(file, line);) {
        lines.push_back(line);
      }
    }
    std::sort(lines.begin(), lines.end());
    return lines;
  }

  FileSink<Row>::Builder builder() const {
    return FileSink<Row>::for_row_format(
        out(), [](const Row& row, std::string& text) { text += std::to_string(row.number); });
  }

  fs::path root_;
};

inline SinkContext context_of(AttemptId attempt) {
  SinkContext context;
  context.pipeline_id = "pipeline";
  context.sink_uid = "out";
  context.attempt = attempt;
  context.is_checkpointing_enabled = true;
  return context;
}

inline BatchPtr batch_of(const std::vector<int>& numbers) {
  BatchPtr batch = Batch::make(type_ops<Row>(), std::max<std::size_t>(numbers.size(), 1));
  for (const int number : numbers) {
    batch->push_back(Row{number}, kMinTimestamp);
  }
  return batch;
}

/// A writer whose blocking work runs when the test says so.
struct Writer {
  Writer(Sink& sink, AttemptId attempt, int subtask = 0) {
    SinkWriterContext context;
    context.sink = context_of(attempt);
    context.subtask.subtask = subtask;
    context.run_blocking = [queue = jobs](std::function<void()> job) {
      queue->push_back(std::move(job));
    };
    context.wake = [this] { ++wakes; };
    auto created = sink.create_writer(std::move(context), {});
    EXPECT_TRUE(created.ok()) << created.status().error().message;
    writer = std::move(created).value();
  }
  void run_jobs() {
    while (!jobs->empty()) {
      auto job = std::move(jobs->front());
      jobs->pop_front();
      job();
    }
  }
  std::vector<Committable> prepare(CheckpointId checkpoint) {
    EXPECT_TRUE(writer->begin_prepare(checkpoint).ok());
    run_jobs();
    auto prepared = writer->poll_prepared(checkpoint);
    EXPECT_TRUE(prepared.ok() && prepared.value().has_value());
    return *prepared.value();
  }

  std::shared_ptr<std::deque<std::function<void()>>> jobs =
      std::make_shared<std::deque<std::function<void()>>>();
  int wakes = 0;
  std::unique_ptr<SinkWriter> writer;
};

inline CommitOutcome commit(Sink& sink, const Committable& committable, AttemptId attempt) {
  auto committer = sink.create_committer(context_of(attempt)).value();
  auto result = committer->commit(committable);
  EXPECT_TRUE(result.ok()) << result.status().error().message;
  return result.ok() ? result.value().outcome : CommitOutcome::kRetry;
}

}  // namespace sink_test
}  // namespace weir::file
