#include "runtime/job_attempt.h"

#include <algorithm>

#include "base/failpoint.h"
#include "base/log.h"
#include "runtime/edge_wiring.h"

namespace weir::runtime {
namespace {

/// Longest time without a look at stop requests.
constexpr std::int64_t kTickMaxMs = 20;

/// Subtasks of sources and sinks.
int connector_count_of(const ExecutionPlan& plan) {
  int count = 0;
  for (const PlanVertex& vertex : plan.vertices) {
    for (const PlanOperator& op : vertex.operators) {
      count += op.source != nullptr || op.sink != nullptr ? vertex.parallelism : 0;
    }
  }
  return count;
}

}  // namespace

JobAttempt::JobAttempt(const ExecutionPlan& plan, const JobOptions& options, JobServices services,
                       AttemptId attempt, const RestorePoint* restored,
                       std::function<void(JobPhase)> on_phase)
    : plan_(plan),
      options_(options),
      services_(services),
      attempt_(attempt),
      restored_(restored == nullptr ? nullptr : &restored->manifest),
      is_chosen_(restored != nullptr && restored->is_chosen()),
      former_uids_(restored != nullptr ? restored->former_uids
                                       : std::map<std::string, std::string>()),
      on_phase_(std::move(on_phase)) {
  if (services_.store != nullptr) {
    files_ = std::make_unique<checkpoint::StoreCheckpointFiles>(*services_.store);
    if (restored_ != nullptr) {
      files_->adopt(*restored_, restored->base);
    }
  }
  environment_.job_name = options.job_name;
  environment_.pipeline_id = options.pipeline_id;
  environment_.attempt = attempt;
  environment_.clock = services.clock;
  environment_.io = services.io;
  environment_.metrics = services.metrics;
  environment_.memory = services.memory;
  environment_.connector_count = connector_count_of(plan);
  environment_.listener = this;
  environment_.store = services.store;
  environment_.alignment = options.alignment;
  environment_.auto_watermark_interval = options.auto_watermark_interval;
  environment_.buffer_timeout = options.buffer_timeout;
  environment_.is_incremental = options.is_incremental;
  environment_.are_snapshots_compressed = options.are_snapshots_compressed;
  environment_.rocksdb = options.rocksdb;
  environment_.are_sources_paused_at_start =
      options.are_sources_paused_at_start && options.is_checkpointing_enabled;
  environment_.sink_defaults = sink_context_of(options, attempt, files_.get());
}

JobAttempt::~JobAttempt() {
  // Order matters: nobody steps tasks, then nothing runs on I/O threads that refers to them, then
  // they go; what their end still hands to I/O threads is waited for as well.
  inbox_.close();
  if (workers_ != nullptr) {
    workers_->stop();  // its signals live on: whoever posts to a task still wakes it
  }
  services_.io->wait_idle();
  tasks_.clear();
  services_.io->wait_idle();
}

JobAttempt::Outcome JobAttempt::run() {
  Outcome outcome;
  Status status = prepare();
  if (status.ok()) {
    while (!is_over()) {
      serve();
    }
    status = failure_.has_value() ? Status(*failure_) : Status();
  }
  outcome.status = status;
  outcome.was_running = !tasks_.empty() && running_ == tasks_.size();
  outcome.is_finished = status.ok() && (is_finished_before() || at_end_ == tasks_.size());
  outcome.last_checkpoint = terminal_.value_or(0);
  outcome.savepoint = savepoint_;
  const CheckpointId last_completed = checkpoints_ != nullptr
                                          ? checkpoints_->last_completed()
                                          : (restored_ != nullptr ? restored_->checkpoint : 0);
  outcome.are_commits_proved = commits_ != nullptr && commits_->is_restored() &&
                               commits_->ledger().is_committed_up_to(last_completed);
  return outcome;
}

bool JobAttempt::is_finished_before() const {
  // Who chooses a snapshot wants to go on from it, also after a drain.
  return restored_ != nullptr && !is_chosen_ && restored_->is_terminal &&
         std::all_of(restored_->sources.begin(), restored_->sources.end(), [](const auto& source) {
           return std::all_of(source.readers.begin(), source.readers.end(),
                              [](const auto& reader) { return reader.is_finished; });
         });
}

Status JobAttempt::prepare() {
  on_phase_(JobPhase::kRestoring);
  create_commit_driver();
  WEIR_TRY(commits_->open());
  const CommitDriver::Branch branch{is_chosen_, options_.are_later_results_kept, former_uids_};
  commits_->restore(restored_, branch, [this](const Status& status) {
    if (!status.ok()) {
      fail(status.error());
    } else if (is_finished_before()) {
      terminal_ = restored_->checkpoint;
      is_done_ = true;  // its last epoch is committed now, if it was not
    } else if (const Status started = restore_and_start(); !started.ok()) {
      fail(started.error());
    }
  });
  return {};
}

Status JobAttempt::restore_and_start() {
  WEIR_TRY(create_sources());
  WEIR_TRY(create_tasks());
  create_checkpoint_driver();
  start_tasks();
  return {};
}

void JobAttempt::create_commit_driver() {
  CommitDriver::Options options;
  options.clock = services_.clock;
  options.io = services_.io;
  options.inbox = &inbox_;
  options.ledger.retries_max = options_.commit_retries;
  if (services_.store != nullptr) {
    options.check_leading = [store = services_.store] { return store->check_leading(); };
  }
  options.on_stop = [this](const Error& error) { fail(error); };
  options.on_progress = [this] { check_terminal(); };
  std::vector<CommitDriver::SinkEntry> sinks;
  for (const PlanVertex& vertex : plan_.vertices) {
    for (const PlanOperator& op : vertex.operators) {
      if (op.sink != nullptr) {
        SinkContext context = environment_.sink_defaults;
        context.sink_uid = op.uid;
        context.parallelism = vertex.parallelism;
        sinks.push_back({op.sink, context, op.name});
      }
    }
  }
  commits_ = std::make_unique<CommitDriver>(std::move(options), std::move(sinks));
}

Status JobAttempt::create_sources() {
  for (const PlanVertex& vertex : plan_.vertices) {
    const PlanOperator& head = vertex.operators.front();
    if (head.source == nullptr) {
      continue;
    }
    SourceCoordinator::Options options;
    options.plan = &head;
    options.parallelism = vertex.parallelism;
    options.context = {options_.pipeline_id, head.uid, false, options_.is_checkpointing_enabled};
    options.io = services_.io;
    options.inbox = &inbox_;
    options.metrics = services_.metrics;
    options.on_failed = [this](const Error& error) { fail(error); };
    options.on_backlog = [this, uid = head.uid](bool is_backlog) {
      if (is_backlog) {
        sources_with_backlog_.insert(uid);
      } else {
        sources_with_backlog_.erase(uid);
      }
      checkpoints_->set_backlog(!sources_with_backlog_.empty());
    };
    auto source = std::make_unique<SourceCoordinator>(std::move(options));
    const checkpoint::SourceSnapshot* snapshot = nullptr;
    if (restored_ != nullptr) {
      for (const checkpoint::SourceSnapshot& candidate : restored_->sources) {
        snapshot = candidate.uid == head.uid ? &candidate : snapshot;
      }
    }
    WEIR_TRY(source->create(snapshot));
    sources_.push_back(std::move(source));
    source_vertices_.push_back(vertex.id);
  }
  return {};
}

Status JobAttempt::create_tasks() {
  std::vector<std::vector<TaskRestore>> restores;
  if (restored_ != nullptr) {
    WEIR_ASSIGN(restores, plan_restore(plan_, *restored_));
  }
  workers_ = std::make_unique<WorkerPool>(options_.workers);
  std::vector<std::vector<Task::Wiring>> wirings;
  std::vector<std::vector<int>> workers;
  for (const PlanVertex& vertex : plan_.vertices) {
    wirings.emplace_back(static_cast<std::size_t>(vertex.parallelism));
    std::vector<int> of_vertex;
    for (int subtask = 0; subtask < vertex.parallelism; ++subtask) {
      // Neighbours in the graph get different workers, so that a pipeline uses several cores.
      of_vertex.push_back((subtask + vertex.id) % options_.workers);
    }
    workers.push_back(std::move(of_vertex));
  }
  wire_channels(wirings, workers);
  for (const PlanVertex& vertex : plan_.vertices) {
    const auto v = static_cast<std::size_t>(vertex.id);
    first_task_.push_back(static_cast<int>(tasks_.size()));
    for (int subtask = 0; subtask < vertex.parallelism; ++subtask) {
      const auto s = static_cast<std::size_t>(subtask);
      wirings[v][s].can_overtake = can_overtake_into(plan_, vertex);
      TaskRestore restore = restores.empty() ? TaskRestore() : std::move(restores[v][s]);
      tasks_.push_back(std::make_unique<Task>(static_cast<int>(tasks_.size()), vertex, subtask,
                                              environment_, std::move(wirings[v][s]),
                                              std::move(restore), workers_->signal(workers[v][s])));
      workers_->add(workers[v][s], tasks_.back().get());
    }
  }
  return {};
}

void JobAttempt::wire_channels(std::vector<std::vector<Task::Wiring>>& wirings,
                               const std::vector<std::vector<int>>& workers) {
  for (const PlanEdge& edge : plan_.edges) {
    const auto from = static_cast<std::size_t>(edge.from_vertex);
    const auto to = static_cast<std::size_t>(edge.to_vertex);
    const int senders = plan_.vertices[from].parallelism;
    const int receivers = plan_.vertices[to].parallelism;
    for (int sender = 0; sender < senders; ++sender) {
      std::vector<EdgeOutput::Target> targets;
      for (int receiver = 0; receiver < receivers; ++receiver) {
        if (!is_connected(edge.partitioning, sender, senders, receiver, receivers)) {
          continue;
        }
        channels_.push_back(std::make_unique<Channel>());
        Channel* channel = channels_.back().get();
        channel->set_memory(&services_.memory->network());
        channel->set_signals(&workers_->signal(workers[from][static_cast<std::size_t>(sender)]),
                             &workers_->signal(workers[to][static_cast<std::size_t>(receiver)]));
        targets.push_back({receiver, channel});
        wirings[to][static_cast<std::size_t>(receiver)].inputs.push_back(
            {channel, edge.id, edge.to_input, sender});
      }
      EdgeOutput::Options options;
      options.edge = edge.id;
      options.partitioning = edge.partitioning;
      options.key = edge.key;
      options.subtask = sender;
      options.max_parallelism = plan_.vertices[to].max_parallelism;
      options.receiver_parallelism = receivers;
      options.can_overtake = can_overtake_into(plan_, plan_.vertices[to]);
      Task::Wiring& wiring = wirings[from][static_cast<std::size_t>(sender)];
      wiring.outputs.push_back(std::make_unique<EdgeOutput>(options, std::move(targets)));
      wiring.output_edges.push_back(edge.id);
    }
  }
}

void JobAttempt::create_checkpoint_driver() {
  CheckpointDriver::Options options;
  options.job = &options_;
  options.plan = &plan_;
  options.clock = services_.clock;
  options.io = services_.io;
  options.inbox = &inbox_;
  options.store = services_.store;
  options.files = files_.get();
  options.commits = commits_.get();
  options.attempt = attempt_;
  options.coordinator = options_.coordinator;
  options.coordinator.attempt = attempt_;
  options.coordinator.restored_checkpoint = restored_ == nullptr ? 0 : restored_->checkpoint;
  options.restored = restored_;
  options.on_failed = [this](const Error& error) { fail(error); };
  options.on_terminal = [this](CheckpointId checkpoint, const std::string& savepoint) {
    terminal_ = checkpoint;
    savepoint_ = savepoint;
    check_terminal();
  };
  options.on_suspend_failed = [this] { is_stop_under_way_ = false; };
  options.control = services_.control;
  checkpoints_ = std::make_unique<CheckpointDriver>(std::move(options));
}

void JobAttempt::start_tasks() {
  std::vector<Task*> tasks;
  for (const auto& task : tasks_) {
    tasks.push_back(task.get());
  }
  std::vector<SourceCoordinator*> sources;
  for (const auto& source : sources_) {
    sources.push_back(source.get());
  }
  checkpoints_->start(std::move(tasks), std::move(sources));
  workers_->start();
}

void JobAttempt::on_running(int /*task*/) {
  inbox_.post([this] {
    if (++running_ < tasks_.size()) {
      return;
    }
    kill_point("restore.tasks_running");
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      std::vector<Task*> readers;
      const int first = first_task_of(source_vertices_[i]);
      for (int subtask = 0; subtask < sources_[i]->parallelism(); ++subtask) {
        readers.push_back(tasks_[static_cast<std::size_t>(first + subtask)].get());
      }
      std::vector<SourceSplit> reader_splits;
      if (restored_ != nullptr) {
        for (const checkpoint::SourceSnapshot& snapshot : restored_->sources) {
          for (const checkpoint::ReaderSnapshot& reader : snapshot.readers) {
            if (snapshot.uid == sources_[i]->uid()) {
              reader_splits.insert(reader_splits.end(), reader.splits.begin(), reader.splits.end());
            }
          }
        }
      }
      sources_[i]->start(std::move(readers), reader_splits);
    }
    on_phase_(JobPhase::kRunning);
    checkpoints_->on_all_running();
  });
}

