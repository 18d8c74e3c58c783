#include "generator/source.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <limits>
#include <string>
#include <vector>

#include "base/clock.h"
#include "generator/rate_limiter.h"
#include "generator/split_state.h"
#include "weir/check.h"
#include "weir/codec.h"

namespace weir::generator {
namespace {

struct Split {
  std::string id;
  SplitState state;

  std::uint64_t left() const {
    return state.next >= state.end ? 0 : (state.end - state.next - 1) / state.stride + 1;
  }
};

Result<Split> decode_split(const SourceSplit& split) {
  const auto state = decode_split_state(split.state);
  if (!state.has_value()) {
    return Error{ErrorCode::kCorruption, "generator split " + split.id + ": malformed state"};
  }
  return Split{split.id, *state};
}

/// Deals all splits at the first start; after that the readers have them.
class Enumerator final : public SplitEnumerator {
 public:
  Enumerator(Settings settings, bool is_restored)
      : settings_(settings), is_restored_(is_restored) {}

  Status start(EnumeratorContext& context,
               const std::vector<SourceSplit>& /*reader_splits*/) override {
    const int parallelism = context.parallelism();
    const int count = settings_.splits > 0 ? settings_.splits : parallelism;
    for (int i = 0; !is_restored_ && i < count; ++i) {
      context.assign(i % parallelism, {make_split(static_cast<std::uint64_t>(i),
                                                  static_cast<std::uint64_t>(count))});
    }
    for (int subtask = 0; subtask < parallelism; ++subtask) {
      context.signal_no_more_splits(subtask);
    }
    return {};
  }
  Status handle_split_request(int /*subtask*/) override { return {}; }
  Result<std::string> snapshot(CheckpointId /*checkpoint*/) override { return std::string(); }

 private:
  SourceSplit make_split(std::uint64_t i, std::uint64_t splits) const {
    SplitState state;
    state.splits = splits;
    const std::uint64_t count = settings_.count.value_or(std::numeric_limits<std::uint64_t>::max());
    if (settings_.has_contiguous_blocks) {
      // The first `count % splits` blocks are one longer. This form cannot overflow.
      const std::uint64_t longer = count % splits;
      state.next = i * (count / splits) + std::min(i, longer);
      state.end = state.next + count / splits + (i < longer ? 1 : 0);
    } else {
      state.next = i;
      state.end = count;
      state.stride = splits;
    }
    return {"block-" + std::to_string(i), encode_value(state)};
  }

  Settings settings_;
  bool is_restored_;
};

class Reader final : public SourceReader {
 public:
  Reader(const TypeOps& type, detail::FillBatch fill, const Settings& settings,
         SourceReaderContext context)
      : type_(type),
        fill_(std::move(fill)),
        batch_records_(settings.batch_records > 0 ? settings.batch_records
                                                  : Batch::default_capacity(type)),
        records_per_second_(settings.records_per_second),
        context_(std::move(context)) {
    if (records_per_second_ > 0) {
      limiter_.emplace(context_.wake);
    }
  }

  Status add_splits(std::vector<SourceSplit> splits) override {
    for (const SourceSplit& split : splits) {
      WEIR_ASSIGN(Split decoded, decode_split(split));
      splits_.push_back(std::move(decoded));
    }
    update_rate();
    return {};
  }
  void no_more_splits() override { has_all_splits_ = true; }

  Result<PollResult> poll(SourceOutput& output) override {
    constexpr int kBatchesPerPoll = 4;
    for (int i = 0; i < kBatchesPerPoll; ++i) {
      if (splits_.empty()) {
        return has_all_splits_ ? PollResult::kFinished : PollResult::kIdle;
      }
      const std::size_t allowed =
          limiter_.has_value() ? limiter_->take(batch_records_) : batch_records_;
      if (allowed == 0) {
        return PollResult::kIdle;  // The limiter wakes the task.
      }
      emit_from_next_split(output, allowed);
    }
    return PollResult::kMore;
  }

  std::vector<SourceSplit> snapshot(CheckpointId /*checkpoint*/) override {
    std::vector<SourceSplit> result;
    for (const Split& split : splits_) {
      result.push_back({split.id, encode_value(split.state)});
    }
    return result;
  }

