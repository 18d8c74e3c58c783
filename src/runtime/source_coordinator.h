#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"
#include "runtime/io_executor.h"
#include "runtime/job_inbox.h"
#include "runtime/task.h"
#include "weir/source.h"

namespace weir::runtime {

/// The enumerator of one source and the way to its readers. The enumerator runs on a strand of the
/// I/O threads; everything else here is called on the job's thread unless said otherwise.
class SourceCoordinator {
 public:
  struct Options {
    const PlanOperator* plan = nullptr;
    int parallelism = 1;
    SourceContext context;
    IoExecutor* io = nullptr;
    JobInbox* inbox = nullptr;
    MetricRegistry* metrics = nullptr;
    /// On the job's thread: the enumerator failed, which ends the attempt.
    std::function<void(const Error&)> on_failed;
    /// On the job's thread: the source works off a backlog, or does no more.
    std::function<void(bool)> on_backlog;
  };

  explicit SourceCoordinator(Options options);
  ~SourceCoordinator();

  const std::string& uid() const;
  const PlanOperator& plan() const { return *options_.plan; }
  int parallelism() const { return options_.parallelism; }

  /// May block. `restored` is null on a first start.
  Status create(const checkpoint::SourceSnapshot* restored);
  /// The readers, by subtask, are running: deals out splits from now on.
  void start(std::vector<Task*> readers, const std::vector<SourceSplit>& reader_splits);
  /// Requests that come before start() are answered after it.
  void on_split_request(int subtask);
  /// Called often; polls the enumerator when its interval is over.
  void on_time(std::int64_t now_ns);

  /// Snapshots the enumerator and then sends the barrier to the readers, so that no split is in
  /// between. `on_done` runs on the job's thread.
  void trigger(const Barrier& barrier, std::function<void(Result<std::string>)> on_done);

 private:
  class Context;

  void run(std::function<Status()> work);

  const Options options_;
  std::shared_ptr<Strand> strand_;
  std::unique_ptr<Context> context_;
  std::unique_ptr<SplitEnumerator> enumerator_;
  std::vector<Task*> readers_;
  std::vector<int> early_requests_;
  std::int64_t next_poll_ns_ = 0;
  bool is_started_ = false;
};

}  // namespace weir::runtime
