#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "operators/keyed_state_host.h"
#include "runtime/metric_registry.h"
#include "state/operator_state.h"
#include "state/test_clock.h"
#include "weir/key_selector.h"
#include "weir/operator.h"

/// A host of one operator for tests: outputs that collect, a clock that stands still.
namespace weir::operators::test {

template <class T>
struct Emitted {
  T record;
  TimestampMs time;
  friend bool operator==(const Emitted&, const Emitted&) = default;
};

/// Keeps what was emitted. Claims to be full after each `room` batches until make_room().
class CollectingOutput final : public Output {
 public:
  void emit(BatchPtr batch) override {
    if (batch != nullptr && !batch->empty()) {
      batches_.push_back(std::move(batch));
      ++taken_;
    }
  }
  bool is_full() const override { return taken_ >= room_; }
  void set_room(int batches) { room_ = batches; }
  void make_room() { taken_ = 0; }

  template <class T>
  std::vector<Emitted<T>> take() {
    std::vector<Emitted<T>> result;
    for (const BatchPtr& batch : std::exchange(batches_, {})) {
      EXPECT_EQ(&batch->type(), &type_ops<T>());
      for (std::size_t i = 0; i < batch->size(); ++i) {
        result.push_back({batch->records<T>()[i], batch->timestamps()[i]});
      }
    }
    return result;
  }

 private:
  std::vector<BatchPtr> batches_;
  int room_ = 1'000'000'000;
  int taken_ = 0;
};

/// The state of one operator subtask at a barrier.
struct Snapshot {
  KeyGroupRange key_groups;
  StoredFiles files;
  TimestampMs watermark = kMinTimestamp;
  std::vector<TimestampMs> watermarks;  ///< per key group
  state::MemoryOperatorState::Lists lists;
};

/// Keeps the state files of one test.
class SnapshotDirectory {
 public:
  std::string next_file() { return directory_.file(std::to_string(count_++)); }

 private:
  state::test::TemporaryDirectory directory_;
  int count_ = 0;
};

class OperatorHarness final : public OperatorContext {
 public:
  struct Options {
    int subtask = 0;
    int parallelism = 1;
    int max_parallelism = 128;
    int side_outputs = 1;
    BackendKind backend = default_backend();
  };

  explicit OperatorHarness(std::unique_ptr<Operator> op)
      : OperatorHarness(std::move(op), Options()) {}
  OperatorHarness(std::unique_ptr<Operator> op, Options options)
      : side_outputs_(static_cast<std::size_t>(options.side_outputs)), operator_(std::move(op)) {
    info_.job_name = "test";
    info_.operator_name = "operator";
    info_.uid = "uid";
    info_.subtask = options.subtask;
    info_.parallelism = options.parallelism;
    info_.max_parallelism = options.max_parallelism;
    info_.key_groups =
        key_groups_of_subtask(options.subtask, options.max_parallelism, options.parallelism);
    keyed_state_ = make_keyed_state_host(options.backend, info_, clock_);
  }

  /// Opens on a first start.
  OperatorHarness& open() {
    expect_ok(operator_->open(*this));
    is_open_ = true;
    return *this;
  }
  Status try_open() { return operator_->open(*this); }

  /// Opens from the snapshots of all subtasks of some earlier parallelism, as the runtime does. Of
  /// operator state union lists are restored.
  OperatorHarness& open_from(const std::vector<Snapshot>& snapshots) {
    expect_ok(try_open_from(snapshots));
    is_open_ = true;
    return *this;
  }
  Status try_open_from(const std::vector<Snapshot>& snapshots) {
    is_restored_ = true;
    std::vector<StoredFiles> stored;
    state::MemoryOperatorState::Lists lists;
    std::vector<TimestampMs> watermarks(static_cast<std::size_t>(info_.key_groups.size()),
                                        kMinTimestamp);
    for (const Snapshot& snapshot : snapshots) {
      for (const auto& [name, list] : snapshot.lists) {
        auto& items = lists.try_emplace(name, list.redistribution).first->second.items;
        items.insert(items.end(), list.items.begin(), list.items.end());
      }
      bool is_needed = false;
      for (int group = snapshot.key_groups.first; group <= snapshot.key_groups.last; ++group) {
        if (info_.key_groups.contains(group)) {
          is_needed = true;
          watermarks[static_cast<std::size_t>(group - info_.key_groups.first)] =
              snapshot.watermarks[static_cast<std::size_t>(group - snapshot.key_groups.first)];
        }
      }
      if (is_needed) {
        stored.push_back(snapshot.files);
      }
    }
    operator_state_.set_restored(std::move(lists));
    WEIR_TRY(keyed_state_->restore(stored));
    WEIR_TRY(operator_->open(*this));
    WEIR_TRY(keyed_state_->finish_restore());
    restored_watermarks_ = watermarks;
    operator_->restore_watermarks(watermarks);
    return {};
  }

