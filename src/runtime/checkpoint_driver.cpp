#include "runtime/checkpoint_driver.h"

#include <algorithm>
#include <exception>
#include <filesystem>

#include "base/failpoint.h"
#include "base/log.h"
#include "checkpoint/edge_balance.h"

namespace weir::runtime {

CheckpointDriver::CheckpointDriver(Options options)
    : options_(std::move(options)),
      coordinator_(options_.coordinator),
      store_strand_(std::make_shared<Strand>(*options_.io)),
      last_published_(options_.coordinator.restored_checkpoint) {}

void CheckpointDriver::start(std::vector<Task*> tasks, std::vector<SourceCoordinator*> sources) {
  tasks_ = std::move(tasks);
  sources_ = std::move(sources);
  if (options_.restored != nullptr) {
    built_upon_.on_complete(*options_.restored);
  }
  act_on(coordinator_.on_start(now_ms()));
}

void CheckpointDriver::on_all_running() {
  std::vector<checkpoint::TaskId> all;
  for (std::size_t i = 0; i < tasks_.size() + sources_.size(); ++i) {
    all.push_back(static_cast<checkpoint::TaskId>(i));
  }
  act_on(coordinator_.on_tasks_running(all, now_ms()));
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    // Enumerators have no end of their own.
    act_on(coordinator_.on_task_end_of_data(enumerator_task(i), now_ms()));
  }
}

void CheckpointDriver::on_time() {
  const std::int64_t limit_ms = coordinator_.age_limit_ms();
  const bool is_old = age_ms() >= limit_ms / 2;
  if (is_old && !is_age_warned_) {
    log().warn("no checkpoint was completed for {} ms; at {} ms the job fails", age_ms(), limit_ms);
  }
  is_age_warned_ = is_old;
  if (coordinator_.next_wake_ms() <= now_ms()) {
    act_on(coordinator_.on_time(now_ms()));
  }
}

void CheckpointDriver::request_suspend() {
  suspend_request_ = next_request_++;
  act_on(coordinator_.request_stop(suspend_request_, checkpoint::SnapshotKind::kCheckpoint, false,
                                   now_ms()));
}

void CheckpointDriver::request(std::shared_ptr<SnapshotRequest> request) {
  using Kind = SnapshotRequest::Kind;
  const Kind kind = request->kind();
  if (options_.store == nullptr) {
    request->answer(
        Error{ErrorCode::kInvalidArgument,
              "the job has no place for state: set execution.checkpointing.interval and "
              "execution.checkpointing.dir"});
    return;
  }
  if (kind != Kind::kCheckpoint && request->directory().empty() &&
      options_.job->savepoint_directory.empty()) {
    request->answer(Error{ErrorCode::kInvalidArgument,
                          "no directory for the savepoint: name one, or set "
                          "execution.checkpointing.savepoint-dir"});
    return;
  }
  const checkpoint::RequestId id = next_request_++;
  const bool is_drain = request->is_drain();
  requests_[id] = std::move(request);
  if (kind == Kind::kCheckpoint) {
    act_on(coordinator_.request_checkpoint(id, now_ms()));
  } else if (kind == Kind::kSavepoint) {
    act_on(coordinator_.request_savepoint(id, now_ms()));
  } else {
    act_on(coordinator_.request_stop(id, checkpoint::SnapshotKind::kSavepoint, is_drain, now_ms()));
  }
}

void CheckpointDriver::answer(const checkpoint::RequestDone& done) {
  const auto found = requests_.find(done.request);
  if (found == requests_.end()) {
    return;
  }
  const std::shared_ptr<SnapshotRequest> request = std::move(found->second);
  requests_.erase(found);
  const bool is_stop = request->kind() == SnapshotRequest::Kind::kStop;
  if (done.failure.has_value()) {
    const std::string_view what =
        request->kind() == SnapshotRequest::Kind::kCheckpoint ? "checkpoint" : "savepoint";
    const std::string reason(checkpoint::abort_reason_name(*done.failure));
    log().warn("{} on request failed: {}", what, reason);
    request->answer(Error{ErrorCode::kUnavailable,
                          "the " + std::string(what) + " failed: " + reason +
                              (last_problem_.empty() ? "" : " (" + last_problem_ + ")") +
                              (is_stop ? "; the job goes on" : "")});
    if (is_stop && request->is_drain() && done.checkpoint != 0) {
      // Windows may have fired and inputs ended: only the last checkpoint knows how it was before.
      options_.on_failed(
          {ErrorCode::kUnavailable, "the job was drained, but its savepoint failed (" + reason +
                                        "); it goes on from its last "
                                        "checkpoint"});
    }
    return;
  }
  SnapshotInfo info{done.checkpoint, {}};
  const auto collecting = collecting_.find(done.checkpoint);
  info.path =
      collecting != collecting_.end() && !collecting->second.savepoint.empty()
          ? collecting->second.savepoint
          : std::filesystem::absolute(
                options_.store->path_of(checkpoint::CheckpointStore::directory_of(done.checkpoint)))
                .lexically_normal()
                .string();
  if (is_stop) {
    options_.control->answer_at_end(request, std::move(info));
  } else {
    request->answer(std::move(info));
  }
}

