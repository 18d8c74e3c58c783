#include "runtime/job_runner.h"

#include <algorithm>
#include <filesystem>
#include <random>
#include <thread>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/planted_bug.h"
#include "checkpoint/operator_match.h"
#include "checkpoint/redistribution.h"
#include "checkpoint/savepoint.h"
#include "io/local_file_system.h"
#include "runtime/restore_match.h"

namespace weir::runtime {
namespace {

/// Trying again cannot help, or could do harm.
bool is_permanent(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kOutOfMemory:
    case ErrorCode::kCorruption:
    case ErrorCode::kAuthentication:
    case ErrorCode::kFenced:
    case ErrorCode::kLost:
    case ErrorCode::kUnknownOutcome:
      return true;
    default:
      return false;
  }
}

/// Never 0, which is the line of manifests from before there were any.
std::int64_t random_incarnation() {
  std::random_device chance;
  const std::uint64_t value = (std::uint64_t{chance()} << 32) | chance();
  return static_cast<std::int64_t>(value >> 1) | 1;
}

/// Tasks open state files by name: those of a snapshot that the user chose have absolute ones.
void name_state_files(checkpoint::Manifest& manifest, const std::string& base) {
  for (checkpoint::OperatorSnapshot& op : manifest.operators) {
    for (checkpoint::SubtaskSnapshot& subtask : op.subtasks) {
      for (checkpoint::StateHandle& handle : subtask.files) {
        handle.file.path = join_path(base, handle.file.path);
      }
    }
  }
  for (checkpoint::InFlightSnapshot& item : manifest.in_flight) {
    if (!item.file.path.empty()) {
      item.file.path = join_path(base, item.file.path);
    }
  }
}

}  // namespace

JobRunner::JobRunner(ExecutionPlan plan, JobOptions options,
                     std::unique_ptr<RestartStrategy> restarts)
    : plan_(std::move(plan)),
      options_(std::move(options)),
      restarts_(std::move(restarts)),
      control_(std::make_shared<JobControl>(options_.job_name, options_.job_id)),
      memory_(options_.memory),
      io_(options_.io_threads),
      new_incarnation_(random_incarnation()) {}

Result<JobResult> JobRunner::run() {
  Result<JobResult> result = run_to_end();
  if (!result.ok()) {
    report(JobPhase::kFailed, nullptr);
  } else if (result.value().state == JobState::kCanceled) {
    report(JobPhase::kCanceled, nullptr);
  } else {
    report(result.value().state == JobState::kFinished ? JobPhase::kFinished : JobPhase::kSuspended,
           nullptr);
  }
  if (control_server_ != nullptr) {
    control_server_->withdraw();
  }
  apply_retention(result);
  store_.reset();  // whoever is told of the end may start the job again
  control_->finish(result);
  if (control_server_ != nullptr) {
    control_server_->finish(result);
  }
  return result;
}

Result<JobResult> JobRunner::run_to_end() {
  WEIR_TRY(open_store());
  WEIR_TRY(open_control_socket());
  WEIR_TRY(preflight());
  WEIR_ASSIGN(const std::optional<JobResult> finished, find_finished());
  if (finished.has_value()) {
    return *finished;
  }
  while (true) {
    Result<JobAttempt::Outcome> outcome = run_attempt();
    if (!outcome.ok()) {
      return outcome.error();
    }
    are_commits_proved_ = outcome.value().are_commits_proved;
    has_run_ = has_run_ || outcome.value().was_running || outcome.value().is_finished;
    JobResult result;
    result.restarts = restart_count_;
    result.last_checkpoint = outcome.value().last_checkpoint;
    if (outcome.value().status.ok()) {
      result.state = outcome.value().is_finished ? JobState::kFinished : JobState::kSuspended;
      result.savepoint = outcome.value().savepoint;
      return result;
    }
    const bool is_restart = wait_for_restart(outcome.value());
    if (control_->is_cancel_requested()) {
      result.state = JobState::kCanceled;
      return result;
    }
    if (control_->is_suspend_requested() && !is_hopeless(outcome.value().status.error())) {
      // Nothing ran that a final checkpoint could hold: the latest one is what the job goes on
      // from.
      result.state = JobState::kSuspended;
      return result;
    }
    if (!is_restart) {
      return outcome.value().status.error();
    }
    ++restart_count_;
  }
}

Status JobRunner::open_store() {
  if (!options_.is_checkpointing_enabled) {
    return {};
  }
  files_ = options_.files;
  if (files_ == nullptr) {
    own_files_ = std::make_unique<LocalFileSystem>();
    files_ = own_files_.get();
  }
  WEIR_ASSIGN(store_, checkpoint::CheckpointStore::open(*files_, system_clock(), options_.store));
  return {};
}