  void close() override {
    if (limiter_.has_value()) {
      limiter_->stop();
    }
  }

 private:
  /// Splits take turns batch by batch, so that their event times stay together.
  void emit_from_next_split(SourceOutput& output, std::size_t allowed) {
    Split split = std::move(splits_.front());
    splits_.pop_front();
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(split.left(), allowed));
    if (count > 0) {
      BatchPtr batch = Batch::make(type_, batch_records_);
      fill_(*batch, split.state.next, split.state.stride, count);
      // Saturates: the last index of an endless split may lie within a stride of 2^64.
      const std::uint64_t step = split.state.stride * count;
      const bool is_past_the_end =
          step > std::numeric_limits<std::uint64_t>::max() - split.state.next;
      split.state.next = is_past_the_end ? split.state.end : split.state.next + step;
      output.emit(split.id, std::move(batch));
    }
    if (split.left() == 0) {
      output.split_finished(split.id);
      update_rate();
    } else {
      splits_.push_back(std::move(split));
    }
  }

  /// This reader's share of the rate is that of its splits.
  void update_rate() {
    if (limiter_.has_value()) {
      double rate = 0;
      for (const Split& split : splits_) {
        rate += records_per_second_ / static_cast<double>(split.state.splits);
      }
      limiter_->set_rate(rate);
    }
  }

  const TypeOps& type_;
  detail::FillBatch fill_;
  std::size_t batch_records_;
  double records_per_second_;
  SourceReaderContext context_;
  std::deque<Split> splits_;
  bool has_all_splits_ = false;
  std::optional<RateLimiter> limiter_;
};

class GeneratorSource final : public weir::Source {
 public:
  GeneratorSource(const TypeOps& type, detail::FillBatch fill, Settings settings)
      : type_(type), fill_(std::move(fill)), settings_(settings) {}

  Boundedness boundedness() const override {
    return settings_.count.has_value() ? Boundedness::kBounded : Boundedness::kUnbounded;
  }
  const TypeOps& record_type() const override { return type_; }

  Status preflight(const SourceContext& /*context*/) override {
    constexpr int kSplitsMax = 1 << 16;
    constexpr std::size_t kBatchRecordsMax = 1U << 20;
    if (settings_.splits < 0 || settings_.splits > kSplitsMax) {
      return wrong("the number of splits must lie in 1 to 65536");
    }
    if (settings_.has_contiguous_blocks && !settings_.count.has_value()) {
      return wrong("contiguous blocks need a count: an endless one would never reach the second");
    }
    if (!std::isfinite(settings_.records_per_second) || settings_.records_per_second < 0) {
      return wrong("the rate must be a number of records per second");
    }
    if (settings_.batch_records > kBatchRecordsMax) {
      return wrong("a batch has at most 1048576 records");
    }
    return {};
  }

  Result<std::unique_ptr<SplitEnumerator>> create_enumerator(
      const SourceContext& /*context*/) override {
    return std::unique_ptr<SplitEnumerator>(std::make_unique<Enumerator>(settings_, false));
  }
  Result<std::unique_ptr<SplitEnumerator>> restore_enumerator(const SourceContext& /*context*/,
                                                              const std::string& state) override {
    if (!state.empty()) {
      return Error{ErrorCode::kCorruption, "generator source: its enumerator has no state"};
    }
    return std::unique_ptr<SplitEnumerator>(std::make_unique<Enumerator>(settings_, true));
  }
  Result<std::unique_ptr<SourceReader>> create_reader(SourceReaderContext context) override {
    return std::unique_ptr<SourceReader>(
        std::make_unique<Reader>(type_, fill_, settings_, std::move(context)));
  }

 private:
  static Status wrong(const std::string& message) {
    return Error{ErrorCode::kInvalidArgument, "generator source: " + message};
  }

  const TypeOps& type_;
  detail::FillBatch fill_;
  Settings settings_;
};

}  // namespace

std::shared_ptr<weir::Source> detail::make_source(const TypeOps& type, FillBatch fill,
                                                  Settings settings) {
  return std::make_shared<GeneratorSource>(type, std::move(fill), settings);
}

}  // namespace weir::generator