void CheckpointDriver::keep_committables(TaskSnapshot& snapshot) {
  for (TaskSnapshot::OfSink& sink : snapshot.sinks) {
    options_.commits->add(std::exchange(sink.committables, {}));
  }
}

void CheckpointDriver::on_ack(int task, CheckpointId checkpoint, TaskSnapshot snapshot) {
  // Whatever becomes of this checkpoint: what was prepared belongs to the next complete one.
  keep_committables(snapshot);
  const auto collecting = collecting_.find(checkpoint);
  if (collecting != collecting_.end()) {
    const Task& from = *tasks_[static_cast<std::size_t>(task)];
    CheckpointTimings& longest = collecting->second.longest;
    longest.start_delay_ns = std::max(longest.start_delay_ns, snapshot.timings.start_delay_ns);
    longest.alignment_ns = std::max(longest.alignment_ns, snapshot.timings.alignment_ns);
    longest.sync_ns = std::max(longest.sync_ns, snapshot.timings.sync_ns);
    collecting->second.snapshots.tasks.push_back(
        {from.vertex().id, from.subtask(), std::move(snapshot)});
  }
  act_on(coordinator_.on_ack(task, checkpoint, options_.attempt, now_ms()).actions);
}

void CheckpointDriver::on_decline(int task, CheckpointId checkpoint, const Error& reason,
                                  TaskSnapshot rest) {
  keep_committables(rest);
  if (reason.code != ErrorCode::kCancelled) {
    last_problem_ = reason.message;
    log().warn("checkpoint {} failed: {}", checkpoint, reason.message);
  }
  act_on(coordinator_.on_decline(task, checkpoint, options_.attempt,
                                 checkpoint::AbortReason::kCheckpointAsyncException, now_ms()));
}

void CheckpointDriver::set_backlog(bool is_backlog) {
  act_on(coordinator_.set_backlog(is_backlog, now_ms()));
}

void CheckpointDriver::on_end_of_data(int task) {
  if (!options_.job->are_checkpoints_taken_after_finish) {
    act_on(coordinator_.set_periodic_paused(true, now_ms()));
  }
  act_on(coordinator_.on_task_end_of_data(task, now_ms()));
}

void CheckpointDriver::act_on(const checkpoint::CoordinatorActions& actions) {
  for (const checkpoint::CoordinatorAction& action : actions) {
    std::visit([this](const auto& one) { act(one); }, action);
  }
}

void CheckpointDriver::act(const checkpoint::Trigger& trigger) {
  Collecting& collecting = collecting_[trigger.checkpoint];
  collecting.trigger = trigger;
  if (options_.files != nullptr) {
    options_.files->on_triggered(trigger.checkpoint);
  }
  built_upon_.on_triggered(trigger.checkpoint, trigger.builds_on);
  collecting.triggered_ms = options_.clock->wall_ms();
  Barrier barrier;
  barrier.checkpoint = trigger.checkpoint;
  barrier.is_terminal = trigger.is_terminal;
  barrier.is_savepoint = trigger.kind == checkpoint::SnapshotKind::kSavepoint;
  barrier.is_drain = trigger.is_drain;
  barrier.builds_on = options_.job->is_incremental ? trigger.builds_on : 0;
  // Savepoints are aligned whatever the settings are, and so is the end (Flink's rules).
  barrier.can_overtake =
      options_.job->is_unaligned && !barrier.is_savepoint && !barrier.is_terminal;
  barrier.triggered_ns = options_.clock->monotonic_ns();
  barrier.overtake_at_ns = barrier.triggered_ns + options_.job->aligned_timeout.count() * 1'000'000;
  last_problem_.clear();
  if (options_.store == nullptr) {
    trigger_sources(barrier);
    return;
  }
  store_strand_->run([this, barrier] {
    const Status begun = options_.store->begin_checkpoint(barrier.checkpoint);
    options_.inbox->post([this, barrier, begun] {
      if (begun.ok() && !collecting_.contains(barrier.checkpoint)) {
        // Given up while its directory was made. The tasks were told so, and a terminal barrier
        // that came after that would halt the sources for good.
        return;
      }
      if (begun.ok()) {
        trigger_sources(barrier);
      } else if (begun.error().code == ErrorCode::kFenced) {
        options_.on_failed(begun.error());
      } else {
        log().warn("checkpoint {} cannot start: {}", barrier.checkpoint, begun.error().message);
        act_on(coordinator_.on_trigger_failed(barrier.checkpoint,
                                              checkpoint::AbortReason::kIoException, now_ms()));
      }
    });
  });
}