Status JobRunner::open_control_socket() {
  const std::string& wanted = options_.control_socket;
  // The default place is in the checkpoint directory, if that is one of this machine.
  const bool has_default = store_ != nullptr && options_.files == nullptr;
  if (wanted == "off" || (wanted.empty() && !has_default)) {
    return {};
  }
  ControlServerOptions server;
  server.job_id = options_.job_id;
  server.socket =
      wanted.empty() ? "" : std::filesystem::absolute(wanted).lexically_normal().string();
  if (has_default) {
    server.job_directory = std::filesystem::absolute(store_->root()).lexically_normal().string();
  }
  auto started = ControlServer::start(std::move(server), control_);
  if (started.ok()) {
    control_server_ = std::move(started).value();
    return {};
  }
  if (!wanted.empty()) {
    return started.error().with_context("weir.control.socket");
  }
  log().warn("the job has no control socket: {}", started.error().message);
  return {};
}

Status JobRunner::preflight() {
  for (const PlanVertex& vertex : plan_.vertices) {
    for (const PlanOperator& op : vertex.operators) {
      Status status;
      if (op.source != nullptr) {
        status = op.source->preflight(
            {options_.pipeline_id, op.uid, false, options_.is_checkpointing_enabled});
      } else if (op.sink != nullptr) {
        if (op.sink->guarantee() == DeliveryGuarantee::kExactlyOnce &&
            !options_.is_checkpointing_enabled) {
          return Error{ErrorCode::kInvalidArgument,
                       "sink '" + op.name +
                           "' is exactly-once, which needs checkpoints: set "
                           "execution.checkpointing.interval and execution.checkpointing.dir"};
        }
        SinkContext context = sink_context_of(options_, 0, nullptr);
        context.sink_uid = op.uid;
        context.parallelism = vertex.parallelism;
        status = op.sink->preflight(context);
      }
      if (!status.ok()) {
        return status.error().with_context((op.source != nullptr ? "source '" : "sink '") +
                                           op.name + "'");
      }
    }
  }
  return {};
}

Status JobRunner::load_chosen() {
  chosen_.reset();
  if (options_.recovery_path.empty()) {
    return {};
  }
  const std::string path =
      std::filesystem::absolute(options_.recovery_path).lexically_normal().string();
  auto manifest = checkpoint::CheckpointStore::load_from(*files_, path);
  if (!manifest.ok()) {
    if (manifest.error().code == ErrorCode::kNotFound) {
      return {};  // an error only if it is still needed
    }
    return manifest.error().with_context("execution.state-recovery.path");
  }
  RestorePoint chosen;
  chosen.manifest = std::move(manifest).value();
  chosen.base = checkpoint::base_directory_of(chosen.manifest, path);
  name_state_files(chosen.manifest, chosen.base);
  chosen_ = std::move(chosen);
  return {};
}

/// The job's own latest checkpoint, unless the user chose a snapshot that it does not come from.
Result<std::optional<RestorePoint>> JobRunner::find_restore_point() {
  WEIR_ASSIGN(std::optional<checkpoint::Manifest> latest, store_->load_latest());
  const bool is_path_set = !options_.recovery_path.empty();
  if (latest.has_value()) {
    const Lineage& lineage = latest->lineage;
    // A snapshot that is gone was subsumed: the user may delete it after the first checkpoint.
    const bool comes_from_chosen =
        is_path_set && !lineage.empty() &&
        (!chosen_.has_value() || lineage.back() == LineageEntry{chosen_->manifest.incarnation,
                                                                chosen_->manifest.checkpoint});
    if (!is_path_set || comes_from_chosen) {
      return std::optional<RestorePoint>({*std::move(latest), {}});
    }
  }
  if (is_path_set && !chosen_.has_value()) {
    return Error{ErrorCode::kNotFound, "execution.state-recovery.path: there is no snapshot in " +
                                           options_.recovery_path};
  }
  return chosen_;
}

/// A snapshot belongs to one job at most, which may delete it under the feet of others.
Status JobRunner::claim_chosen() {
  const std::string directory = checkpoint::snapshot_directory_of(chosen_->manifest, chosen_->base);
  if (chosen_->base == std::filesystem::absolute(store_->root()).lexically_normal().string()) {
    return {};  // its own already
  }
  return checkpoint::claim_snapshot(*files_, directory, options_.job_id,
                                    options_.is_snapshot_claimed);
}

