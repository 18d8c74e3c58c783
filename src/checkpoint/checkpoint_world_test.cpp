// A tiny world around the pure state machines: tasks with positions, a disk with manifests and
// files, a target that takes commits. One seed is one schedule, with crashes, lost replies, late
// and foreign messages.
#include <algorithm>
#include <deque>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "checkpoint/commit_ledger.h"
#include "checkpoint/coordinator.h"
#include "checkpoint/garbage.h"
#include "checkpoint/redistribution.h"

namespace weir::checkpoint {
namespace {

constexpr int kTasks = 2;
const std::string kSink = "sink";

struct Ack {
  TaskId task = 0;
  CheckpointId checkpoint = 0;
  AttemptId attempt = 0;
  bool is_decline = false;
  std::int64_t position = 0;
  std::vector<std::string> files;
  std::vector<Committable> committables;
};

struct Task {
  std::int64_t position = 0;
  std::int64_t epoch_start = 0;
  std::vector<std::string> live;  ///< shared files its state consists of
  std::deque<Trigger> barriers;
  std::deque<Ack> sent;  ///< on their way to the coordinator, in order
};

/// A manifest on the disk and what only this world knows of it.
struct Stored {
  Manifest manifest;
  std::vector<std::int64_t> positions;
};

class World {
 public:
  explicit World(std::uint64_t seed) : chance_(seed) { start_attempt(); }

  void run() {
    for (int step = 0; step < 120 && ok() && !is_finished_; ++step) {
      random_step();
    }
    calm_down();
    if (ok()) {
      for (int task = 0; task < kTasks; ++task) {
        expect(target_[static_cast<std::size_t>(task)] == end_, "every record reached the target");
      }
    }
  }
  bool ok() const { return broken_.empty(); }
  const std::string& broken() const { return broken_; }
  std::int64_t attempts() const { return attempt_; }

 private:
  std::size_t pick(std::size_t n) { return static_cast<std::size_t>(chance_() % n); }
  bool once_in(std::size_t n) { return !is_calm_ && pick(n) == 0; }
  void expect(bool condition, const std::string& promise) {
    if (!condition && broken_.empty()) {
      broken_ = promise + " (time " + std::to_string(now_ms_) + ", attempt " +
                std::to_string(attempt_) + ")";
    }
  }
  Task& task(TaskId id) { return tasks_[static_cast<std::size_t>(id)]; }

  // ---- the life of an attempt

  void start_attempt() {
    ++attempt_;
    CoordinatorOptions options;
    options.interval_ms = 100;
    options.min_pause_ms = static_cast<std::int64_t>(pick(60));
    options.timeout_ms = 300;
    options.max_concurrent = 1 + static_cast<int>(pick(3));
    options.tolerable_failed = is_calm_ ? 1000 : static_cast<int>(pick(4));
    options.publish_retry_ms = 10;
    options.attempt = attempt_;
    options.first_checkpoint = highest_ + 1;
    acks_.clear();
    publishing_ = 0;
    finished_checkpoint_ = 0;
    commits_.clear();
    std::vector<Committable> restored;
    tasks_.assign(kTasks, {});
    const Stored* latest = latest_checkpoint();
    if (latest != nullptr) {
      options.restored_checkpoint = latest->manifest.checkpoint;
      restored = restored_committables(latest->manifest);
      for (std::size_t i = 0; i < tasks_.size(); ++i) {
        tasks_[i].position = tasks_[i].epoch_start = latest->positions[i];
        for (const StateHandle& handle : latest->manifest.operators[0].subtasks[i].files) {
          expect(files_.contains(handle.file.path), "a restored checkpoint has all its files");
          tasks_[i].live.push_back(handle.file.path);
        }
      }
    }
    coordinator_ = std::make_unique<CheckpointCoordinator>(options);
    ledger_ = std::make_unique<CommitLedger>(
        CommitLedgerOptions{.backoff_initial_ms = 5, .backoff_max_ms = 40, .deadline_ms = 2000});
    perform(ledger_->restore({kSink}, restored, now_ms_));
    perform(coordinator_->on_start(now_ms_));
    perform(coordinator_->on_tasks_running({0, 1}, now_ms_));
  }

