#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "weir/batch.h"
#include "weir/metrics.h"
#include "weir/operator.h"
#include "weir/result.h"
#include "weir/time.h"

namespace weir {

/// Flink's DeliveryGuarantee.
enum class DeliveryGuarantee { kNone, kAtLeastOnce, kExactlyOnce };

/// Identity of one prepared epoch of one sink subtask. Never issued twice.
struct CommittableId {
  std::string sink_uid;
  int subtask = 0;
  CheckpointId checkpoint = 0;
  AttemptId attempt = 0;  ///< the attempt that prepared it
  /// The line of the job that prepared it: a random number, drawn at every start that does not go
  /// on from the job's own latest checkpoint. Filled in by the engine.
  std::int64_t incarnation = 0;
};

/// A point at which a job began a new line: checkpoint `checkpoint` of line `incarnation`.
struct LineageEntry {
  std::int64_t incarnation = 0;
  CheckpointId checkpoint = 0;

  friend bool operator==(const LineageEntry&, const LineageEntry&) = default;
};

/// The lines that a job came through before its present one, oldest first; empty for a job that
/// began with nothing.
using Lineage = std::vector<LineageEntry>;

/// True when checkpoint `checkpoint` of line `incarnation` lies before the branches of `lineage`:
/// only what does is part of the past of a job that was started from a chosen snapshot.
inline bool is_in_past(const Lineage& lineage, std::int64_t incarnation, CheckpointId checkpoint) {
  for (const LineageEntry& entry : lineage) {
    if (entry.incarnation == incarnation && checkpoint <= entry.checkpoint) {
      return true;
    }
  }
  return false;
}

/// What a sink needs to commit one epoch later, possibly in another process. Stored in the
/// manifest.
struct Committable {
  CommittableId id;
  std::string payload;             ///< the sink's own form; never contains secrets
  std::vector<std::string> files;  ///< files in checkpoint storage it needs (CheckpointFiles)
};

/// Files a sink keeps with the checkpoints (the replay log). A file lives as long as a manifest
/// or an unproven committable names it.
class CheckpointFiles {
 public:
  virtual ~CheckpointFiles() = default;
  /// Writes a new file and makes it durable; returns the name to put into Committable::files.
  /// May block: called on the I/O executor or from a writer's own thread.
  virtual Result<std::string> write(std::string_view hint, std::string_view bytes) = 0;
  virtual Result<std::string> read(std::string_view name) = 0;
};

/// Facts of the job that a sink needs to derive identities and check its settings.
struct SinkContext {
  std::string pipeline_id;  ///< stable over restarts and resubmissions of the job
  std::string sink_uid;
  int parallelism = 1;
  AttemptId attempt = 0;
  std::int64_t incarnation = 0;  ///< the job's present line; see CommittableId
  Lineage lineage;
  bool is_checkpointing_enabled = false;
  DurationMs checkpoint_interval{0};
  DurationMs checkpoint_timeout{0};
  int max_concurrent_checkpoints = 1;
  CheckpointFiles* files = nullptr;  ///< null when checkpointing is off
};

/// Hands work to the I/O executor. The task may go away before it runs.
using BlockingExecutor = std::function<void(std::function<void()> work)>;

struct SinkWriterContext {
  SubtaskInfo subtask;
  SinkContext sink;
  MetricGroup* metrics = nullptr;
  BlockingExecutor run_blocking;
  /// What this writer's own queues may take, bytes; 0 = nobody counts.
  std::int64_t queue_bytes = 0;
  /// Wakes the task so that it calls poll() soon. Any thread may call it.
  std::function<void()> wake;
};

/// The writer of one sink subtask. All calls come from the task's thread and none may block; what
/// takes time runs behind poll().
///
/// At the barrier of checkpoint N: begin_prepare(N), then, while records of N+1 may already arrive,
/// poll_prepared(N) until it yields. It yields only when the target holds the bytes of epoch N.
/// The checkpoint is acknowledged after that.
class SinkWriter {
 public:
  virtual ~SinkWriter() = default;