/// A job that ended for good does nothing when it is started again, unless the user chooses a
/// snapshot that it does not come from.
Result<std::optional<JobResult>> JobRunner::find_finished() {
  if (store_ == nullptr) {
    return std::optional<JobResult>();
  }
  WEIR_TRY(load_chosen());
  WEIR_ASSIGN(const std::optional<checkpoint::FinishedRecord> record, store_->load_finished());
  if (!record.has_value()) {
    return std::optional<JobResult>();
  }
  if (!options_.recovery_path.empty()) {
    const bool comes_from_chosen =
        !record->lineage.empty() &&
        (!chosen_.has_value() ||
         record->lineage.back() ==
             LineageEntry{chosen_->manifest.incarnation, chosen_->manifest.checkpoint});
    if (!comes_from_chosen) {
      return std::optional<JobResult>();
    }
  }
  log().info("job '{}' has finished with checkpoint {}; nothing is left to do", options_.job_name,
             record->checkpoint);
  // The end may have been cut short between the record and the deletion.
  WEIR_TRY(store_->begin_attempt().status());
  if (const Status disposed = store_->dispose_all(); !disposed.ok()) {
    log().warn("checkpoints of a finished job could not be removed: {}", disposed.error().message);
  }
  JobResult result;
  result.last_checkpoint = record->checkpoint;
  return std::optional<JobResult>(result);
}

void JobRunner::apply_retention(const Result<JobResult>& result) {
  if (store_ == nullptr || !has_run_) {
    return;
  }
  bool is_deleted = false;
  if (!result.ok()) {
    is_deleted = options_.retention == CheckpointRetention::kNoExternalizedCheckpoints &&
                 !is_permanent(result.error().code);
  } else if (result.value().state == JobState::kCanceled) {
    is_deleted = options_.retention != CheckpointRetention::kRetainOnCancellation;
  } else {
    // A job whose user says nothing keeps its last checkpoints also when it has finished.
    is_deleted = result.value().state == JobState::kFinished && options_.is_retention_set;
  }
  if (!is_deleted) {
    return;
  }
  if (!are_commits_proved_) {
    log().warn("checkpoints are kept: they hold results whose commit is not proved");
    return;
  }
  Status status;
  if (result.ok() && result.value().state == JobState::kFinished) {
    status = store_->publish_finished({result.value().last_checkpoint, incarnation_, lineage_});
  }
  if (status.ok()) {
    status = store_->dispose_all();
  }
  if (!status.ok()) {
    log().warn("checkpoints could not be removed: {}", status.error().message);
  }
}

Status JobRunner::check_restore(RestorePoint& point) {
  checkpoint::Manifest& manifest = point.manifest;
  for (const auto& [from, to] : options_.uid_mapping) {
    point.former_uids[to] = from;
  }
  WEIR_ASSIGN(const checkpoint::OperatorMatch match, match_snapshot(options_, plan_, manifest));
  log().info("restoring checkpoint {} of attempt {}: {}", manifest.checkpoint, manifest.attempt,
             match.to_string());
  return checkpoint::check_match(manifest, match, options_.is_unclaimed_state_ignored);
}

Result<JobAttempt::Outcome> JobRunner::run_attempt() {
  AttemptId attempt = restart_count_ + 1;
  std::optional<RestorePoint> restored;
  JobOptions options = options_;
  if (store_ != nullptr) {
    WEIR_TRY(load_chosen());
    WEIR_ASSIGN(attempt,
                store_->begin_attempt(chosen_.has_value() ? chosen_->manifest.attempt : 0));
    WEIR_ASSIGN(restored, find_restore_point());
    options.incarnation = new_incarnation_;
    if (restored.has_value() && restored->is_chosen()) {
      WEIR_TRY(claim_chosen());
      options.lineage = restored->manifest.lineage;
      options.lineage.push_back({restored->manifest.incarnation, restored->manifest.checkpoint});
    } else if (restored.has_value()) {
      options.incarnation = restored->manifest.incarnation;
      options.lineage = restored->manifest.lineage;
    }
    if (chosen_.has_value() && (options_.is_snapshot_claimed || planted_bug("F2")) &&
        chosen_->base != std::filesystem::absolute(store_->root()).lexically_normal().string()) {
      options.claimed_snapshot =
          checkpoint::snapshot_directory_of(chosen_->manifest, chosen_->base);
    }
    WEIR_ASSIGN(const CheckpointId highest, store_->highest_checkpoint_id());
    options.coordinator.first_checkpoint =
        std::max(highest, restored.has_value() ? restored->manifest.checkpoint : 0) + 1;
  }
  if (restored.has_value()) {
    WEIR_TRY(check_restore(*restored));
    if (status_.restored_checkpoint == 0) {
      status_.restored_checkpoint = restored->manifest.checkpoint;
    }
  }
  incarnation_ = options.incarnation;
  lineage_ = options.lineage;
  log().info("job '{}': attempt {}{}", options_.job_name, attempt,
             restored.has_value()
                 ? " from checkpoint " + std::to_string(restored->manifest.checkpoint)
                 : std::string(" from the beginning"));
  JobServices services{&system_clock(), &io_, &metrics_, &memory_, store_.get(), control_.get()};
  std::optional<JobAttempt> running;
  running.emplace(
      plan_, options, services, attempt, restored.has_value() ? &*restored : nullptr,
      [&](JobPhase phase) { report(phase, running.has_value() ? &*running : nullptr); });
  JobAttempt::Outcome outcome = running->run();
  report(status_.phase, &*running);
  completed_before_ = status_.checkpoints_completed;
  failed_before_ = status_.checkpoints_failed;
  return outcome;
}