  void crash() {
    // What was under way may or may not have happened, and a commit may even land later.
    if (publishing_ != 0 && !disk_.contains(publishing_) && pick(2) == 0) {
      put_on_disk(pending_publication_);
    }
    for (auto& [ticket, committable] : commits_) {
      zombies_.push_back(committable);
    }
    for (Task& each : tasks_) {
      stale_.insert(stale_.end(), each.sent.begin(), each.sent.end());
    }
    start_attempt();
  }

  const Stored* latest_checkpoint() const {
    for (auto at = disk_.rbegin(); at != disk_.rend(); ++at) {
      if (at->second.manifest.kind == SnapshotKind::kCheckpoint) {
        return &at->second;
      }
    }
    return nullptr;
  }

  // ---- what the actions ask for

  template <class Action>
  void perform(const std::vector<Action>& actions) {
    ++depth_;
    for (const Action& action : actions) {
      std::visit([this](const auto& what) { on(what); }, action);
    }
    if (--depth_ > 0) {
      return;
    }
    if (is_failed_) {
      is_failed_ = false;
      crash();
    } else if (finished_checkpoint_ != 0 && ledger_->is_committed_up_to(finished_checkpoint_)) {
      is_finished_ = true;
    }
  }

  void on(const Trigger& trigger) {
    expect(trigger.checkpoint > highest_, "checkpoint numbers rise over the whole life");
    highest_ = std::max(highest_, trigger.checkpoint);
    for (Task& each : tasks_) {
      each.barriers.push_back(trigger);
    }
  }
  void on(const Publish& publish) {
    expect(publishing_ == 0, "one publication at a time");
    publishing_ = publish.checkpoint;
    if (pending_publication_.manifest.checkpoint != publish.checkpoint) {
      pending_publication_ = assemble(publish.checkpoint);
    }
  }
  void on(const NotifyComplete& complete) {
    expect(ever_published_.contains(complete.checkpoint), "only what was published is announced");
    perform(ledger_->on_checkpoint_complete(complete.checkpoint, now_ms_));
  }
  void on(const NotifyAborted& aborted) {
    expect(aborted.checkpoint != publishing_, "what is being published is not aborted");
    if (pick(2) == 0) {  // a message of best effort
      for (Task& each : tasks_) {
        std::erase_if(each.barriers,
                      [&](const Trigger& t) { return t.checkpoint == aborted.checkpoint; });
      }
    }
  }
  void on(const DiscardCheckpoint& discard) { acks_.erase(discard.checkpoint); }
  void on(const CollectGarbage&) { collect(); }
  void on(const RequestDone&) {}
  void on(const FailJob&) { is_failed_ = true; }
  void on(const JobFinished& finished) { finished_checkpoint_ = finished.checkpoint; }
  void on(const ScheduleAt&) {}

  void on(const StartCommit& start) {
    for (const auto& [ticket, other] : commits_) {
      expect(other.id.subtask != start.committable.id.subtask, "one commit per subtask at a time");
    }
    const CommittableId& id = start.committable.id;
    expect(ever_named_.contains({id.subtask, id.checkpoint, id.attempt}),
           "nothing is committed that no published manifest names");
    commits_[start.ticket] = start.committable;
  }
  void on(const WakeLedgerAt&) {}
  void on(const RestoredDone&) {}
  void on(const CommittedUpTo& upto) {
    expect(ledger_->outstanding(upto.checkpoint).empty(), "committed means that nothing is left");
  }
  void on(const StopOnCommit&) { is_failed_ = true; }

  // ---- checkpoints

