#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "weir/codec.h"
#include "weir/sink.h"

namespace weir::recovery {

/// What a sink writes to: outlives jobs and restarts. Only what was committed is visible.
template <class T>
class Target {
 public:
  Target() = default;
  /// What it holds now, for a run that branches off.
  Target(const Target& other) {
    const std::lock_guard lock(other.mutex_);
    rows_ = other.rows_;
    committed_ = other.committed_;
  }
  /// All committed records, sorted.
  std::vector<T> rows() const {
    const std::lock_guard lock(mutex_);
    std::vector<T> sorted = rows_;
    std::sort(sorted.begin(), sorted.end());
    return sorted;
  }
  std::vector<T> rows_in_commit_order() const {
    const std::lock_guard lock(mutex_);
    return rows_;
  }
  std::size_t commits() const {
    const std::lock_guard lock(mutex_);
    return committed_.size();
  }
  /// What distinguishes one commit from all others.
  std::set<std::string> identities() const {
    const std::lock_guard lock(mutex_);
    return committed_;
  }
  /// As if it had committed this before.
  void adopt(std::vector<T> rows, std::set<std::string> identities) {
    const std::lock_guard lock(mutex_);
    rows_ = std::move(rows);
    committed_ = std::move(identities);
  }
  /// The next commits are carried out, but the answer gets lost.
  void lose_replies(int count) {
    const std::lock_guard lock(mutex_);
    replies_to_lose_ = count;
  }
  /// The next commits are not possible just now.
  void refuse(int count) {
    const std::lock_guard lock(mutex_);
    commits_to_refuse_ = count;
  }
  /// The next commit proves that the target rolled the epoch back.
  void roll_back_next() {
    const std::lock_guard lock(mutex_);
    is_next_rolled_back_ = true;
  }

  Result<CommitResult> commit(const Committable& committable) {
    const std::lock_guard lock(mutex_);
    if (std::exchange(is_next_rolled_back_, false)) {
      return CommitResult{CommitOutcome::kLost, "rolled back"};
    }
    if (commits_to_refuse_ > 0) {
      --commits_to_refuse_;
      return CommitResult{CommitOutcome::kRetry, "not now"};
    }
    const CommittableId& id = committable.id;
    const std::string identity = id.sink_uid + "/" + std::to_string(id.subtask) + "/" +
                                 std::to_string(id.checkpoint) + "/" + std::to_string(id.attempt) +
                                 "/" + std::to_string(id.incarnation);
    if (!committed_.insert(identity).second) {
      return CommitResult{CommitOutcome::kAlreadyCommitted, identity};
    }
    const auto rows = decode_value<std::vector<T>>(committable.payload);
    if (!rows.has_value()) {
      return Error{ErrorCode::kCorruption, "payload of " + identity};
    }
    rows_.insert(rows_.end(), rows->begin(), rows->end());
    if (replies_to_lose_ > 0) {
      --replies_to_lose_;
      return Error{ErrorCode::kUnknownOutcome, "the reply was lost"};
    }
    return CommitResult{CommitOutcome::kCommitted, identity};
  }

 private:
  mutable std::mutex mutex_;
  std::vector<T> rows_;
  std::set<std::string> committed_;
  int replies_to_lose_ = 0;
  int commits_to_refuse_ = 0;
  bool is_next_rolled_back_ = false;
};

template <class T>
class MemoryWriter final : public SinkWriter {
 public:
  explicit MemoryWriter(SinkWriterContext context) : context_(std::move(context)) {}

  Status write(const Batch& batch) override {
    const auto records = batch.records<T>();
    rows_.insert(rows_.end(), records.begin(), records.end());
    return {};
  }
  Status begin_prepare(CheckpointId checkpoint) override {
    prepared_[checkpoint] = std::exchange(rows_, {});
    return {};
  }
  Result<std::optional<std::vector<Committable>>> poll_prepared(CheckpointId checkpoint) override {
    std::vector<Committable> committables;
    if (!prepared_[checkpoint].empty()) {
      Committable committable;
      committable.id = {context_.subtask.uid, context_.subtask.subtask, checkpoint,
                        context_.subtask.attempt};
      committable.payload = encode_value(prepared_[checkpoint]);
      committables.push_back(std::move(committable));
    }
    prepared_.erase(checkpoint);
    return std::optional<std::vector<Committable>>(std::move(committables));
  }

 private:
  const SinkWriterContext context_;
  std::vector<T> rows_;
  std::map<CheckpointId, std::vector<T>> prepared_;
};

template <class T>
class MemoryCommitter final : public Committer {
 public:
  explicit MemoryCommitter(std::shared_ptr<Target<T>> target) : target_(std::move(target)) {}
  Result<CommitResult> commit(const Committable& committable) override {
    return target_->commit(committable);
  }

 private:
  std::shared_ptr<Target<T>> target_;
};

/// Exactly-once into a Target: epochs travel in their committables.
template <class T>
class MemorySink final : public Sink {
 public:
  explicit MemorySink(std::shared_ptr<Target<T>> target) : target_(std::move(target)) {}
  DeliveryGuarantee guarantee() const override { return DeliveryGuarantee::kExactlyOnce; }
  const TypeOps& record_type() const override { return type_ops<T>(); }
  Status preflight(const SinkContext&) override { return {}; }
  Result<std::unique_ptr<SinkWriter>> create_writer(SinkWriterContext context,
                                                    const std::vector<std::string>&) override {
    return std::unique_ptr<SinkWriter>(std::make_unique<MemoryWriter<T>>(std::move(context)));
  }
  Result<std::unique_ptr<Committer>> create_committer(const SinkContext&) override {
    return std::unique_ptr<Committer>(std::make_unique<MemoryCommitter<T>>(target_));
  }

 private:
  std::shared_ptr<Target<T>> target_;
};

}  // namespace weir::recovery