void JobAttempt::serve() {
  const std::int64_t now_ms = services_.clock->monotonic_ns() / 1'000'000;
  const std::int64_t due_ms =
      std::min(checkpoints_ == nullptr ? kMaxTimestamp : checkpoints_->next_wake_ms(),
               commits_->ledger().next_wake_ms());
  inbox_.run(std::chrono::milliseconds(std::clamp<std::int64_t>(
      due_ms == kMaxTimestamp ? kTickMaxMs : due_ms - now_ms, 1, kTickMaxMs)));
  commits_->on_time();
  const std::int64_t now_ns = services_.clock->monotonic_ns();
  for (const auto& source : sources_) {
    source->on_time(now_ns);
  }
  if (const Status memory = services_.memory->watch(now_ns); !memory.ok()) {
    fail(memory.error());
  }
  const bool are_all_running = !tasks_.empty() && running_ == tasks_.size();
  if (checkpoints_ != nullptr) {
    checkpoints_->on_time();
  }
  serve_requests(are_all_running);
  constexpr std::int64_t kStatusIntervalNs = 200'000'000;
  const std::int64_t completed =
      checkpoints_ == nullptr ? 0 : checkpoints_->statistics().number_of_completed_checkpoints;
  if (now_ns >= next_status_ns_ || completed != told_) {
    told_ = completed;
    next_status_ns_ = now_ns + kStatusIntervalNs;
    on_phase_(are_all_running ? JobPhase::kRunning : JobPhase::kRestoring);
  }
}