  Stored assemble(CheckpointId checkpoint) {
    Stored stored;
    Manifest& m = stored.manifest;
    m.job_id = std::string(32, 'a');
    m.checkpoint = checkpoint;
    m.attempt = attempt_;
    m.kind = kinds_[checkpoint];
    OperatorSnapshot operators{"op", "", kTasks, 128, {}, {}};
    const auto& acks = acks_[checkpoint];
    expect(acks.size() == kTasks, "every task acknowledged what is published");
    for (const auto& [id, ack] : acks) {
      SubtaskSnapshot subtask;
      subtask.subtask = id;
      for (const std::string& path : ack.files) {
        subtask.files.push_back({{path, 1, 1}, "k", {}, ""});
      }
      operators.subtasks.push_back(subtask);
      stored.positions.push_back(ack.position);
    }
    m.operators.push_back(operators);
    SinkSnapshot sink;
    sink.uid = kSink;
    sink.parallelism = kTasks;
    sink.committables = ledger_->outstanding(checkpoint);
    m.sinks.push_back(sink);
    expect(validate_manifest(m).ok(), "what is published is valid");
    return stored;
  }

  void put_on_disk(const Stored& stored) {
    const CheckpointId id = stored.manifest.checkpoint;
    expect(ever_published_.insert(id).second, "a manifest is published at most once per number");
    if (stored.manifest.kind == SnapshotKind::kCheckpoint) {
      expect(id > last_published_, "checkpoints are published with rising numbers");
      last_published_ = id;
    }
    for (const FileReference& file : files_of(stored.manifest)) {
      expect(files_.contains(file.path), "no file of a published checkpoint was deleted before");
    }
    for (const Committable& c : stored.manifest.sinks[0].committables) {
      ever_named_.insert({c.id.subtask, c.id.checkpoint, c.id.attempt});
    }
    disk_[id] = stored;
  }

  void resolve_publication() {
    if (publishing_ == 0) {
      return;
    }
    const CheckpointId id = publishing_;
    const bool is_there = disk_.contains(id);
    const std::size_t fate = is_calm_ ? 9 : pick(10);
    publishing_ = 0;
    if (fate == 0 && !is_there) {
      perform(coordinator_->on_publish_failed(id, AbortReason::kFinalizeCheckpointFailure,
                                              now_ms_));
      return;
    }
    if (fate == 1 || fate == 2) {
      if (!is_there && fate == 1) {
        put_on_disk(pending_publication_);
      }
      perform(coordinator_->on_publish_unknown(id, now_ms_));
      return;
    }
    if (!is_there) {
      put_on_disk(pending_publication_);
    }
    perform(coordinator_->on_published(id, {}, now_ms_));
  }

  void collect() {
    GarbageFacts facts;
    std::vector<PublishedCheckpoint> published;
    for (const auto& [id, stored] : disk_) {
      published.push_back({id, stored.manifest.kind});
      facts.files.push_back({"chk-" + std::to_string(id) + "/_metadata", false, 1000});
    }
    const auto retained = retained_checkpoints(published, 1 + static_cast<int>(pick(2)));
    for (const CheckpointId id : retained) {
      facts.retained.push_back(disk_[id].manifest);
    }
    for (const std::string& path : files_) {
      facts.files.push_back({path, false, static_cast<std::int64_t>(pick(100))});
    }
    facts.own_attempt = facts.leading_attempt = attempt_;
    facts.grace_ms = static_cast<std::int64_t>(pick(50));
    // A savepoint under way has files that checkpoints have outrun.
    for (Task& each : tasks_) {
      for (const Ack& ack : each.sent) {
        facts.in_use.insert(facts.in_use.end(), ack.files.begin(), ack.files.end());
      }
    }
    for (const auto& [id, acks] : acks_) {
      for (const auto& [task_id, ack] : acks) {
        facts.in_use.insert(facts.in_use.end(), ack.files.begin(), ack.files.end());
      }
    }
    const GarbagePlan plan = plan_garbage(facts);
    for (const std::string& path : plan.manifests) {
      disk_.erase(*checkpoint_of_path(path));
    }
    for (const std::string& path : plan.files) {
      files_.erase(path);
    }
    for (const auto& [id, stored] : disk_) {
      for (const FileReference& file : files_of(stored.manifest)) {
        expect(files_.contains(file.path), "no file that a retained manifest names is deleted");
      }
    }
    expect(latest_checkpoint() == nullptr || !retained.empty(), "the latest is retained");
  }

  // ---- tasks