  /// REQUIRES: can_write().
  virtual Status write(const Batch& batch) = 0;
  /// False = back-pressure: the task holds its input back and polls.
  virtual bool can_write() { return true; }
  /// Serves callbacks. Returns the writer's first asynchronous error, for ever once it has one.
  virtual Status poll() { return {}; }

  /// Ends the epoch: what was written so far belongs to `checkpoint`, what follows to the next.
  virtual Status begin_prepare(CheckpointId checkpoint) = 0;
  /// Nothing while the flush is under way; then the epoch's committables (none if it was empty).
  /// Under kAtLeastOnce the result is always empty, but comes only after the flush.
  virtual Result<std::optional<std::vector<Committable>>> poll_prepared(
      CheckpointId checkpoint) = 0;
  /// The writer's own state at the barrier; restored by Sink::create_writer.
  virtual std::vector<std::string> snapshot_state(CheckpointId /*checkpoint*/) { return {}; }
  /// Stops at once and abandons what was not prepared. May take up to a second.
  virtual void close() {}
};

/// The five outcomes of a commit; a sixth, "unknown", is an Error (kUnknownOutcome).
enum class CommitOutcome {
  kCommitted,         ///< done now, confirmed by the target
  kAlreadyCommitted,  ///< proved by the target: an earlier try did it
  kRetry,             ///< not now; the same call may succeed later
  /// Proved: the target rolled it back. The sink can bring it back, but not behind what its writers
  /// have written since: the job fails over, and the commit of the restored epoch does it.
  kRolledBack,
  kLost,  ///< proved: the target rolled it back and nothing can bring it back
};

struct CommitResult {
  CommitOutcome outcome = CommitOutcome::kRetry;
  std::string detail;  ///< proof or reason, for logs and errors; no secrets
  /// With kRetry: the commit takes longer than one call and has come further. Called again at once,
  /// and not counted as a failed try.
  bool has_progressed = false;
};

/// Commits prepared epochs. One per sink, used by one I/O thread at a time; calls may block, but
/// not longer than a few seconds: kRetry gives the executor back.
class Committer {
 public:
  virtual ~Committer() = default;
  /// Once per attempt, before anything is committed: all that the restored checkpoint left to be
  /// committed, in the order in which it will be.
  virtual void begin_restore(const std::vector<Committable>& /*restored*/) {}
  /// Idempotent. Called per subtask in checkpoint order.
  virtual Result<CommitResult> commit(const Committable& committable) = 0;
  /// Runs before anything is committed when the job starts from a snapshot that its user chose: an
  /// error when the target holds results of this sink that are not in the past of that snapshot
  /// (SinkContext::lineage), for going on from it would bring them a second time.
  virtual Status check_no_later_results(const std::vector<std::string>& /*restored_writer_states*/,
                                        const std::vector<Committable>& /*restored_committables*/,
                                        TimestampMs /*snapshot_ms*/) {
    return {};
  }
  /// Runs once per attempt, after all restored committables are committed and before a writer
  /// opens: aborts what abandoned attempts, of any earlier parallelism, left open.
  /// `restored_writer_states` are the states of all writers of the restored checkpoint.
  virtual Status abort_orphans(const std::vector<std::string>& /*restored_writer_states*/,
                               const std::vector<Committable>& /*restored_committables*/) {
    return {};
  }
};

/// A place results go to. Builds writers and the committer; itself immutable.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual DeliveryGuarantee guarantee() const = 0;
  virtual const TypeOps& record_type() const = 0;
  /// Checks settings against the job and against the target's own limits before anything runs.
  /// May block for seconds. One clear error that names the setting and the mend.
  virtual Status preflight(const SinkContext& context) = 0;
  /// `restored` = writer states that this subtask received (dealt out as list state).
  virtual Result<std::unique_ptr<SinkWriter>> create_writer(
      SinkWriterContext context, const std::vector<std::string>& restored) = 0;
  /// Null when guarantee() is not kExactlyOnce.
  virtual Result<std::unique_ptr<Committer>> create_committer(const SinkContext& context) = 0;
};

}  // namespace weir