void CheckpointDriver::trigger_sources(const Barrier& barrier) {
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    sources_[i]->trigger(barrier, [this, barrier, i](Result<std::string> state) {
      const auto collecting = collecting_.find(barrier.checkpoint);
      if (!state.ok()) {
        log().warn("checkpoint {}: enumerator of source {}: {}", barrier.checkpoint,
                   sources_[i]->uid(), state.error().message);
        act_on(coordinator_.on_decline(enumerator_task(i), barrier.checkpoint, options_.attempt,
                                       checkpoint::AbortReason::kCheckpointDeclined, now_ms()));
        return;
      }
      if (collecting != collecting_.end()) {
        collecting->second.snapshots.enumerator_states[sources_[i]->uid()] =
            std::move(state).value();
      }
      act_on(coordinator_.on_ack(enumerator_task(i), barrier.checkpoint, options_.attempt, now_ms())
                 .actions);
    });
  }
}

Result<checkpoint::Manifest> CheckpointDriver::build_manifest(CheckpointId checkpoint,
                                                              const Collecting& from) {
  const JobOptions& job = *options_.job;
  checkpoint::Manifest manifest;
  manifest.job_id = job.job_id;
  manifest.job_name = job.job_name;
  manifest.pipeline_id = job.pipeline_id;
  manifest.checkpoint = checkpoint;
  manifest.attempt = options_.attempt;
  manifest.incarnation = job.incarnation;
  manifest.lineage = job.lineage;
  manifest.parent_checkpoint = last_published_;
  manifest.kind = from.trigger.kind;
  manifest.is_terminal = from.trigger.is_terminal;
  manifest.triggered_ms = from.triggered_ms;
  manifest.completed_ms = options_.clock->wall_ms();
  manifest.max_parallelism = job.max_parallelism;
  const bool are_edges_exact = job.alignment == checkpoint::AlignmentMode::kExactlyOnce;
  add_snapshots(*options_.plan, from.snapshots, are_edges_exact, manifest);
  WEIR_TRY(checkpoint::check_edges(manifest.edges));
  for (const Committable& committable : options_.commits->ledger().outstanding(checkpoint)) {
    for (checkpoint::SinkSnapshot& sink : manifest.sinks) {
      if (sink.uid == committable.id.sink_uid) {
        sink.committables.push_back(committable);
      }
    }
  }
  for (checkpoint::SinkSnapshot& sink : manifest.sinks) {
    if (options_.files != nullptr) {
      WEIR_ASSIGN(sink.files, options_.files->references_of(sink.committables));
    }
  }
  return manifest;
}

void CheckpointDriver::act(const checkpoint::Publish& publish) {
  const CheckpointId id = publish.checkpoint;
  kill_point("checkpoint.all_acknowledged");
  if (options_.store == nullptr) {
    on_published(id, {}, {});
    return;
  }
  Collecting& collecting = collecting_.at(id);
  if (!collecting.manifest.has_value()) {
    Result<checkpoint::Manifest> built = build_manifest(id, collecting);
    if (!built.ok()) {
      log().error("checkpoint {} is refused: {}", id, built.error().message);
      last_problem_ = built.error().message;
      act_on(coordinator_.on_publish_failed(id, checkpoint::AbortReason::kEdgeImbalance, now_ms()));
      return;
    }
    collecting.manifest = std::move(built).value();
  }
  if (collecting.trigger.kind == checkpoint::SnapshotKind::kSavepoint &&
      collecting.savepoint.empty()) {
    write_savepoint(id, collecting);
  } else {
    publish_record(id, *collecting.manifest);
  }
}

