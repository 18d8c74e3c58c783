#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "runtime/channel_log.h"
#include "runtime/watermark_valve.h"

namespace weir::runtime {

/// One channel of the restored checkpoint with what was under way in it.
struct RecoveredChannel {
  int edge = 0;
  int operator_input = 0;
  int sender = 0;
  /// The channel exists still: sender and receiver have the parallelism of the checkpoint.
  bool is_same_channel = true;
  TimestampMs watermark = kMinTimestamp;
  bool is_idle = false;
  std::deque<Element> elements;

  RecoveredChannel() = default;
  RecoveredChannel(RecoveredChannel&&) = default;
  RecoveredChannel& operator=(RecoveredChannel&&) = default;
};

/// Replays what an unaligned checkpoint stored, one channel after the other, before a task reads
/// its live inputs. Watermarks are combined over the restored channels, so that no record is taken
/// for late that was not.
class RecoveredInput {
 public:
  explicit RecoveredInput(std::vector<RecoveredChannel> channels);

  struct Next {
    BatchPtr batch;                        ///< or
    std::optional<TimestampMs> watermark;  ///< rose to this
    int operator_input = 0;
  };
  /// Nothing when all is replayed.
  std::optional<Next> next();
  bool is_done() const { return !start_watermark_.has_value() && current_ == channels_.size(); }

  /// How far a live channel has come at least; kMinTimestamp when that is unknown.
  TimestampMs watermark_for(int edge, int sender) const;

  /// Takes back pieces of the batch that next() returned last: they were not processed.
  void put_back(std::deque<BatchPtr> pieces);
  /// Adds what is left to the log of a checkpoint that is taken meanwhile.
  void add_to(ChannelLog& log) const;

 private:
  std::vector<RecoveredChannel> channels_;
  WatermarkValve valve_;
  std::optional<TimestampMs> start_watermark_;
  std::size_t current_ = 0;
};

}  // namespace weir::runtime
