#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/local_file_system.h"
#include "runtime/channel.h"
#include "runtime/io_executor.h"
#include "runtime/metric_registry.h"
#include "runtime/task_environment.h"
#include "runtime/task_messages.h"
#include "weir/key_selector.h"

/// What unit tests of the runtime share.
namespace weir::runtime::test {

struct Row {
  std::int64_t key = 0;
  std::int64_t number = 0;
  friend bool operator==(const Row&, const Row&) = default;
};

inline std::shared_ptr<const KeySelector> by_key() {
  return std::make_shared<detail::TypedKeySelector<Row, std::int64_t Row::*>>(&Row::key);
}

/// A batch of rows numbered from `first`, with key = number % keys and time = number.
inline BatchPtr rows(std::int64_t first, std::size_t count, std::int64_t keys = 1,
                     std::size_t capacity = 0) {
  BatchPtr batch = Batch::make(type_ops<Row>(), capacity == 0 ? count : capacity);
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t number = first + static_cast<std::int64_t>(i);
    batch->push_back(Row{number % keys, number}, number);
  }
  return batch;
}

inline std::vector<std::int64_t> numbers_of(const Batch& batch) {
  std::vector<std::int64_t> numbers;
  for (const Row& row : batch.records<Row>()) {
    numbers.push_back(row.number);
  }
  return numbers;
}

/// Channels that belong to the test on both sides.
class Channels {
 public:
  explicit Channels(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      channels_.push_back(std::make_unique<Channel>());
      channels_.back()->set_signals(&signal_, &signal_);
    }
  }
  Channel& operator[](std::size_t i) { return *channels_[i]; }
  std::size_t size() const { return channels_.size(); }
  /// REQUIRES: there is room.
  void push(std::size_t channel, Element element) {
    ASSERT_TRUE(channels_[channel]->try_push(element));
  }
  std::vector<Element> take_all(std::size_t channel) {
    std::vector<Element> elements;
    Element element;
    while (channels_[channel]->try_pop(element)) {
      elements.push_back(std::move(element));
    }
    return elements;
  }
  /// The numbers of all rows in a channel.
  std::vector<std::int64_t> take_numbers(std::size_t channel) {
    std::vector<std::int64_t> numbers;
    for (const Element& element : take_all(channel)) {
      if (element.kind == Element::Kind::kBatch) {
        const auto of_batch = numbers_of(*element.batch);
        numbers.insert(numbers.end(), of_batch.begin(), of_batch.end());
      }
    }
    return numbers;
  }

 private:
  WakeSignal signal_;
  std::vector<std::unique_ptr<Channel>> channels_;
};

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = std::filesystem::temp_directory_path() / "weir-runtime-XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Remembers what a task reported.
class RecordingListener final : public TaskListener {
 public:
  void on_running(int) override { ++running; }
  void on_end_of_data(int) override { ++ended; }
  void on_ack(int, CheckpointId checkpoint, TaskSnapshot snapshot) override {
    acks.emplace(checkpoint, std::move(snapshot));
  }
  void on_decline(int, CheckpointId checkpoint, const Error& reason, TaskSnapshot rest) override {
    declines.emplace(checkpoint, reason);
    declined.emplace(checkpoint, std::move(rest));
  }
  void on_failed(int, const Error& error) override { failures.push_back(error.message); }
  void on_split_request(int) override { ++split_requests; }

  int running = 0;
  int ended = 0;
  int split_requests = 0;
  std::map<CheckpointId, TaskSnapshot> acks;
  std::map<CheckpointId, Error> declines;
  std::map<CheckpointId, TaskSnapshot> declined;
  std::vector<std::string> failures;
};

/// An environment on a clock that stands still. I/O runs on one real thread.
struct Host {
  ManualClock clock;
  MetricRegistry metrics;
  RecordingListener listener;
  LocalFileSystem local_files;
  TemporaryDirectory directory;
  std::unique_ptr<checkpoint::CheckpointStore> store;
  TaskEnvironment environment;
  IoExecutor io{1};

  explicit Host(FileSystem* files = nullptr) {
    checkpoint::StoreOptions options;
    options.directory = directory.path();
    options.job_id = "0123456789abcdef0123456789abcdef";
    options.pipeline_id = "test";
    auto opened =
        checkpoint::CheckpointStore::open(files == nullptr ? local_files : *files, clock, options);
    EXPECT_TRUE(opened.ok()) << (opened.ok() ? "" : opened.error().message);
    store = std::move(opened).value();
    EXPECT_TRUE(store->begin_attempt().ok());
    environment.job_name = "test";
    environment.pipeline_id = "test";
    environment.attempt = 1;
    environment.clock = &clock;
    environment.io = &io;
    environment.metrics = &metrics;
    environment.listener = &listener;
    environment.store = store.get();
  }
};

}  // namespace weir::runtime::test