  void handle_barrier(TaskId id) {
    Task& each = task(id);
    if (each.barriers.empty()) {
      return;
    }
    const Trigger barrier = each.barriers.front();
    each.barriers.pop_front();
    kinds_[barrier.checkpoint] = barrier.kind;
    Ack ack{id, barrier.checkpoint, attempt_, once_in(12), each.position, {}, {}};
    if (!ack.is_decline) {
      if (each.position > each.epoch_start) {
        ack.committables.push_back(
            {{kSink, id, barrier.checkpoint, attempt_},
             std::to_string(each.epoch_start) + " " + std::to_string(each.position), {}});
        each.epoch_start = each.position;
      }
      if (!each.live.empty() && pick(3) == 0) {
        each.live.erase(each.live.begin());  // compaction
      }
      const std::string path = "shared/a" + std::to_string(attempt_) + "-c" +
                               std::to_string(barrier.checkpoint) + "-" +
                               std::to_string(++unique_) + "-f";
      files_.insert(path);
      each.live.push_back(path);
      ack.files = each.live;
    }
    each.sent.push_back(ack);
  }

  void deliver_ack(TaskId id) {
    if (task(id).sent.empty()) {
      return;
    }
    const Ack ack = task(id).sent.front();
    task(id).sent.pop_front();
    if (ack.is_decline) {
      perform(coordinator_->on_decline(id, ack.checkpoint, ack.attempt,
                                       AbortReason::kCheckpointDeclined, now_ms_));
      return;
    }
    ledger_->add(ack.committables);
    auto pending = coordinator_->pending();
    if (std::find(pending.begin(), pending.end(), ack.checkpoint) != pending.end()) {
      acks_[ack.checkpoint][id] = ack;
    }
    perform(coordinator_->on_ack(id, ack.checkpoint, ack.attempt, now_ms_).actions);
  }

  void deliver_stale() {
    if (stale_.empty()) {
      return;
    }
    const Ack ack = stale_.back();
    stale_.pop_back();
    const auto result = coordinator_->on_ack(ack.task, ack.checkpoint, ack.attempt, now_ms_);
    expect(result.verdict == AckVerdict::kUnknown && result.actions.empty(),
           "messages of an old attempt change nothing");
    expect(coordinator_
               ->on_decline(ack.task, ack.checkpoint, ack.attempt,
                            AbortReason::kCheckpointDeclined, now_ms_)
               .empty(),
           "declines of an old attempt change nothing");
  }

  // ---- the target

  CommitOutcome apply(const Committable& c) {
    if (!committed_.insert({c.id.subtask, c.id.checkpoint, c.id.attempt}).second) {
      return CommitOutcome::kAlreadyCommitted;
    }
    const std::size_t space = c.payload.find(' ');
    std::int64_t& position = target_[static_cast<std::size_t>(c.id.subtask)];
    expect(std::stoll(c.payload.substr(0, space)) == position,
           "commits follow each other without gap or overlap: " + c.payload + " after " +
               std::to_string(position));
    position = std::stoll(c.payload.substr(space + 1));
    return CommitOutcome::kCommitted;
  }

  void resolve_commit() {
    if (commits_.empty()) {
      return;
    }
    auto at = std::next(commits_.begin(), static_cast<std::ptrdiff_t>(pick(commits_.size())));
    const auto [ticket, committable] = *at;
    commits_.erase(at);
    const std::size_t fate = is_calm_ ? 9 : pick(10);
    Result<CommitResult> result = CommitResult{};
    if (fate == 0) {
      result = CommitResult{CommitOutcome::kRetry, ""};
    } else if (fate == 1) {
      (void)apply(committable);
      result = Error{ErrorCode::kUnknownOutcome, "reply lost"};
    } else if (fate == 2) {
      result = Error{ErrorCode::kUnavailable, "down"};
    } else {
      result = CommitResult{apply(committable), ""};
    }
    perform(ledger_->on_result(ticket, result, now_ms_));
  }

  void land_zombie() {
    if (!zombies_.empty()) {
      // Sent before the crash, so before anything the restored ledger sends after it is proved.
      (void)apply(zombies_.front());
      zombies_.erase(zombies_.begin());
    }
  }

  // ---- schedule