void CheckpointDriver::write_savepoint(CheckpointId checkpoint, const Collecting& from) {
  std::vector<std::string>& kept = savepoint_files_[checkpoint];
  for (const checkpoint::FileReference& file : checkpoint::files_of(*from.manifest)) {
    kept.push_back(file.path);
  }
  std::string directory = options_.job->savepoint_directory;
  if (const auto request = requests_.find(from.trigger.request);
      request != requests_.end() && !request->second->directory().empty()) {
    directory = request->second->directory();
  }
  directory = std::filesystem::absolute(directory).lexically_normal().string();
  // Not on the strand of the store: checkpoints go on meanwhile.
  options_.io->run(
      [this, checkpoint, manifest = *from.manifest, directory, is_closed = is_closed_] {
        Result<std::string> written = checkpoint::write_savepoint(
            *options_.store, manifest, directory, [is_closed] { return is_closed->load(); });
        options_.inbox->post([this, checkpoint, written = std::move(written)] {
          on_savepoint_written(checkpoint, written);
        });
      });
}

void CheckpointDriver::on_savepoint_written(CheckpointId checkpoint,
                                            const Result<std::string>& written) {
  const auto collecting = collecting_.find(checkpoint);
  if (collecting == collecting_.end()) {
    savepoint_files_.erase(checkpoint);
    return;
  }
  if (!written.ok()) {
    savepoint_files_.erase(checkpoint);
    if (written.error().code == ErrorCode::kFenced) {
      options_.on_failed(written.error());
      return;
    }
    log().warn("{}", written.error().message);
    last_problem_ = written.error().message;
    act_on(coordinator_.on_publish_failed(
        checkpoint, checkpoint::AbortReason::kFinalizeCheckpointFailure, now_ms()));
    return;
  }
  collecting->second.savepoint = written.value();
  if (collecting->second.trigger.is_terminal) {
    // That the job has stopped is told by its own directory, whatever the user does with the
    // savepoint: an ordinary terminal checkpoint with the same content.
    collecting->second.manifest->kind = checkpoint::SnapshotKind::kCheckpoint;
    publish_record(checkpoint, *collecting->second.manifest);
    return;
  }
  savepoint_files_.erase(checkpoint);
  checkpoint::PublishedSizes sizes;
  sizes.full_size_bytes = checkpoint::state_size_bytes(*collecting->second.manifest);
  sizes.size_bytes = sizes.full_size_bytes;
  on_published(checkpoint, {}, sizes);
  collecting_.erase(checkpoint);
}

void CheckpointDriver::publish_record(CheckpointId id, checkpoint::Manifest record) {
  store_strand_->run([this, id, manifest = std::move(record)] {
    const Status status = options_.store->publish(manifest);
    checkpoint::PublishedSizes sizes;
    sizes.full_size_bytes = checkpoint::state_size_bytes(manifest);
    sizes.size_bytes = checkpoint::new_bytes_of(manifest);
    options_.inbox->post([this, id, status, sizes] { on_published(id, status, sizes); });
  });
}

void CheckpointDriver::on_published(CheckpointId checkpoint, const Status& status,
                                    const checkpoint::PublishedSizes& sizes) {
  if (status.ok()) {
    const auto collecting = collecting_.find(checkpoint);
    if (collecting != collecting_.end()) {
      last_longest_ = collecting->second.longest;
    }
    const bool is_savepoint =
        collecting != collecting_.end() && !collecting->second.savepoint.empty();
    if (is_savepoint && collecting->second.trigger.is_terminal) {
      terminal_savepoint_ = collecting->second.savepoint;
    }
    if (!is_savepoint || collecting->second.trigger.is_terminal) {
      last_published_ = checkpoint;
      if (collecting != collecting_.end() && collecting->second.manifest.has_value()) {
        built_upon_.on_complete(*collecting->second.manifest);
      }
    }
    built_upon_.on_over(checkpoint);
    act_on(coordinator_.on_published(checkpoint, sizes, now_ms()));
    return;
  }
  log().warn("checkpoint {} could not be published: {}", checkpoint, status.error().message);
  last_problem_ = status.error().message;
  if (status.error().code == ErrorCode::kFenced ||
      status.error().code == ErrorCode::kAlreadyExists) {
    options_.on_failed(status.error());
  } else if (status.error().code == ErrorCode::kUnknownOutcome) {
    act_on(coordinator_.on_publish_unknown(checkpoint, now_ms()));
  } else {
    act_on(coordinator_.on_publish_failed(
        checkpoint, checkpoint::AbortReason::kFinalizeCheckpointFailure, now_ms()));
  }
}

