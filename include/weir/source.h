#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "weir/batch.h"
#include "weir/metrics.h"
#include "weir/operator.h"
#include "weir/result.h"
#include "weir/time.h"

namespace weir {

enum class Boundedness { kBounded, kUnbounded };

/// A part of the input that one reader reads at a time, with the position to read from.
struct SourceSplit {
  std::string id;     ///< stable and unique within the source: "topic-3"
  std::string state;  ///< the source's own form of the position; the *next* record to read
};

/// Takes what a reader read. Records keep the order of their split; batches of different splits
/// must not be mixed, because watermarks are kept per split.
class SourceOutput {
 public:
  virtual ~SourceOutput() = default;
  /// Timestamps are those of the source (kMinTimestamp where it has none); the watermark
  /// strategy's timestamp assigner, if any, replaces them.
  virtual void emit(const std::string& split_id, BatchPtr batch) = 0;
  /// The split has no more records; it no longer holds back the watermark.
  virtual void split_finished(const std::string& split_id) = 0;
};

struct SourceReaderContext {
  SubtaskInfo subtask;
  MetricGroup* metrics = nullptr;
  /// Wakes the task so that it polls soon. Any thread may call it.
  std::function<void()> wake;
  /// What this reader's own queues may take, bytes; 0 = nobody counts.
  std::int64_t queue_bytes = 0;
  /// Asks the enumerator for another split.
  std::function<void()> request_split;
};

enum class PollResult {
  kMore,     ///< emitted something; call again
  kIdle,     ///< nothing now
  kFinished  ///< all assigned splits are finished and no more will come
};

/// Reads the splits of one subtask. All calls come from the task's thread and none may block.
class SourceReader {
 public:
  virtual ~SourceReader() = default;
  virtual Status start() { return {}; }
  virtual Status add_splits(std::vector<SourceSplit> splits) = 0;
  virtual void no_more_splits() = 0;
  /// Emits at most a few batches.
  virtual Result<PollResult> poll(SourceOutput& output) = 0;
  /// All unfinished splits with the position after the last emitted record.
  virtual std::vector<SourceSplit> snapshot(CheckpointId checkpoint) = 0;
  /// `checkpoint` is durable: acknowledge to the broker what it covers, if the source does.
  virtual void notify_checkpoint_complete(CheckpointId /*checkpoint*/) {}
  virtual void close() {}
};

/// What an enumerator may ask of the runtime.
class EnumeratorContext {
 public:
  virtual ~EnumeratorContext() = default;
  virtual int parallelism() const = 0;
  /// A reader gets all that one call of the enumerator assigned to it at once, when that call ends.
  virtual void assign(int subtask, std::vector<SourceSplit> splits) = 0;
  virtual void signal_no_more_splits(int subtask) = 0;
  /// Flink's setIsProcessingBacklog: the source works off old records, and latency matters little
  /// (execution.checkpointing.interval-during-backlog).
  virtual void set_processing_backlog(bool /*is_backlog*/) {}
  virtual MetricGroup& metrics() = 0;
};

/// Finds the splits of a source and deals them to its readers; one per source. All calls come from
/// one thread at a time, which may block for a few seconds.
///
/// Invariant: at every checkpoint each known split is either in this enumerator's snapshot or with
/// exactly one reader.
class SplitEnumerator {
 public:
  virtual ~SplitEnumerator() = default;
  /// `reader_splits` = splits that restored readers own; they are assigned already.
  virtual Status start(EnumeratorContext& context,
                       const std::vector<SourceSplit>& reader_splits) = 0;
  virtual Status handle_split_request(int subtask) = 0;
  /// Called about every poll_interval(): discovery.
  virtual Status poll() { return {}; }
  virtual DurationMs poll_interval() const { return DurationMs(0); }  ///< 0 = never
  /// Everything a restored enumerator needs, including known splits not assigned yet.
  virtual Result<std::string> snapshot(CheckpointId checkpoint) = 0;
};

struct SourceContext {
  std::string pipeline_id;
  std::string source_uid;
  bool is_restored = false;
  bool is_checkpointing_enabled = false;
};

/// A source of records. Builds readers and the enumerator; itself immutable.
class Source {
 public:
  virtual ~Source() = default;
  virtual Boundedness boundedness() const = 0;
  virtual const TypeOps& record_type() const = 0;
  /// Checks settings and reachability before anything runs. May block for seconds.
  virtual Status preflight(const SourceContext& context) = 0;
  virtual Result<std::unique_ptr<SplitEnumerator>> create_enumerator(
      const SourceContext& context) = 0;
  /// `state` = a snapshot() of an earlier enumerator of this source.
  virtual Result<std::unique_ptr<SplitEnumerator>> restore_enumerator(const SourceContext& context,
                                                                      const std::string& state) = 0;
  virtual Result<std::unique_ptr<SourceReader>> create_reader(SourceReaderContext context) = 0;
};

}  // namespace weir