void JobAttempt::serve_requests(bool are_all_running) {
  if (services_.control->is_cancel_requested()) {
    fail({ErrorCode::kCancelled, "cancelled on request"});
    return;
  }
  const bool is_suspend_requested = services_.control->is_suspend_requested();
  if (checkpoints_ == nullptr) {
    if (is_suspend_requested) {
      fail({ErrorCode::kCancelled, "stopped on request before the job was running"});
    }
    return;
  }
  if (!are_all_running || terminal_.has_value()) {
    return;
  }
  if (is_suspend_requested && !is_stop_under_way_) {
    is_stop_under_way_ = true;
    checkpoints_->request_suspend();
  }
  for (auto& request : services_.control->take_requests()) {
    checkpoints_->request(std::move(request));
  }
}

void JobAttempt::check_terminal() {
  if (terminal_.has_value() && commits_->ledger().is_committed_up_to(*terminal_)) {
    is_done_ = true;
  }
}

void JobAttempt::fail(const Error& error) {
  if (!is_over()) {
    failure_ = error;
  }
}

void JobAttempt::describe(JobStatus& status) const {
  status.attempt = attempt_;
  if (commits_ != nullptr) {
    const checkpoint::CommitLedger& ledger = commits_->ledger();
    status.pending_committables = static_cast<std::int64_t>(ledger.outstanding_count());
    status.commit_retries = ledger.retries();
    status.oldest_commit_age_ms = commits_->oldest_age_ms();
  }
  if (checkpoints_ != nullptr) {
    const checkpoint::CheckpointStatistics& statistics = checkpoints_->statistics();
    status.checkpoints_completed = statistics.number_of_completed_checkpoints;
    status.checkpoints_failed = statistics.number_of_failed_checkpoints;
    status.last_checkpoint = statistics.last_completed_checkpoint_id;
    status.last_checkpoint_duration_ms = statistics.last_checkpoint_duration_ms;
    status.last_checkpoint_age_ms = checkpoints_->age_ms();
    status.last_checkpoint_size_bytes = statistics.last_checkpoint_size_bytes;
    status.last_checkpoint_full_size_bytes = statistics.last_checkpoint_full_size_bytes;
    const CheckpointTimings& timings = checkpoints_->last_timings();
    status.last_checkpoint_start_delay_us = timings.start_delay_ns / 1'000;
    status.last_checkpoint_alignment_us = timings.alignment_ns / 1'000;
    status.last_checkpoint_sync_us = timings.sync_ns / 1'000;
  }
}