void CheckpointDriver::act(const checkpoint::NotifyComplete& complete) {
  log().debug("checkpoint {} completed", complete.checkpoint);
  if (!complete.is_terminal) {
    collecting_.erase(complete.checkpoint);  // a terminal one is still to be answered
  }
  tell_tasks(CheckpointCompleted{complete.checkpoint});
  options_.commits->on_checkpoint_complete(complete.checkpoint);
}

void CheckpointDriver::act(const checkpoint::NotifyAborted& aborted) {
  log().info("checkpoint {} aborted: {}", aborted.checkpoint,
             checkpoint::abort_reason_name(aborted.reason));
  built_upon_.on_over(aborted.checkpoint);
  tell_tasks(CheckpointAborted{aborted.checkpoint, aborted.is_terminal});
}

void CheckpointDriver::act(const checkpoint::DiscardCheckpoint& discard) {
  collecting_.erase(discard.checkpoint);
}

void CheckpointDriver::act(const checkpoint::CollectGarbage& /*collect*/) {
  if (options_.store == nullptr) {
    return;
  }
  act_on(coordinator_.set_waiting_for_deletion(++waiting_for_deletion_, now_ms()));
  // Named again each time until they are gone: a retained manifest may still hold them.
  for (std::string& file : options_.commits->take_released_files()) {
    released_files_.push_back(std::move(file));
  }
  constexpr std::size_t kReleasedMax = 1000;
  if (released_files_.size() > kReleasedMax) {
    released_files_.erase(released_files_.begin(),
                          released_files_.end() - static_cast<std::ptrdiff_t>(kReleasedMax));
  }
  std::vector<std::string> in_use = built_upon_.files();
  for (const auto& [checkpoint, files] : savepoint_files_) {
    in_use.insert(in_use.end(), files.begin(), files.end());
  }
  store_strand_->run([this, released = released_files_, in_use = std::move(in_use)] {
    Status collected = options_.store->collect_garbage(options_.job->garbage, in_use, released);
    if (collected.ok()) {
      collected = dispose_claimed();
    }
    options_.inbox->post([this, collected] {
      if (!collected.ok()) {
        log().warn("old checkpoints could not be removed: {}", collected.error().message);
      }
      act_on(coordinator_.set_waiting_for_deletion(--waiting_for_deletion_, now_ms()));
    });
  });
}

/// A claimed snapshot is one of the retained checkpoints, and the oldest. On the store's strand.
Status CheckpointDriver::dispose_claimed() {
  if (options_.job->claimed_snapshot.empty() || is_claimed_disposed_) {
    return {};
  }
  WEIR_ASSIGN(const std::vector<CheckpointId> own, options_.store->list_published());
  if (static_cast<int>(own.size()) < options_.job->garbage.num_retained) {
    return {};
  }
  WEIR_TRY(options_.store->check_leading());
  WEIR_TRY(checkpoint::dispose_snapshot(options_.store->files(), options_.job->claimed_snapshot));
  log().info("the claimed snapshot {} was subsumed and deleted", options_.job->claimed_snapshot);
  is_claimed_disposed_ = true;
  return {};
}

void CheckpointDriver::act(const checkpoint::RequestDone& done) {
  if (done.request == suspend_request_) {
    if (done.failure.has_value()) {
      log().warn("the final checkpoint failed: {}", checkpoint::abort_reason_name(*done.failure));
      options_.on_suspend_failed();
    }
    return;
  }
  answer(done);
}

void CheckpointDriver::act(const checkpoint::FailJob& fail) {
  options_.on_failed({ErrorCode::kUnavailable,
                      last_problem_.empty() ? fail.reason : fail.reason + "; " + last_problem_});
}

void CheckpointDriver::act(const checkpoint::JobFinished& finished) {
  options_.on_terminal(finished.checkpoint, terminal_savepoint_);
}

void CheckpointDriver::act(const checkpoint::ScheduleAt& /*schedule*/) {
  // The job's loop asks next_wake_ms().
}

void CheckpointDriver::tell_tasks(const TaskMessage& message) {
  for (Task* task : tasks_) {
    task->post(message);
  }
}

}  // namespace weir::runtime
