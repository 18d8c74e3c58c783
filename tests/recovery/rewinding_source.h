#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "weir/source.h"

namespace weir::recovery {

struct Event {
  std::int64_t number = 0;
  std::int64_t key = 0;
  std::int64_t time = 0;
  friend auto operator<=>(const Event&, const Event&) = default;
};

struct SourceSettings {
  std::int64_t count = 1000;  ///< events in all
  int splits = 4;
  std::int64_t keys = 10;
  /// After so many events of one reader it waits until a checkpoint is complete: a job of several
  /// epochs without a sleep. 0 = never waits.
  std::int64_t events_per_checkpoint = 100;
};

inline Event event_of(std::int64_t number, const SourceSettings& settings) {
  return {number, number * 7 % settings.keys, number};
}

/// Event n belongs to split n % splits. Positions are the checkpoint's, as with any real source.
class RewindingReader final : public SourceReader {
 public:
  explicit RewindingReader(SourceSettings settings) : settings_(settings) {}

  Status add_splits(std::vector<SourceSplit> splits) override {
    for (const SourceSplit& split : splits) {
      next_[split.id] = std::stoll(split.state);
    }
    return {};
  }
  void no_more_splits() override { has_all_splits_ = true; }

  Result<PollResult> poll(SourceOutput& output) override {
    if (next_.empty()) {
      return has_all_splits_ ? PollResult::kFinished : PollResult::kIdle;
    }
    if (settings_.events_per_checkpoint > 0 && emitted_ >= settings_.events_per_checkpoint) {
      return PollResult::kIdle;
    }
    // The split that is furthest behind, so that event times stay close together.
    const auto split =
        std::min_element(next_.begin(), next_.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    constexpr std::size_t kBatch = 16;
    BatchPtr batch = Batch::make(type_ops<Event>(), kBatch);
    while (!batch->full() && split->second < settings_.count) {
      const Event event = event_of(split->second, settings_);
      batch->push_back(event, event.time);
      split->second += settings_.splits;
    }
    emitted_ += static_cast<std::int64_t>(batch->size());
    const std::string id = split->first;
    output.emit(id, std::move(batch));
    if (split->second >= settings_.count) {
      output.split_finished(id);
      next_.erase(split);
    }
    return PollResult::kMore;
  }
  std::vector<SourceSplit> snapshot(CheckpointId) override {
    std::vector<SourceSplit> splits;
    for (const auto& [id, next] : next_) {
      splits.push_back({id, std::to_string(next)});
    }
    return splits;
  }
  void notify_checkpoint_complete(CheckpointId) override { emitted_ = 0; }

 private:
  const SourceSettings settings_;
  std::map<std::string, std::int64_t> next_;
  std::int64_t emitted_ = 0;
  bool has_all_splits_ = false;
};

class RewindingEnumerator final : public SplitEnumerator {
 public:
  RewindingEnumerator(int splits, bool is_restored) : splits_(is_restored ? 0 : splits) {}

  Status start(EnumeratorContext& context, const std::vector<SourceSplit>&) override {
    for (int i = 0; i < splits_; ++i) {
      context.assign(i % context.parallelism(),
                     {{"split-" + std::to_string(i), std::to_string(i)}});
    }
    for (int subtask = 0; subtask < context.parallelism(); ++subtask) {
      context.signal_no_more_splits(subtask);
    }
    splits_ = 0;
    return {};
  }
  Status handle_split_request(int) override { return {}; }
  Result<std::string> snapshot(CheckpointId) override { return std::string(); }

 private:
  int splits_;
};

class RewindingSource final : public Source {
 public:
  explicit RewindingSource(SourceSettings settings) : settings_(settings) {}

  Boundedness boundedness() const override { return Boundedness::kBounded; }
  const TypeOps& record_type() const override { return type_ops<Event>(); }
  Status preflight(const SourceContext&) override { return {}; }
  Result<std::unique_ptr<SplitEnumerator>> create_enumerator(const SourceContext&) override {
    return enumerator(false);
  }
  Result<std::unique_ptr<SplitEnumerator>> restore_enumerator(const SourceContext&,
                                                              const std::string&) override {
    return enumerator(true);
  }
  Result<std::unique_ptr<SourceReader>> create_reader(SourceReaderContext) override {
    return std::unique_ptr<SourceReader>(std::make_unique<RewindingReader>(settings_));
  }

 private:
  std::unique_ptr<SplitEnumerator> enumerator(bool is_restored) const {
    return std::make_unique<RewindingEnumerator>(settings_.splits, is_restored);
  }
  const SourceSettings settings_;
};

}  // namespace weir::recovery
