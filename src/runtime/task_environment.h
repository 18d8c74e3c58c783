#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "checkpoint/barrier_aligner.h"
#include "checkpoint/store.h"
#include "runtime/execution_plan.h"
#include "runtime/io_executor.h"
#include "runtime/memory_budget.h"
#include "runtime/metric_registry.h"
#include "runtime/task_messages.h"
#include "state/rocksdb/rocksdb_settings.h"
#include "weir/sink.h"

namespace weir::runtime {

/// What the tasks of one attempt share. Outlives them and everything they hand to the I/O threads.
struct TaskEnvironment {
  std::string job_name;
  std::string pipeline_id;
  AttemptId attempt = 0;
  Clock* clock = nullptr;
  IoExecutor* io = nullptr;
  MetricRegistry* metrics = nullptr;
  MemoryBudget* memory = nullptr;  ///< null: nothing is bounded
  int connector_count = 1;         ///< readers and writers, which share its part for queues
  TaskListener* listener = nullptr;
  checkpoint::CheckpointStore* store = nullptr;  ///< null when checkpointing is off
  SinkContext sink_defaults;                     ///< without sink_uid and parallelism
  checkpoint::AlignmentMode alignment = checkpoint::AlignmentMode::kExactlyOnce;
  bool is_incremental = false;  ///< keyed state is stored as a base and deltas
  bool are_snapshots_compressed = false;
  std::optional<state::RocksDbSettings> rocksdb;  ///< of keyed state; not set: on the heap
  DurationMs auto_watermark_interval{200};
  DurationMs buffer_timeout{100};
  bool are_sources_paused_at_start = false;  ///< until their first barrier
};

/// Bytes for the queues of one reader or writer; 0 = not bounded.
inline std::int64_t connector_share(const TaskEnvironment& environment) {
  return environment.memory == nullptr
             ? 0
             : environment.memory->connector_share(environment.connector_count);
}

}  // namespace weir::runtime
