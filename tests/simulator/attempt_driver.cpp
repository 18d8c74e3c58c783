// What the actions of coordinator and ledger ask for.
#include <algorithm>
#include <utility>

#include "base/crc32c.h"
#include "base/planted_bug.h"
#include "simulator/attempt.h"
#include "simulator/codec.h"
#include "simulator/world.h"

namespace weir::simulator {
namespace {

const std::string kJobId(32, 'a');

template <class Snapshots>
auto& with_uid(Snapshots& snapshots, const std::string& uid) {
  return *std::find_if(snapshots.begin(), snapshots.end(),
                       [&](const auto& snapshot) { return snapshot.uid == uid; });
}

}  // namespace

void Attempt::fail(const Error& error) {
  if (is_over_) {
    return;
  }
  world_.trace("attempt fails", number_, static_cast<std::int64_t>(error.code));
  act_on(coordinator_.abort_all(checkpoint::AbortReason::kTaskFailure, now_ms()));
  is_over_ = true;
  world_.on_attempt_failed(process_, error);
}

void Attempt::act_on(const checkpoint::CoordinatorActions& actions) {
  for (const auto& action : actions) {
    std::visit([this](const auto& one) { act(one); }, action);
  }
}

void Attempt::act_on_ledger(const checkpoint::LedgerActions& actions) {
  for (const auto& action : actions) {
    std::visit([this](const auto& one) { act(one); }, action);
  }
}

/// The store is used by one operation at a time, in order.
void Attempt::on_store(std::function<void()> work) {
  const std::int64_t slow_ms = world_.strikes(world_.faults().slow_store, 8) ? 80 : 0;
  strand_free_ms_ = std::max(strand_free_ms_, now_ms()) + world_.chance().between(0, 3) + slow_ms;
  later(strand_free_ms_ - now_ms(), std::move(work));
}

// ---- checkpoints

void Attempt::act(const checkpoint::Trigger& trigger) {
  world_.trace("trigger", trigger.checkpoint, static_cast<std::int64_t>(trigger.kind),
               trigger.is_terminal ? 1 : 0);
  collecting_[trigger.checkpoint].trigger = trigger;
  files_.on_triggered(trigger.checkpoint);
  built_upon_.on_triggered(trigger.checkpoint, trigger.builds_on);
  on_store([this, trigger] {
    const Status begun = store_.begin_checkpoint(trigger.checkpoint);
    if (!collecting_.contains(trigger.checkpoint)) {
      return;  // given up meanwhile, and the tasks were told so
    }
    if (begun.ok()) {
      world_.on_begun(trigger.checkpoint, number_);
      trigger_sources(trigger);
    } else if (begun.error().code == ErrorCode::kFenced) {
      fail(begun.error());
    } else {
      act_on(coordinator_.on_trigger_failed(trigger.checkpoint,
                                            checkpoint::AbortReason::kIoException, now_ms()));
    }
  });
}

void Attempt::trigger_sources(const checkpoint::Trigger& trigger) {
  const Vertex& source = vertices_.front();
  for (int subtask = 0; subtask < source.parallelism; ++subtask) {
    if (world_.strikes(world_.faults().lost_messages, 40)) {
      continue;
    }
    Task& task = *tasks_[static_cast<std::size_t>(subtask)];
    tell(task, [&task, trigger] { task.on_trigger(trigger); });
    if (world_.strikes(world_.faults().lost_messages, 20)) {
      tell(task, [&task, trigger] { task.on_trigger(trigger); });
    }
  }
  later(world_.chance().between(0, 5), [this, trigger] {
    act_on(coordinator_.on_ack(enumerator(), trigger.checkpoint, number_, now_ms()).actions);
  });
}

void Attempt::on_snapshot(int task, TaskSnapshot snapshot) {
  const CheckpointId checkpoint = snapshot.checkpoint;
  world_.trace(snapshot.is_declined ? "decline" : "acknowledge", checkpoint, task,
               static_cast<std::int64_t>(snapshot.committables.size()));
  // Whatever becomes of this checkpoint: what was prepared belongs to the next complete one.
  ledger_.add(std::exchange(snapshot.committables, {}));
  if (snapshot.is_declined) {
    act_on(coordinator_.on_decline(task, checkpoint, number_,
                                   checkpoint::AbortReason::kCheckpointAsyncException, now_ms()));
    return;
  }
  if (const auto found = collecting_.find(checkpoint); found != collecting_.end()) {
    found->second.snapshots.emplace(task, std::move(snapshot));
  }
  if (world_.strikes(world_.faults().lost_messages || world_.faults().kills, 10)) {
    // A message of the attempt before arrives late.
    const auto stale = coordinator_.on_ack(task, checkpoint, number_ - 1, now_ms());
    world_.expect(stale.verdict == checkpoint::AckVerdict::kUnknown && stale.actions.empty(),
                  "an acknowledgement of an old attempt changes nothing");
    world_.expect(coordinator_
                      .on_decline(task, checkpoint, number_ - 1,
                                  checkpoint::AbortReason::kTaskFailure, now_ms())
                      .empty(),
                  "a failure message of an old attempt changes nothing");
  }
  act_on(coordinator_.on_ack(task, checkpoint, number_, now_ms()).actions);
  if (!is_over_ && world_.strikes(world_.faults().lost_messages, 10)) {
    const auto again = coordinator_.on_ack(task, checkpoint, number_, now_ms());
    world_.expect(again.verdict != checkpoint::AckVerdict::kSuccess,
                  "a repeated acknowledgement does not count");
    act_on(again.actions);
  }
}

checkpoint::Manifest Attempt::build_manifest(CheckpointId checkpoint, const Collecting& from) {
  checkpoint::Manifest m;
  m.job_id = kJobId;
  m.checkpoint = checkpoint;
  m.attempt = number_;
  m.parent_checkpoint = last_published_;
  m.kind = from.trigger.kind;
  m.is_terminal = from.trigger.is_terminal;
  m.triggered_ms = m.completed_ms = now_ms();
  m.max_parallelism = world_.schedule().max_parallelism;
  world_.expect(from.snapshots.size() == tasks_.size(),
                "every task acknowledged what is published");
  std::vector<checkpoint::EdgeReport> reports;
  for (const Vertex& vertex : vertices_) {
    if (vertex.role == Role::kSource) {
      m.sources.push_back({vertex.uid, "", vertex.parallelism, "", {}});
    } else if (vertex.role == Role::kSink) {
      m.sinks.push_back({vertex.uid, "", vertex.parallelism, {}, {}, {}});
    } else {
      m.operators.push_back({vertex.uid, "", vertex.parallelism, m.max_parallelism, {}, {}});
    }
  }
  for (const auto& [id, snapshot] : from.snapshots) {
    const Task& task = *tasks_[static_cast<std::size_t>(id)];
    const Vertex& vertex = vertices_[static_cast<std::size_t>(task.vertex())];
    if (vertex.role == Role::kSource) {
      checkpoint::ReaderSnapshot reader{task.subtask(), snapshot.state.is_finished, {}};
      for (const Split& split : snapshot.splits) {
        reader.splits.push_back({std::to_string(split.index), std::to_string(split.offset)});
      }
      m.sources.front().readers.push_back(std::move(reader));
    } else if (vertex.role == Role::kSink) {
      with_uid(m.sinks, vertex.uid).writers.push_back({task.subtask(), {}});
    } else {
      with_uid(m.operators, vertex.uid).subtasks.push_back(snapshot.state);
    }
    reports.insert(reports.end(), snapshot.edges.begin(), snapshot.edges.end());
    m.in_flight.insert(m.in_flight.end(), snapshot.in_flight.begin(), snapshot.in_flight.end());
  }
  if (!world_.schedule().is_at_least_once) {
    m.edges = checkpoint::sum_edges(reports);
  }
  for (const Committable& committable : ledger_.outstanding(checkpoint)) {
    with_uid(m.sinks, committable.id.sink_uid).committables.push_back(committable);
  }
  for (checkpoint::SinkSnapshot& sink : m.sinks) {
    sink.files = files_.references_of(sink.committables).value();
  }
  return m;
}

void Attempt::act(const checkpoint::Publish& publish_it) {
  const CheckpointId id = publish_it.checkpoint;
  Collecting& from = collecting_.at(id);
  if (!from.manifest.has_value()) {
    from.manifest = build_manifest(id, from);
    const Status balanced = checkpoint::check_edges(from.manifest->edges);
    world_.expect(balanced.ok(), balanced.ok() ? "" : balanced.error().message);
  }
  if (from.trigger.kind == checkpoint::SnapshotKind::kSavepoint && !from.is_savepoint_written) {
    later(world_.chance().between(0, 10), [this, id] {
      const auto found = collecting_.find(id);
      if (found == collecting_.end()) {
        return;  // the job ended with another one
      }
      Collecting& savepoint = found->second;
      const Status written = write_savepoint(*savepoint.manifest);
      if (!written.ok()) {
        on_published(id, written);
        return;
      }
      savepoint.is_savepoint_written = true;
      if (!savepoint.trigger.is_terminal) {
        on_published(id, {});
        return;
      }
      // That the job has stopped is told by its own directory.
      savepoint.manifest->kind = checkpoint::SnapshotKind::kCheckpoint;
      publish(id);
    });
    return;
  }
  publish(id);
}

void Attempt::publish(CheckpointId id) {
  on_store([this, id, manifest = *collecting_.at(id).manifest] {
    world_.about_to_publish(manifest);
    const Status status = store_.publish(manifest);
    world_.trace("publish", id, status.ok() ? -1 : static_cast<std::int64_t>(status.error().code));
    on_published(id, status);
  });
}

Status Attempt::write_savepoint(const checkpoint::Manifest& manifest) {
  world_.trace("savepoint", manifest.checkpoint);
  for (const checkpoint::FileReference& file : checkpoint::files_of(manifest)) {
    const auto bytes = store_.files().read(store_.path_of(file.path));
    world_.expect(
        bytes.ok() || bytes.error().code != ErrorCode::kNotFound || !world_.is_leading(number_),
        "no file of a savepoint under way is deleted: " + file.path);
    WEIR_TRY(bytes.status());
    world_.expect(crc32c(bytes.value()) == file.crc32c, "a savepoint copies what was written");
  }
  return {};
}

void Attempt::on_published(CheckpointId checkpoint, const Status& status) {
  if (status.ok()) {
    if (const auto done = collecting_.find(checkpoint);
        done != collecting_.end() &&
        done->second.manifest->kind == checkpoint::SnapshotKind::kCheckpoint) {
      last_published_ = checkpoint;
      built_upon_.on_complete(*done->second.manifest);
    }
    built_upon_.on_over(checkpoint);
    act_on(coordinator_.on_published(checkpoint, {}, now_ms()));
    collecting_.erase(checkpoint);
  } else if (status.error().code == ErrorCode::kFenced ||
             status.error().code == ErrorCode::kAlreadyExists) {
    fail(status.error());
  } else if (status.error().code == ErrorCode::kUnknownOutcome) {
    act_on(coordinator_.on_publish_unknown(checkpoint, now_ms()));
  } else {
    act_on(coordinator_.on_publish_failed(
        checkpoint, checkpoint::AbortReason::kFinalizeCheckpointFailure, now_ms()));
  }
}

void Attempt::act(const checkpoint::NotifyComplete& complete) {
  world_.trace("complete", complete.checkpoint);
  world_.expect(world_.was_published(complete.checkpoint), "only what was published is announced");
  act_on_ledger(ledger_.on_checkpoint_complete(complete.checkpoint, now_ms()));
  check_end();
}

void Attempt::act(const checkpoint::NotifyAborted& aborted) {
  world_.trace("abort", aborted.checkpoint, static_cast<std::int64_t>(aborted.reason));
  world_.on_aborted(aborted.checkpoint, number_);
  built_upon_.on_over(aborted.checkpoint);
  for (const auto& task : tasks_) {
    // Best effort, except that a source has to learn that the stop did not happen.
    if (aborted.is_terminal || !world_.strikes(world_.faults().lost_messages, 4)) {
      tell(*task, [task = task.get(), aborted] {
        task->on_aborted(aborted.checkpoint, aborted.is_terminal);
      });
    }
  }
}

void Attempt::act(const checkpoint::DiscardCheckpoint& discard) {
  collecting_.erase(discard.checkpoint);
}

void Attempt::act(const checkpoint::CollectGarbage& /*collect*/) {
  act_on(coordinator_.set_waiting_for_deletion(++waiting_for_deletion_, now_ms()));
  on_store([this] { collect(); });
}

void Attempt::collect() {
  const Schedule& schedule = world_.schedule();
  const Status collected = store_.collect_garbage({schedule.num_retained, schedule.grace_ms()},
                                                  files_in_use(), released_);
  world_.trace("collect", collected.ok() ? -1 : static_cast<std::int64_t>(collected.error().code));
  act_on(coordinator_.set_waiting_for_deletion(--waiting_for_deletion_, now_ms()));
}

std::vector<std::string> Attempt::files_in_use() const {
  std::vector<std::string> files = built_upon_.files();
  for (const auto& [checkpoint, from] : collecting_) {
    if (from.trigger.kind == checkpoint::SnapshotKind::kSavepoint && from.manifest.has_value()) {
      for (const checkpoint::FileReference& file : checkpoint::files_of(*from.manifest)) {
        files.push_back(file.path);
      }
    }
  }
  return files;
}

void Attempt::act(const checkpoint::RequestDone& done) {
  world_.expect(requests_.erase(done.request) == 1, "a request is answered once");
}

void Attempt::act(const checkpoint::FailJob& failed) {
  fail({ErrorCode::kUnavailable, failed.reason});
}

void Attempt::act(const checkpoint::JobFinished& finished) {
  terminal_ = finished.checkpoint;
  check_end();
}

void Attempt::act(const checkpoint::ScheduleAt& schedule) {
  later(std::max<std::int64_t>(0, schedule.at_ms - now_ms()), [this] {
    if (coordinator_.next_wake_ms() <= now_ms()) {
      act_on(coordinator_.on_time(now_ms()));
    }
  });
}

void Attempt::request_savepoint() {
  requests_.insert(next_request_);
  act_on(coordinator_.request_savepoint(next_request_++, now_ms()));
}

void Attempt::request_stop() {
  is_stop_requested_ = true;
  requests_.insert(next_request_);
  const auto kind = world_.chance().one_in(2) ? checkpoint::SnapshotKind::kCheckpoint
                                              : checkpoint::SnapshotKind::kSavepoint;
  act_on(coordinator_.request_stop(next_request_++, kind, false, now_ms()));
}

// ---- commits

void Attempt::act(const checkpoint::StartCommit& start) {
  world_.trace("commit", start.committable.id.checkpoint, start.committable.id.subtask,
               std::stoll(start.committable.payload));
  commit(start.ticket, start.committable);
}

/// The request travels, takes effect outside, and the reply travels: each may be lost, and the
/// effect outlives this process.
void Attempt::send(std::function<Result<CommitResult>()> effect, CommitTicket ticket,
                   const Committable& committable,
                   std::function<void(const Result<CommitResult>&)> on_reply) {
  const bool is_faulty = world_.faults().commit_errors;
  const std::int64_t travel_ms =
      world_.chance().between(0, 4) + (world_.strikes(is_faulty, 10) ? 60 : 0);
  const std::int64_t back_ms = travel_ms + world_.chance().between(0, 4);
  const bool is_reply_lost = world_.strikes(is_faulty, 8);
  auto result = std::make_shared<Result<CommitResult>>(CommitResult{});
  world_.at(now_ms() + travel_ms, nullptr,
            [result, effect = std::move(effect)] { *result = effect(); });
  later(is_reply_lost ? back_ms + 20 : back_ms,
        [this, ticket, committable, result, is_reply_lost, on_reply = std::move(on_reply)] {
          if (is_reply_lost) {
            on_commit_result(ticket, committable, Error{ErrorCode::kUnknownOutcome, "no reply"});
          } else {
            on_reply(*result);
          }
        });
}

void Attempt::commit(CommitTicket ticket, const Committable& committable) {
  if (world_.strikes(world_.faults().commit_errors, 12)) {
    const ErrorCode codes[] = {ErrorCode::kUnavailable, ErrorCode::kTimeout, ErrorCode::kInternal};
    const ErrorCode code = codes[world_.chance().below(3)];
    later(world_.chance().between(1, 6), [this, ticket, committable, code] {
      on_commit_result(ticket, committable, Error{code, "injected"});
    });
    return;
  }
  if (const Status leading = store_.check_leading(); !leading.ok()) {
    later(0, [this, ticket, committable, error = leading.error()] {
      on_commit_result(ticket, committable, error);
    });
    return;
  }
  World& world = world_;
  const std::int64_t transaction = std::stoll(committable.payload);
  send(
      [&world, transaction] {
        const CommitOutcome outcome = world.broker().commit(transaction);
        world.trace("committed", transaction, static_cast<std::int64_t>(outcome));
        return CommitResult{outcome, ""};
      },
      ticket, committable,
      [this, ticket, committable](const Result<CommitResult>& result) {
        const bool are_writers_open = ledger_.is_restored_done(committable.id.sink_uid);
        if (result.value().outcome != CommitOutcome::kLost) {
          on_commit_result(ticket, committable, result);
        } else if (are_writers_open && !planted_bug("A1")) {
          on_commit_result(ticket, committable, CommitResult{CommitOutcome::kRolledBack, ""});
        } else {
          replay(ticket, committable);
        }
      });
}

/// The broker aborted the transaction: write its records again from the log, once those that the
/// restored checkpoint has after them are aborted too.
void Attempt::replay(CommitTicket ticket, const Committable& committable) {
  const auto bytes = files_.read(committable.files.at(0));
  world_.expect(
      bytes.ok() || bytes.error().code != ErrorCode::kNotFound || !world_.is_leading(number_),
      "the replay log of an unproved epoch is there: " + committable.files.at(0));
  if (!bytes.ok()) {
    on_commit_result(ticket, committable, CommitResult{CommitOutcome::kRetry, "log unreadable"});
    return;
  }
  const std::int64_t transaction = std::stoll(committable.payload);
  bool is_behind = false;
  for (const Committable& other : restored_committables_) {
    if (is_behind && other.id.sink_uid == committable.id.sink_uid &&
        other.id.subtask == committable.id.subtask && !planted_bug("A1_order")) {
      world_.broker().abort(std::stoll(other.payload));
    }
    is_behind = is_behind || other.payload == committable.payload;
  }
  int replay = 0;
  const CommitOutcome begun = world_.broker().begin_replay(
      transaction, number_, decode_records(bytes.value()), now_ms(), replay);
  world_.trace("replay", transaction, replay);
  if (begun != CommitOutcome::kRetry) {
    on_commit_result(ticket, committable, CommitResult{begun, ""});
    return;
  }
  later(world_.chance().between(0, 4), [this, ticket, committable, transaction, replay] {
    World& world = world_;
    send(
        [&world, transaction, replay]() -> Result<CommitResult> {
          WEIR_ASSIGN(const CommitOutcome outcome,
                      world.broker().commit_replay(transaction, replay));
          world.trace("replayed", transaction, replay);
          return CommitResult{outcome, ""};
        },
        ticket, committable,
        [this, ticket, committable](const Result<CommitResult>& result) {
          on_commit_result(ticket, committable, result);
        });
  });
}

void Attempt::on_commit_result(CommitTicket ticket, const Committable& committable,
                               const Result<CommitResult>& result) {
  const bool is_proved =
      result.ok() && (result.value().outcome == CommitOutcome::kCommitted ||
                      result.value().outcome == CommitOutcome::kAlreadyCommitted);
  if (is_proved) {
    released_.insert(released_.end(), committable.files.begin(), committable.files.end());
  }
  act_on_ledger(ledger_.on_result(ticket, result, now_ms()));
  check_end();
}

void Attempt::act(const checkpoint::WakeLedgerAt& wake) {
  later(std::max<std::int64_t>(0, wake.at_ms - now_ms()), [this] {
    if (ledger_.next_wake_ms() <= now_ms()) {
      act_on_ledger(ledger_.on_time(now_ms()));
    }
  });
}

void Attempt::act(const checkpoint::RestoredDone& done) {
  for (const Vertex& vertex : vertices_) {
    if (vertex.uid == done.sink_uid) {
      abort_orphans(vertex.sink);
    }
  }
}

void Attempt::abort_orphans(int sink) {
  if (world_.strikes(world_.faults().commit_errors, 10)) {
    later(5, [this] { fail({ErrorCode::kUnavailable, "orphans could not be aborted"}); });
    return;
  }
  later(world_.chance().between(1, 8), [this, sink] {
    world_.broker().abort_orphans(sink, number_);
    if (++sinks_ready_ == world_.schedule().sink_count) {
      run_tasks();
    }
  });
}

void Attempt::act(const checkpoint::CommittedUpTo& up_to) {
  world_.expect(ledger_.outstanding(up_to.checkpoint).empty(),
                "committed means that nothing is left");
}

void Attempt::act(const checkpoint::StopOnCommit& stop) { fail({stop.code, stop.reason}); }

void Attempt::check_end() {
  if (is_over_ || terminal_ == 0 || !ledger_.is_committed_up_to(terminal_)) {
    return;
  }
  is_over_ = true;
  world_.on_job_stopped(process_, is_stop_requested_, terminal_);
}

}  // namespace weir::simulator
