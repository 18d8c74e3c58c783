#pragma once

#include <cstdint>

#include "weir/batch.h"
#include "weir/time.h"

namespace weir::runtime {

/// Separates the records of one checkpoint from those of the next.
struct Barrier {
  CheckpointId checkpoint = 0;
  bool is_terminal = false;   ///< the job ends with this checkpoint
  bool is_savepoint = false;  ///< no side effects on sinks
  bool is_drain = false;      ///< follows the end of the input, which it brings about
  /// It may overtake records from this time on (monotonic clock); before, it waits for its turn.
  bool can_overtake = false;
  CheckpointId builds_on = 0;     ///< complete: deltas may build upon it; 0 = no delta
  std::int64_t triggered_ns = 0;  ///< monotonic clock
  std::int64_t overtake_at_ns = 0;
};

/// What a channel carries.
struct Element {
  enum class Kind : std::uint8_t { kBatch, kWatermark, kBarrier, kIdle, kActive, kEndOfInput };

  Kind kind = Kind::kBatch;
  BatchPtr batch;             ///< kBatch; not empty
  TimestampMs watermark = 0;  ///< kWatermark
  Barrier barrier;            ///< kBarrier
  /// What it takes of the memory for records between tasks; 0 while it is in no channel.
  std::int64_t charged_bytes = 0;

  static Element of(BatchPtr batch) {
    Element element;
    element.batch = std::move(batch);
    return element;
  }
  static Element of_watermark(TimestampMs watermark) {
    Element element;
    element.kind = Kind::kWatermark;
    element.watermark = watermark;
    return element;
  }
  static Element of_barrier(const Barrier& barrier) {
    Element element;
    element.kind = Kind::kBarrier;
    element.barrier = barrier;
    return element;
  }
  static Element of(Kind kind) {
    Element element;
    element.kind = kind;
    return element;
  }
};

}  // namespace weir::runtime
