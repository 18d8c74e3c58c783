#include "weir/job_client.h"

#include <utility>

#include "runtime/job_control.h"

namespace weir {

using Kind = runtime::SnapshotRequest::Kind;

JobClient::JobClient(std::shared_ptr<runtime::JobControl> control, std::shared_ptr<void> job)
    : control_(std::move(control)), job_(std::move(job)) {}

const std::string& JobClient::job_name() const { return control_->job_name(); }
const std::string& JobClient::job_id() const { return control_->job_id(); }
JobStatus JobClient::status() const { return control_->status(); }

SnapshotReply JobClient::trigger_checkpoint() {
  return control_->request(Kind::kCheckpoint, {}, false);
}

SnapshotReply JobClient::trigger_savepoint(const std::string& directory) {
  return control_->request(Kind::kSavepoint, directory, false);
}

SnapshotReply JobClient::stop_with_savepoint(bool drain, const std::string& directory) {
  return control_->request(Kind::kStop, directory, drain);
}

void JobClient::suspend() { control_->request_suspend(); }
void JobClient::cancel() { control_->request_cancel(); }
Result<JobResult> JobClient::wait() const { return control_->wait(); }

}  // namespace weir