  template <class T>
  void process(std::vector<Emitted<T>> records, const KeySelector* keys = nullptr) {
    if (records.empty()) {
      return;
    }
    BatchPtr batch = Batch::make(type_ops<T>(), records.size());
    for (Emitted<T>& record : records) {
      batch->push_back(std::move(record.record), record.time);
    }
    process(std::move(batch), keys);
  }
  void process(BatchPtr batch, const KeySelector* keys = nullptr) {
    if (keys != nullptr) {
      keys->hash(*batch);
    }
    expect_ok(operator_->process_batch(std::move(batch), 0));
    keyed_state_->after_batch();
  }
  void watermark(TimestampMs watermark) {
    watermark_ = std::max(watermark_, watermark);
    expect_ok(operator_->process_watermark(watermark));
    drain();
  }
  /// Moves the clock and fires what is due.
  void advance_clock_to(TimestampMs now) {
    clock_.advance_ms(now - clock_.wall_ms());
    serve_clock();
  }
  void serve_clock() {
    if (operator_->next_processing_time_timer() <= clock_.wall_ms()) {
      expect_ok(operator_->process_time(clock_.wall_ms()));
      drain();
    }
  }

  Snapshot snapshot(SnapshotDirectory& directory) {
    expect_ok(operator_->prepare_snapshot(1));
    expect_ok(operator_->snapshot_state(1));
    Snapshot result;
    result.key_groups = info_.key_groups;
    result.watermark = watermark_;
    result.lists = operator_state_.snapshot();
    for (int i = 0; i < info_.key_groups.size(); ++i) {
      const auto index = static_cast<std::size_t>(i);
      result.watermarks.push_back(index < restored_watermarks_.size()
                                      ? std::max(watermark_, restored_watermarks_[index])
                                      : watermark_);
    }
    auto stored = keyed_state_->snapshot([&] { return directory.next_file(); });
    expect_ok(stored.status());
    result.files = std::move(stored).value();
    return result;
  }

  CollectingOutput& out() { return output_; }
  CollectingOutput& side(int index) { return side_outputs_.at(static_cast<std::size_t>(index)); }
  Operator& op() { return *operator_; }
  std::int64_t counter(const std::string& name) { return metrics().counter(name).value(); }
  std::uint64_t entry_count() const { return keyed_state_->entry_count(); }

  // OperatorContext
  const SubtaskInfo& info() const override { return info_; }
  MetricGroup& metrics() override { return metrics_.group("uid.0"); }
  Output& output() override { return output_; }
  Output& side_output(int index) override { return side(index); }
  KeyedStateBackend& keyed_state() override { return keyed_state_->backend(); }
  OperatorStateBackend& operator_state() override { return operator_state_; }
  bool is_restored() const override { return is_restored_; }
  TimestampMs processing_time() const override { return clock_.wall_ms(); }

 private:
  static void expect_ok(const Status& status) {
    EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().message);
  }
  void drain() {
    while (operator_->is_busy()) {
      output_.make_room();
      expect_ok(operator_->resume());
    }
  }

  SubtaskInfo info_;
  mutable state::test::TestClock clock_;
  runtime::MetricRegistry metrics_;
  CollectingOutput output_;
  std::vector<CollectingOutput> side_outputs_;
  state::MemoryOperatorState operator_state_;
  std::unique_ptr<KeyedStateHost> keyed_state_;
  std::unique_ptr<Operator> operator_;
  std::vector<TimestampMs> restored_watermarks_;
  TimestampMs watermark_ = kMinTimestamp;
  bool is_restored_ = false;
  bool is_open_ = false;
};

}  // namespace weir::operators::test
