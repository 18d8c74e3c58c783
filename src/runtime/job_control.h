#pragma once

#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "weir/job_client.h"
#include "weir/job_result.h"
#include "weir/job_status.h"

namespace weir::runtime {

/// One request for a snapshot. Answered exactly once: by answer(), or, when it is dropped, with an
/// error.
class SnapshotRequest {
 public:
  enum class Kind { kCheckpoint, kSavepoint, kStop };

  SnapshotRequest(Kind kind, std::string directory, bool is_drain)
      : kind_(kind), directory_(std::move(directory)), is_drain_(is_drain) {}
  ~SnapshotRequest();
  SnapshotRequest(const SnapshotRequest&) = delete;
  SnapshotRequest& operator=(const SnapshotRequest&) = delete;

  Kind kind() const { return kind_; }
  const std::string& directory() const { return directory_; }
  bool is_drain() const { return is_drain_; }

  SnapshotReply reply() { return promise_.get_future(); }
  void answer(Result<SnapshotInfo> result);

 private:
  const Kind kind_;
  const std::string directory_;
  const bool is_drain_;
  std::promise<Result<SnapshotInfo>> promise_;
  bool is_answered_ = false;
};

/// What others ask of a job and what it tells them. Any thread asks; the job's own thread takes the
/// requests, answers, and sets the status.
class JobControl {
 public:
  JobControl(std::string job_name, std::string job_id)
      : job_name_(std::move(job_name)), job_id_(std::move(job_id)) {}

  const std::string& job_name() const { return job_name_; }
  const std::string& job_id() const { return job_id_; }

  // Any thread.
  SnapshotReply request(SnapshotRequest::Kind kind, const std::string& directory, bool is_drain);
  /// Also from a signal handler.
  void request_suspend() { is_suspend_requested_.store(true); }
  void request_cancel() { is_cancel_requested_.store(true); }
  JobStatus status() const;
  Result<JobResult> wait() const { return result_.get(); }

  // The job's thread.
  bool is_suspend_requested() const { return is_suspend_requested_.load(); }
  bool is_cancel_requested() const { return is_cancel_requested_.load(); }
  bool is_end_requested() const { return is_suspend_requested() || is_cancel_requested(); }
  std::vector<std::shared_ptr<SnapshotRequest>> take_requests();
  void set_status(const JobStatus& status);
  /// The stop succeeds when the job ends well.
  void answer_at_end(std::shared_ptr<SnapshotRequest> request, SnapshotInfo info);
  /// The job has ended: answers everybody.
  void finish(const Result<JobResult>& result);

 private:
  struct Stop {
    std::shared_ptr<SnapshotRequest> request;
    SnapshotInfo info;
  };

  const std::string job_name_;
  const std::string job_id_;
  std::atomic<bool> is_suspend_requested_{false};
  std::atomic<bool> is_cancel_requested_{false};
  std::promise<Result<JobResult>> end_;
  const std::shared_future<Result<JobResult>> result_{end_.get_future()};

  mutable std::mutex mutex_;  ///< guards what follows
  JobStatus status_;
  std::vector<std::shared_ptr<SnapshotRequest>> requests_;
  std::optional<Stop> stop_;
  bool is_over_ = false;
};

}  // namespace weir::runtime