  void tick(std::int64_t ms) {
    now_ms_ += ms;
    perform(coordinator_->on_time(now_ms_));
    perform(ledger_->on_time(now_ms_));
  }

  void random_step() {
    const auto id = static_cast<TaskId>(pick(kTasks));
    switch (pick(16)) {
      case 0:
      case 1:
      case 2:
        tick(static_cast<std::int64_t>(1 + pick(60)));
        break;
      case 3:
      case 4:
        task(id).position = std::min<std::int64_t>(
            end_, task(id).position + static_cast<std::int64_t>(pick(5)));
        break;
      case 5:
      case 6:
      case 7:
        handle_barrier(id);
        break;
      case 8:
      case 9:
      case 10:
        deliver_ack(id);
        break;
      case 11:
        resolve_publication();
        break;
      case 12:
      case 13:
        resolve_commit();
        break;
      case 14:
        if (pick(4) == 0) {
          perform(pick(2) == 0 ? coordinator_->request_savepoint(1, now_ms_)
                               : coordinator_->request_checkpoint(2, now_ms_));
        } else {
          deliver_stale();
        }
        break;
      default:
        if (pick(4) == 0) {
          crash();
        } else {
          land_zombie();
        }
    }
  }

  /// Faults end; the input ends; the job must finish.
  void calm_down() {
    is_calm_ = true;
    AttemptId announced = 0;
    for (int round = 0; round < 3000 && ok() && !is_finished_; ++round) {
      if (announced != attempt_) {
        announced = attempt_;
        for (TaskId id = 0; id < kTasks; ++id) {
          task(id).position = end_;
          perform(coordinator_->on_task_end_of_data(id, now_ms_));
        }
      }
      for (TaskId id = 0; id < kTasks; ++id) {
        handle_barrier(id);
        deliver_ack(id);
      }
      resolve_publication();
      resolve_commit();
      tick(1);
    }
    expect(is_finished_, "the job finishes once faults end");
  }

  std::mt19937_64 chance_;
  bool is_calm_ = false;
  std::string broken_;
  TimestampMs now_ms_ = 0;
  const std::int64_t end_ = 40;
  // The running attempt.
  AttemptId attempt_ = 0;
  std::unique_ptr<CheckpointCoordinator> coordinator_;
  std::unique_ptr<CommitLedger> ledger_;
  std::vector<Task> tasks_;
  std::map<CheckpointId, std::map<TaskId, Ack>> acks_;
  CheckpointId publishing_ = 0;
  Stored pending_publication_;
  std::map<CommitTicket, Committable> commits_;
  bool is_failed_ = false;
  int depth_ = 0;
  // The world that outlives it.
  CheckpointId highest_ = 0;
  std::map<CheckpointId, SnapshotKind> kinds_;
  std::map<CheckpointId, Stored> disk_;
  std::set<std::string> files_;
  std::int64_t unique_ = 0;
  std::set<CheckpointId> ever_published_;
  CheckpointId last_published_ = 0;
  using Identity = std::tuple<int, CheckpointId, AttemptId>;
  std::set<Identity> ever_named_;
  std::set<Identity> committed_;
  std::vector<std::int64_t> target_ = std::vector<std::int64_t>(kTasks, 0);
  std::vector<Ack> stale_;
  std::vector<Committable> zombies_;
  CheckpointId finished_checkpoint_ = 0;
  bool is_finished_ = false;
};

TEST(CheckpointWorld, NoScheduleLosesDoublesOrDanglesAnything) {
#ifdef NDEBUG
  constexpr std::uint64_t schedules = 100'000;
#else
  constexpr std::uint64_t schedules = 2'000;
#endif
  std::int64_t attempts = 0;
  for (std::uint64_t seed = 0; seed < schedules; ++seed) {
    World world(seed);
    world.run();
    attempts += world.attempts();
    ASSERT_TRUE(world.ok()) << "seed " << seed << ": not so: " << world.broken();
  }
  EXPECT_GT(attempts, static_cast<std::int64_t>(2 * schedules)) << "faults must really occur";
}

}  // namespace
}  // namespace weir::checkpoint
