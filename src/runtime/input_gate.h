#pragma once

#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "checkpoint/barrier_aligner.h"
#include "runtime/channel.h"
#include "runtime/edge_sums.h"
#include "runtime/watermark_valve.h"

namespace weir::runtime {

/// The receiving end of a task: reads its channels in turn, holds back those that are ahead of a
/// barrier, and combines watermarks.
class InputGate {
 public:
  struct Input {
    Channel* channel = nullptr;
    int edge = 0;
    int operator_input = 0;
  };
  struct Event {
    enum class Kind { kBatch, kWatermark, kIdle, kActive, kBarrier, kEndOfInput };
    Kind kind = Kind::kBatch;
    BatchPtr batch;
    int operator_input = 0;
    TimestampMs watermark = 0;
    Barrier barrier;
  };

  InputGate(std::vector<Input> inputs, checkpoint::AlignmentMode mode);

  /// The next thing to do, or nothing when no readable channel has anything.
  std::optional<Event> next();
  /// The coordinator gave the checkpoint up.
  void abort_checkpoint(CheckpointId checkpoint);

  /// What was received so far, per edge.
  std::vector<EdgeReport> reports() const;

 private:
  void handle(std::size_t input, Element element);
  void act_on(const checkpoint::AlignerVerdict& verdict);
  void act_on(const WatermarkValve::Change& change);
  void push(Event event) { ready_.push_back(std::move(event)); }

  std::vector<Input> inputs_;
  checkpoint::BarrierAligner aligner_;
  WatermarkValve valve_;
  std::deque<Event> ready_;
  std::map<CheckpointId, Barrier> barriers_;  ///< seen and not aligned yet
  std::map<int, EdgeSums> sums_;
  std::size_t next_input_ = 0;
  std::size_t ended_count_ = 0;
};

}  // namespace weir::runtime
