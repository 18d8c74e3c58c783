#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "checkpoint/barrier_aligner.h"
#include "runtime/channel.h"
#include "runtime/channel_log.h"
#include "runtime/edge_sums.h"
#include "runtime/recovered_input.h"
#include "runtime/watermark_valve.h"

namespace weir::runtime {

/// The receiving end of a task: reads its channels in turn, holds back those that are ahead of a
/// barrier, lets barriers overtake and logs what they overtook, and combines watermarks.
class InputGate {
 public:
  struct Input {
    Channel* channel = nullptr;
    int edge = 0;
    int operator_input = 0;
    int sender = 0;  ///< subtask
  };
  struct Event {
    enum class Kind { kBatch, kWatermark, kIdle, kActive, kBarrier, kEndOfInput };
    Kind kind = Kind::kBatch;
    BatchPtr batch;
    int operator_input = 0;
    TimestampMs watermark = 0;
    Barrier barrier;
  };
  /// What an overtaken checkpoint has to store of the inputs.
  struct Log {
    CheckpointId checkpoint = 0;
    ChannelLog channels;
    std::vector<EdgeReport> received;  ///< up to the barriers
  };

  /// `can_overtake`: of all inputs; one that cannot makes all wait (Flink's rule).
  InputGate(std::vector<Input> inputs, checkpoint::AlignmentMode mode, bool can_overtake = false);

  /// Where the logs' memory is taken from. Null: it is not counted.
  void set_memory(MemoryPool* memory) { memory_ = memory; }

  /// What a restored checkpoint had under way: replayed first.
  void restore(std::vector<RecoveredChannel> channels);

  /// The next thing to do, or nothing when no readable channel has anything. A batch has at most
  /// `rows_max` records.
  std::optional<Event> next(std::size_t rows_max = std::numeric_limits<std::size_t>::max());

  /// Looks for barriers that may overtake by now; if there is one, its snapshot is to be taken at
  /// once. What it overtook follows by take_log().
  std::optional<Barrier> overtake(std::int64_t now_ns);
  /// The log of an overtaken checkpoint, once it is complete.
  std::optional<Log> take_log();

  /// The time, once per step: when alignments began.
  void set_now(std::int64_t now_ns) { now_ns_ = now_ns; }
  /// When the first sign of the checkpoint was seen; 0 when that is not known.
  std::int64_t started_ns(CheckpointId checkpoint) const {
    return started_.first == checkpoint ? started_.second : 0;
  }

  /// How many records may be queued in all channels together.
  void set_rows_queued_max(std::size_t rows);

  /// The coordinator gave the checkpoint up.
  void abort_checkpoint(CheckpointId checkpoint);

  /// What was received so far, per edge.
  std::vector<EdgeReport> reports() const;

 private:
  struct OpenLog {
    CheckpointId checkpoint = 0;
    ChannelLog channels;
    std::map<int, EdgeSums> received;
    std::vector<std::size_t> channel_of_input;
    bool is_complete = false;
  };
  /// A batch that is handed out in pieces.
  struct Pieces {
    std::deque<BatchPtr> left;
    int operator_input = 0;
    std::optional<std::size_t> input;  ///< nothing: a recovered one
  };

  bool read_recovered(std::size_t rows_max);
  void finish_recovery();
  void handle(std::size_t input, Element element, std::size_t rows_max);
  void hand_out(BatchPtr batch, int operator_input, std::optional<std::size_t> input,
                std::size_t rows_max);
  void push_piece();
  void take_announcements();
  void start_log(CheckpointId checkpoint);
  void log_element(std::size_t input, const Element& element);
  void log_rest(std::size_t input);
  void act_on(const checkpoint::AlignerVerdict& verdict);
  void act_on(const WatermarkValve::Change& change);
  void push(Event event) { ready_.push_back(std::move(event)); }
  void push_watermark(TimestampMs watermark);

  std::vector<Input> inputs_;
  const bool can_overtake_;
  checkpoint::BarrierAligner aligner_;
  WatermarkValve valve_;
  std::deque<Event> ready_;
  Pieces pieces_;
  std::optional<RecoveredInput> recovered_;   ///< while there is something to replay
  std::map<CheckpointId, Barrier> barriers_;  ///< seen, neither aligned nor overtaken yet
  std::vector<CheckpointId> announced_;       ///< per input, the latest
  std::optional<OpenLog> log_;
  MemoryPool* memory_ = nullptr;
  std::map<int, EdgeSums> sums_;
  TimestampMs last_watermark_ = kMinTimestamp;
  std::int64_t now_ns_ = 0;
  std::pair<CheckpointId, std::int64_t> started_{0, 0};
  std::size_t next_input_ = 0;
  std::size_t ended_count_ = 0;
};

}  // namespace weir::runtime