bool JobRunner::is_hopeless(const Error& error) {
  if (error.code == ErrorCode::kFenced && store_ != nullptr) {
    // Who leads is decided by the attempts alone. A leading attempt that was fenced was fenced by a
    // zombie, and the next attempt shuts that one out.
    return !store_->check_leading().ok();
  }
  return is_permanent(error.code);
}

bool JobRunner::wait_for_restart(const JobAttempt::Outcome& outcome) {
  const Error& error = outcome.status.error();
  if (is_hopeless(error) || control_->is_end_requested()) {
    return false;
  }
  const auto now_ms = [] { return system_clock().monotonic_ns() / 1'000'000; };
  if (outcome.was_running) {
    restarts_->on_running(now_ms());
  }
  const RestartStrategy::Verdict verdict = restarts_->on_failure(now_ms());
  log().error("job '{}' failed: {}; {}", options_.job_name, error.message, verdict.reason);
  if (!verdict.is_restart) {
    return false;
  }
  report(JobPhase::kRestarting, nullptr);
  const std::int64_t due_ms = now_ms() + verdict.delay.count();
  while (now_ms() < due_ms && !control_->is_end_requested()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return !control_->is_end_requested();
}

void JobRunner::report(JobPhase phase, const JobAttempt* attempt) {
  status_.phase = phase;
  status_.restarts = restart_count_;
  status_.records_in = 0;
  status_.records_out = 0;
  for (const MetricRegistry::Sample& sample : metrics_.sample()) {
    for (const PlanVertex& vertex : plan_.vertices) {
      for (const PlanOperator& op : vertex.operators) {
        if (sample.scope.rfind(op.uid + ".", 0) != 0) {
          continue;
        }
        if (op.source != nullptr && sample.name == "numRecordsOut") {
          status_.records_in += sample.value;
        } else if (op.sink != nullptr && sample.name == "numRecordsIn") {
          status_.records_out += sample.value;
        }
      }
    }
  }
  if (attempt != nullptr) {
    const CheckpointId last_checkpoint = status_.last_checkpoint;
    status_.checkpoints_completed = 0;  // describe() leaves alone what has not begun yet
    status_.checkpoints_failed = 0;
    attempt->describe(status_);
    status_.checkpoints_completed += completed_before_;
    status_.checkpoints_failed += failed_before_;
    status_.last_checkpoint = std::max(status_.last_checkpoint, last_checkpoint);
    MetricGroup& group = metrics_.group("job");
    for (const auto& [name, value] : attempt->checkpoint_metrics()) {
      group.gauge(std::string(name)).set(value);
    }
    // Over all attempts, as Flink counts.
    group.gauge("numberOfCompletedCheckpoints").set(status_.checkpoints_completed);
    group.gauge("numberOfFailedCheckpoints").set(status_.checkpoints_failed);
    group.gauge("lastCheckpointAge").set(status_.last_checkpoint_age_ms);
    group.gauge("numRestarts").set(restart_count_);
    group.gauge("pendingCommittables").set(status_.pending_committables);
    group.gauge("retriedCommittables").set(status_.commit_retries);
    group.gauge("oldestCommittableAge").set(status_.oldest_commit_age_ms);
  }
  MetricGroup& memory = metrics_.group("memory");
  memory.gauge("processUsed").set(memory_.used());
  memory.gauge("processLimit").set(memory_.limit());
  memory.gauge("networkUsed").set(memory_.network().used());
  memory.gauge("networkPeak").set(memory_.network().peak());
  memory.gauge("networkLimit").set(memory_.network().limit());
  control_->set_status(status_);
  if (options_.listener != nullptr) {
    options_.listener(status_);
  }
}

}  // namespace weir::runtime
