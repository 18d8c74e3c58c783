#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "kafka/kafka_sink.h"
#include "weir/sink.h"
#include "weir/source.h"

namespace weir::kafka::test {

/// A small I/O executor.
class TestExecutor {
 public:
  explicit TestExecutor(int threads = 3);
  ~TestExecutor();
  BlockingExecutor run_blocking();

 private:
  void work();
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> queue_;
  bool is_stopping_ = false;
  std::vector<std::thread> threads_;
};

class TestFiles final : public CheckpointFiles {
 public:
  Result<std::string> write(std::string_view hint, std::string_view bytes) override;
  Result<std::string> read(std::string_view name) override;
  std::map<std::string, std::string> files;

 private:
  std::mutex mutex_;
};

class TestMetrics final : public MetricGroup {
 public:
  Counter& counter(const std::string& name) override { return counters_[name]; }
  Gauge& gauge(const std::string& name) override { return gauges_[name]; }

 private:
  std::map<std::string, Counter> counters_;
  std::map<std::string, Gauge> gauges_;
};

struct Line {
  std::string text;
};

/// Drives one sink subtask as the runtime would.
class SinkHost {
 public:
  explicit SinkHost(std::shared_ptr<Sink> sink, SinkContext context = default_context());
  ~SinkHost();
  static SinkContext default_context();

  Status preflight() { return sink_->preflight(context_); }
  void open();
  /// Waits for room where needed.
  Status write(const std::vector<std::string>& lines);
  /// Barrier, then polls until prepared.
  Result<std::vector<Committable>> prepare(CheckpointId checkpoint);
  Committer& committer();
  /// commit() until it is no longer kRetry.
  Result<CommitResult> commit(const Committable& committable);
  std::string state() { return writer_->snapshot_state(1).front(); }
  SinkWriter& writer() { return *writer_; }
  /// The writer goes away as in a crash of the task: nothing is committed or aborted by it.
  void close_writer();

  TestFiles files;
  TestMetrics metrics;

 private:
  std::shared_ptr<Sink> sink_;
  SinkContext context_;
  TestExecutor executor_;
  std::unique_ptr<SinkWriter> writer_;
  std::unique_ptr<Committer> committer_;
};

/// A builder with what every test sink has.
KafkaSinkBuilder<Line> line_sink(const std::string& topic);

/// All values of a topic, in partition order, as a reader of that isolation level sees them now.
std::vector<std::string> read_topic(const std::string& topic, bool is_read_committed = true);
/// read_topic() until there are at least `count` values or 10 s passed.
std::vector<std::string> read_until(const std::string& topic, std::size_t count);
/// The read_committed end offset of partition 0, and the end of the log.
std::pair<std::int64_t, std::int64_t> stable_and_end_offset(const std::string& topic);

}  // namespace weir::kafka::test
