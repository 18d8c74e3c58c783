#include "runtime/commit_driver.h"

#include <exception>

#include "base/failpoint.h"
#include "base/log.h"
#include "checkpoint/redistribution.h"

namespace weir::runtime {

CommitDriver::CommitDriver(Options options, std::vector<SinkEntry> sinks)
    : options_(std::move(options)), ledger_(options_.ledger) {
  for (SinkEntry& entry : sinks) {
    const std::string uid = entry.context.sink_uid;
    lanes_[uid] = Lane{std::move(entry), std::make_shared<Strand>(*options_.io), nullptr};
  }
}

Status CommitDriver::open() {
  for (auto& [uid, lane] : lanes_) {
    if (lane.entry.sink->guarantee() != DeliveryGuarantee::kExactlyOnce) {
      continue;
    }
    auto committer = lane.entry.sink->create_committer(lane.entry.context);
    if (!committer.ok()) {
      return committer.error().with_context("sink '" + lane.entry.name + "'");
    }
    lane.committer = std::move(committer).value();
  }
  return {};
}

void CommitDriver::restore(const checkpoint::Manifest* manifest, Branch branch,
                           std::function<void(Status)> on_done) {
  on_restored_ = std::move(on_done);
  for (const auto& [uid, lane] : lanes_) {
    uids_.push_back(uid);
  }
  if (manifest != nullptr) {
    restored_ = checkpoint::restored_committables(*manifest);
    for (const checkpoint::SinkSnapshot& sink : manifest->sinks) {
      restored_writer_states_[sink.uid] = checkpoint::all_writer_states(sink);
    }
    if (const Status opened = open_foreign(manifest->pipeline_id, branch); !opened.ok()) {
      std::exchange(on_restored_, nullptr)(opened);
      return;
    }
  }
  if (branch.is_branch && !branch.are_later_results_kept) {
    check_later_results(0, manifest->completed_ms);
  } else {
    start_restore();
  }
}

/// What was prepared bears the names of then. The transactions of another pipeline's writers are
/// not ours to abort.
Status CommitDriver::open_foreign(const std::string& pipeline_id, const Branch& branch) {
  for (auto& [uid, lane] : lanes_) {
    const auto former = branch.former_uids.find(uid);
    const bool is_other_pipeline = lane.entry.context.pipeline_id != pipeline_id;
    if (lane.committer == nullptr || (!is_other_pipeline && former == branch.former_uids.end())) {
      continue;
    }
    SinkContext context = lane.entry.context;
    context.pipeline_id = pipeline_id;
    context.sink_uid = former == branch.former_uids.end() ? uid : former->second;
    lane.foreign_uid = context.sink_uid;
    WEIR_ASSIGN(lane.foreign_committer, lane.entry.sink->create_committer(context));
    if (is_other_pipeline) {
      restored_writer_states_.erase(uid);
    }
  }
  return {};
}

/// One sink after the other, on I/O threads.
void CommitDriver::check_later_results(std::size_t index, TimestampMs snapshot_ms) {
  if (index == uids_.size()) {
    start_restore();
    return;
  }
  Lane& lane = lanes_.at(uids_[index]);
  if (lane.committer == nullptr) {
    check_later_results(index + 1, snapshot_ms);
    return;
  }
  std::vector<Committable> own = restored_of(uids_[index], lane);
  lane.strand->run([this, &lane, index, snapshot_ms, own = std::move(own),
                    states = restored_writer_states_[uids_[index]]] {
    Status status;
    try {
      status = lane.committer->check_no_later_results(states, own, snapshot_ms);
    } catch (const std::exception& exception) {
      status = Error{ErrorCode::kInternal, std::string("committer threw: ") + exception.what()};
    }
    options_.inbox->post([this, &lane, index, snapshot_ms, status] {
      if (status.ok()) {
        check_later_results(index + 1, snapshot_ms);
        return;
      }
      Error error = status.error().with_context("sink '" + lane.entry.name + "'");
      error.message +=
          ". Going on from the snapshot would bring results twice: start from the latest one, "
          "clear "
          "the target, or set weir.state-recovery.later-results to KEEP";
      std::exchange(on_restored_, nullptr)(error);
    });
  });
}

/// Committables that `lane`'s own committer, not the foreign one, is concerned with.
std::vector<Committable> CommitDriver::restored_of(const std::string& sink_uid,
                                                   const Lane& lane) const {
  return lane.foreign_committer == nullptr ? all_restored_of(sink_uid) : std::vector<Committable>();
}

std::vector<Committable> CommitDriver::all_restored_of(const std::string& sink_uid) const {
  std::vector<Committable> own;
  for (const Committable& committable : restored_) {
    if (committable.id.sink_uid == sink_uid) {
      own.push_back(committable);
    }
  }
  return own;
}

void CommitDriver::start_restore() {
  lanes_to_restore_ = lanes_.size();
  is_restored_ = true;
  if (lanes_to_restore_ == 0) {
    std::exchange(on_restored_, nullptr)({});
    return;
  }
  if (!restored_.empty()) {
    kill_point("restore.before_commit");
  }
  for (auto& [uid, lane] : lanes_) {
    Committer* const committer =
        lane.foreign_committer != nullptr ? lane.foreign_committer.get() : lane.committer.get();
    if (committer != nullptr) {
      committer->begin_restore(all_restored_of(uid));
    }
  }
  act_on(ledger_.restore(uids_, restored_, now_ms()));
}

void CommitDriver::on_checkpoint_complete(CheckpointId checkpoint) {
  kill_point("commit.before");
  act_on(ledger_.on_checkpoint_complete(checkpoint, now_ms()));
}

void CommitDriver::on_time() {
  if (ledger_.next_wake_ms() <= now_ms()) {
    act_on(ledger_.on_time(now_ms()));
  }
}

void CommitDriver::act_on(const checkpoint::LedgerActions& actions) {
  for (const checkpoint::LedgerAction& action : actions) {
    if (const auto* commit = std::get_if<checkpoint::StartCommit>(&action)) {
      start(*commit);
    } else if (const auto* restored = std::get_if<checkpoint::RestoredDone>(&action)) {
      abort_orphans(restored->sink_uid);
    } else if (const auto* stop = std::get_if<checkpoint::StopOnCommit>(&action)) {
      options_.on_stop({stop->code, stop->reason});
    } else if (std::holds_alternative<checkpoint::CommittedUpTo>(action)) {
      options_.on_progress();
    }
  }
}

void CommitDriver::start(const checkpoint::StartCommit& commit) {
  Lane& lane = lanes_.at(commit.committable.id.sink_uid);
  if (lane.committer == nullptr) {
    options_.on_stop({ErrorCode::kInvalidArgument,
                      "checkpoint " + std::to_string(commit.committable.id.checkpoint) +
                          " holds data prepared by sink '" + lane.entry.name +
                          "', which is not exactly-once any more; restore it with the guarantee "
                          "it was written with, so that the data is committed"});
    return;
  }
  // Only what was restored can be another pipeline's, and it is proved before anything else starts.
  Committer* const committer =
      lane.foreign_committer != nullptr && !ledger_.is_restored_done(lane.entry.context.sink_uid)
          ? lane.foreign_committer.get()
          : lane.committer.get();
  Committable committable = commit.committable;
  if (committer == lane.foreign_committer.get() && committer != nullptr) {
    committable.id.sink_uid = lane.foreign_uid;
  }
  lane.strand->run([this, committer, commit, committable = std::move(committable)] {
    Result<CommitResult> result = Error{ErrorCode::kUnknownOutcome, "not tried"};
    const Status leading = options_.check_leading();
    try {
      result =
          leading.ok() ? committer->commit(committable) : Result<CommitResult>(leading.error());
    } catch (const std::exception& exception) {
      // Whatever it was, the commit may have happened.
      result =
          Error{ErrorCode::kUnknownOutcome, std::string("committer threw: ") + exception.what()};
    }
    kill_point("commit.after");
    options_.inbox->post([this, commit, result = std::move(result)] {
      const bool is_proved =
          result.ok() && (result.value().outcome == CommitOutcome::kCommitted ||
                          result.value().outcome == CommitOutcome::kAlreadyCommitted);
      if (is_proved) {
        released_files_.insert(released_files_.end(), commit.committable.files.begin(),
                               commit.committable.files.end());
      } else if (!result.ok() || !result.value().has_progressed) {
        log().warn("commit of checkpoint {} of sink {} subtask {}: {}",
                   commit.committable.id.checkpoint, commit.committable.id.sink_uid,
                   commit.committable.id.subtask,
                   result.ok() ? result.value().detail : result.error().message);
      }
      act_on(ledger_.on_result(commit.ticket, result, now_ms()));
      options_.on_progress();
    });
  });
}

void CommitDriver::abort_orphans(const std::string& sink_uid) {
  Lane& lane = lanes_.at(sink_uid);
  if (lane.committer == nullptr) {
    orphans_done(sink_uid, {});
    return;
  }
  // Copied here: the strands of several sinks run at the same time.
  lane.strand->run([this, &lane, sink_uid, own = restored_of(sink_uid, lane),
                    states = restored_writer_states_[sink_uid]] {
    Status status;
    try {
      status = lane.committer->abort_orphans(states, own);
    } catch (const std::exception& exception) {
      status = Error{ErrorCode::kInternal, std::string("committer threw: ") + exception.what()};
    }
    options_.inbox->post([this, sink_uid, status] { orphans_done(sink_uid, status); });
  });
}

void CommitDriver::orphans_done(const std::string& sink_uid, const Status& status) {
  if (on_restored_ == nullptr) {
    return;
  }
  if (!status.ok()) {
    std::exchange(on_restored_, nullptr)(status.error().with_context(
        "sink '" + lanes_.at(sink_uid).entry.name + "', aborting what earlier attempts left open"));
    return;
  }
  if (--lanes_to_restore_ == 0) {
    kill_point("restore.after_commit");
    std::exchange(on_restored_, nullptr)({});
  }
}

}  // namespace weir::runtime