std::vector<std::pair<std::string_view, std::int64_t>> JobAttempt::checkpoint_metrics() const {
  return checkpoints_ == nullptr ? std::vector<std::pair<std::string_view, std::int64_t>>()
                                 : checkpoint::metrics_of(checkpoints_->statistics());
}

void JobAttempt::on_end_of_data(int task) {
  inbox_.post([this, task] {
    ++at_end_;
    checkpoints_->on_end_of_data(task);
  });
}

void JobAttempt::on_ack(int task, CheckpointId checkpoint, TaskSnapshot snapshot) {
  inbox_.post([this, task, checkpoint, snapshot = std::move(snapshot)]() mutable {
    checkpoints_->on_ack(task, checkpoint, std::move(snapshot));
  });
}

void JobAttempt::on_decline(int task, CheckpointId checkpoint, const Error& reason,
                            TaskSnapshot rest) {
  inbox_.post([this, task, checkpoint, reason, rest = std::move(rest)]() mutable {
    checkpoints_->on_decline(task, checkpoint, reason, std::move(rest));
  });
}

void JobAttempt::on_failed(int /*task*/, const Error& error) {
  inbox_.post([this, error] { fail(error); });
}

void JobAttempt::on_split_request(int task) {
  inbox_.post([this, task] {
    const Task& from = *tasks_[static_cast<std::size_t>(task)];
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      if (source_vertices_[i] == from.vertex().id) {
        sources_[i]->on_split_request(from.subtask());
      }
    }
  });
}

}  // namespace weir::runtime
