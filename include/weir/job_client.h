#pragma once

#include <future>
#include <memory>
#include <string>

#include "weir/job_result.h"
#include "weir/job_status.h"
#include "weir/result.h"
#include "weir/time.h"

namespace weir {

namespace runtime {
class JobControl;
}

/// A completed checkpoint or savepoint that somebody asked for.
struct SnapshotInfo {
  CheckpointId checkpoint = 0;
  std::string path;  ///< its directory, absolute: what execution.state-recovery.path takes
};

/// The answer to a request: it comes when the snapshot is complete, or with the reason why there is
/// none. Always answered, at the latest when the job ends.
using SnapshotReply = std::future<Result<SnapshotInfo>>;

/// Flink's JobClient: a running job as others see it. Copies refer to the same job; every function
/// may be called from any thread, at any time, also after the end of the job.
///
/// Requests made while the job restores or restarts wait until it runs.
class JobClient {
 public:
  /// `job` keeps the job alive: when the last client with it is destroyed, the end of the job is
  /// waited for. May be null, as for a job that somebody else runs.
  explicit JobClient(std::shared_ptr<runtime::JobControl> control,
                     std::shared_ptr<void> job = nullptr);

  const std::string& job_name() const;
  /// 32 hexadecimal digits; names the job's directory below execution.checkpointing.dir.
  const std::string& job_id() const;
  /// As of about 200 ms ago at most.
  JobStatus status() const;

  /// A checkpoint now, whatever the interval is.
  SnapshotReply trigger_checkpoint();
  /// A savepoint: the user's own, self-contained, without effect on sinks. `directory` empty =
  /// execution.checkpointing.savepoint-dir.
  SnapshotReply trigger_savepoint(const std::string& directory = {});
  /// Stops the sources, takes a savepoint, commits what it holds, and ends the job. With `drain`
  /// the input is ended for good first: windows and timers fire. Without it nothing fires, and what
  /// is open goes on when the savepoint is started. If it fails, the job goes on. Answered when the
  /// job has ended.
  SnapshotReply stop_with_savepoint(bool drain, const std::string& directory = {});

  /// What SIGTERM does: a final checkpoint, its commits, and then the job ends as SUSPENDED and
  /// goes on from there when it is started again.
  void suspend();
  /// Ends the job at once, without a further checkpoint: CANCELED.
  void cancel();

  /// Waits for the end of the job: what Environment::execute would have returned.
  Result<JobResult> wait() const;

 private:
  std::shared_ptr<runtime::JobControl> control_;
  std::shared_ptr<void> job_;
};

}  // namespace weir
