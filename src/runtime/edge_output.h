#pragma once

#include <vector>

#include "runtime/channel.h"
#include "runtime/edge_sums.h"
#include "runtime/execution_plan.h"
#include "weir/operator.h"

namespace weir::runtime {

/// The sending end of one edge in one subtask: deals records to the channels of the receiving
/// subtasks. What a full channel does not take goes to its overflow: is_full() from then on.
class EdgeOutput final : public Output {
 public:
  struct Options {
    int edge = 0;
    Partitioning partitioning = Partitioning::kForward;
    std::shared_ptr<const KeySelector> key;
    int subtask = 0;          ///< of the sender
    int max_parallelism = 1;  ///< of the receiver
    int receiver_parallelism = 1;
    /// Barriers may overtake records here; see can_overtake().
    bool can_overtake = false;
  };
  struct Target {
    int subtask = 0;  ///< of the receiver
    Channel* channel = nullptr;
  };

  /// `targets`, by ascending subtask: all receivers this subtask may send to.
  EdgeOutput(Options options, std::vector<Target> targets);

  void emit(BatchPtr batch) override;
  bool is_full() const override { return overflow_count_ > 0; }

  /// Sends partial batches and then `element` to all channels. Not for batches.
  void broadcast(const Element& element);
  /// Sends partial batches, without waiting for more to fill them.
  void flush();
  /// Moves overflows into channels as far as these take them.
  void drain_overflow();

  /// What was sent so far, without partial batches: complete right after broadcast().
  EdgeReport report() const { return {options_.edge, sums_}; }

 private:
  struct Lane {
    Channel* channel;
    BatchPtr partial;
    std::size_t owned_bytes = 0;  ///< by the records of `partial`
  };

  void emit_to(Lane& lane, BatchPtr batch);
  void scatter(Batch& batch);
  void compute_lanes(const Batch& batch);
  void push(Lane& lane, Element element);
  void flush_lane(Lane& lane);

  const Options options_;
  std::vector<Lane> lanes_;
  std::size_t overflow_count_ = 0;
  std::size_t next_lane_ = 0;
  EdgeSums sums_;
  std::vector<std::uint32_t> row_lanes_;
};

}  // namespace weir::runtime
