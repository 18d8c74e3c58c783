#include "runtime/job_control.h"

#include <utility>

#include "base/local_path.h"

namespace weir::runtime {

SnapshotRequest::~SnapshotRequest() {
  answer(Error{ErrorCode::kUnavailable,
               "the attempt of the job ended before the request was answered; whether there is a "
               "snapshot is unknown"});
}

void SnapshotRequest::answer(Result<SnapshotInfo> result) {
  if (!std::exchange(is_answered_, true)) {
    promise_.set_value(std::move(result));
  }
}

SnapshotReply JobControl::request(SnapshotRequest::Kind kind, const std::string& directory,
                                  bool is_drain) {
  const Result<std::string> path = local_path(directory);
  auto request =
      std::make_shared<SnapshotRequest>(kind, path.ok() ? path.value() : directory, is_drain);
  SnapshotReply reply = request->reply();
  if (!path.ok()) {
    request->answer(path.error().with_context("no savepoint"));
    return reply;
  }
  const std::lock_guard lock(mutex_);
  if (is_over_) {
    request->answer(Error{ErrorCode::kCancelled, "job '" + job_name_ + "' has ended"});
  } else {
    requests_.push_back(std::move(request));
  }
  return reply;
}

JobStatus JobControl::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

std::vector<std::shared_ptr<SnapshotRequest>> JobControl::take_requests() {
  const std::lock_guard lock(mutex_);
  return std::exchange(requests_, {});
}

void JobControl::set_status(const JobStatus& status) {
  const std::lock_guard lock(mutex_);
  status_ = status;
}

void JobControl::answer_at_end(std::shared_ptr<SnapshotRequest> request, SnapshotInfo info) {
  const std::lock_guard lock(mutex_);
  stop_ = Stop{std::move(request), std::move(info)};
}

void JobControl::finish(const Result<JobResult>& result) {
  std::vector<std::shared_ptr<SnapshotRequest>> left;
  std::optional<Stop> stop;
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
    left = std::exchange(requests_, {});
    stop = std::exchange(stop_, std::nullopt);
  }
  for (const auto& request : left) {
    request->answer(Error{ErrorCode::kCancelled, "job '" + job_name_ + "' has ended"});
  }
  if (stop.has_value()) {
    stop->request->answer(result.ok() ? Result<SnapshotInfo>(stop->info)
                                      : Result<SnapshotInfo>(result.error().with_context(
                                            "the savepoint " + stop->info.path +
                                            " is complete, but the job failed while it stopped")));
  }
  end_.set_value(result);
}

}  // namespace weir::runtime
