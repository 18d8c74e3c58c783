#include "runtime/task.h"

#include <exception>

#include "base/planted_bug.h"
#include "runtime/task_scope.h"

namespace weir::runtime {
namespace {

constexpr int kEventsPerStep = 8;
/// Copying state keeps a step no longer than this.
constexpr std::int64_t kCopyNsMax = 2'000'000;

std::vector<OperatorChain::EdgeRef> edge_refs(const Task::Wiring& wiring) {
  std::vector<OperatorChain::EdgeRef> refs;
  for (std::size_t i = 0; i < wiring.outputs.size(); ++i) {
    refs.push_back({wiring.output_edges[i], wiring.outputs[i].get()});
  }
  return refs;
}

/// Reads what was under way to this task when the restored checkpoint's barrier overtook it.
Result<std::vector<RecoveredChannel>> read_in_flight(TaskRestore& restore,
                                                     const OperatorChain& chain,
                                                     const TaskEnvironment& environment) {
  std::vector<RecoveredChannel> channels;
  for (const TaskRestore::InFlight& from : restore.in_flight) {
    RecoveredChannel channel;
    channel.edge = from.edge;
    channel.operator_input = from.operator_input;
    channel.sender = from.channel.sender;
    channel.is_same_channel = from.is_same_channel;
    channel.watermark = from.channel.watermark;
    channel.is_idle = from.channel.is_idle;
    if (from.channel.element_count > 0) {
      WEIR_ASSIGN(channel.elements,
                  read_channel_log(environment.store->files(),
                                   environment.store->path_of_restored(from.file.path),
                                   from.channel, *from.record));
    }
    if (from.is_filtered) {
      const SubtaskInfo& info = chain.head().info;
      keep_key_groups(channel.elements, info.key_groups, info.max_parallelism);
    }
    channels.push_back(std::move(channel));
  }
  return channels;
}

}  // namespace

Task::Task(int id, const PlanVertex& vertex, int subtask, const TaskEnvironment& environment,
           Wiring wiring, TaskRestore restore, WakeSignal& signal)
    : id_(id),
      vertex_(vertex),
      subtask_(subtask),
      environment_(environment),
      signal_(signal),
      restore_(std::move(restore)) {
  // Not through the task: what runs on I/O threads may end after it.
  const auto wake = [signal = &signal_] { signal->wake(); };
  std::vector<OperatorChain::EdgeRef> refs = edge_refs(wiring);
  outputs_ = std::move(wiring.outputs);
  chain_ = std::make_unique<OperatorChain>(vertex, subtask, environment, std::move(refs), wake);
  if (vertex.operators.front().source != nullptr) {
    source_ = std::make_unique<SourceDriver>(
        vertex.operators.front(), environment, chain_->nodes().front()->info, chain_->head_output(),
        wake, [this] { environment_.listener->on_split_request(id_); });
    is_paused_ = environment.are_sources_paused_at_start;
  } else {
    gate_.emplace(std::move(wiring.inputs), environment.alignment, wiring.can_overtake);
    gate_->set_memory(environment.memory == nullptr ? nullptr : &environment.memory->network());
  }
}

Task::~Task() {
  for (const auto& snapshot : snapshots_) {
    snapshot->abort();
  }
}

void Task::post(TaskMessage message) {
  {
    const std::lock_guard lock(mail_mutex_);
    mail_.push_back(std::move(message));
    has_mail_.store(true, std::memory_order_release);
  }
  signal_.wake();
}

Task::Progress Task::step() {
  if (phase_ == Phase::kFailed) {
    return Progress::kDone;
  }
  // What operators throw is caught by the chain, which knows their names; this is for the rest:
  // deserializers, timestamp assigners, copies of user functions.
  try {
    return step_unguarded();
  } catch (const std::exception& exception) {
    fail({ErrorCode::kUser, vertex_.name + ": user code threw: " + exception.what()});
  } catch (...) {
    fail({ErrorCode::kUser, vertex_.name + ": user code threw"});
  }
  return Progress::kDone;
}

Task::Progress Task::step_unguarded() {
  if (phase_ == Phase::kCreated) {
    if (const Status opened = open(); !opened.ok()) {
      fail(opened.error());
      return Progress::kDone;
    }
    phase_ = Phase::kRunning;
    environment_.listener->on_running(id_);
    return Progress::kProgress;
  }
  const bool did_something = run_once();
  if (!chain_->status().ok()) {
    fail(chain_->status().error());
    return Progress::kDone;
  }
  return did_something ? Progress::kProgress : Progress::kIdle;
}

Status Task::open() {
  WEIR_TRY(chain_->open(restore_));
  if (source_ != nullptr) {
    WEIR_TRY(source_->open(std::move(restore_.splits)));
  } else {
    WEIR_ASSIGN(auto recovered, read_in_flight(restore_, *chain_, environment_));
    gate_->restore(std::move(recovered));
  }
  restore_ = TaskRestore();
  return {};
}

void Task::fail(const Error& error) {
  phase_ = Phase::kFailed;
  environment_.listener->on_failed(id_, error);
}

bool Task::run_once() {
  const std::int64_t last_ns = std::exchange(now_ns_, environment_.clock->monotonic_ns());
  if (gate_.has_value()) {
    gate_->set_now(now_ns_);
  }
  if (gate_.has_value() && input_rate_.on_step(now_ns_, std::exchange(rows_taken_, 0),
                                               std::exchange(was_starved_, false))) {
    gate_->set_rows_queued_max(input_rate_.rows_queued_max());
  }
  bool did_something = handle_mail();
  // As long as the work since the last step took: a copy neither stops the stream nor takes for
  // ever beside it.
  did_something |= advance_snapshots(std::min((now_ns_ - last_ns) / 2, kCopyNsMax));
  drain_overflows();
  chain_->poll_sinks();
  overtake();
  if (chain_->status().ok() && !chain_->is_busy() && chain_->is_blocked() && may_pass_outputs()) {
    return handle_barrier() || did_something;
  }
  if (!chain_->status().ok() || chain_->is_blocked()) {
    if (source_ != nullptr) {
      source_->note_blocked(now_ns_);
    }
    return did_something;
  }
  if (chain_->is_busy()) {
    chain_->resume();
    forward_watermark();
    return true;
  }
  if (drain_.has_value() && !has_barrier()) {
    // The end of the input comes first, so that what it fires is part of the snapshot.
    if (phase_ == Phase::kRunning) {
      begin_end_of_data();
    }
    barriers_.push_back({*std::exchange(drain_, std::nullopt)});
    return true;
  }
  if (phase_ == Phase::kEnding && finish_end_of_data()) {
    return true;
  }
  if (has_barrier()) {
    return handle_barrier() || did_something;
  }
  if (phase_ == Phase::kEnded) {
    // Nothing but barriers comes any more; sources are told of them, others read them.
    return (gate_.has_value() && read_gate()) || did_something;
  }
  did_something |= serve_time();
  if (!is_stopped_ && !is_paused_ && phase_ == Phase::kRunning && !chain_->is_busy() &&
      !must_wait_for_snapshot()) {
    did_something |= read_input();
  }
  const bool is_overdue =
      now_ns_ - last_flush_ns_ >= environment_.buffer_timeout.count() * 1'000'000;
  if (!did_something || is_overdue) {
    flush_outputs();
  }
  return did_something;
}

bool Task::handle_mail() {
  if (!has_mail_.load(std::memory_order_acquire)) {
    return false;
  }
  std::vector<TaskMessage> mail;
  {
    const std::lock_guard lock(mail_mutex_);
    mail.swap(mail_);
    has_mail_.store(false, std::memory_order_relaxed);
  }
  for (TaskMessage& message : mail) {
    handle(message);
  }
  return true;
}

void Task::handle(TaskMessage& message) {
  const bool is_behind_barrier = has_barrier() || drain_.has_value();
  const bool is_of_enumerator = std::holds_alternative<TriggerBarrier>(message) ||
                                std::holds_alternative<AddSplits>(message) ||
                                std::holds_alternative<NoMoreSplits>(message);
  if (is_of_enumerator && is_behind_barrier && !planted_bug("H8")) {
    behind_barrier_.push_back(std::move(message));
    return;
  }
  if (auto* trigger = std::get_if<TriggerBarrier>(&message)) {
    is_paused_ = false;
    if (trigger->barrier.is_drain || (trigger->barrier.is_terminal && planted_bug("M1"))) {
      drain_ = trigger->barrier;
    } else {
      barriers_.push_back({trigger->barrier});
    }
  } else if (auto* completed = std::get_if<CheckpointCompleted>(&message)) {
    chain_->notify_checkpoint_complete(completed->checkpoint);
    if (source_ != nullptr) {
      source_->notify_checkpoint_complete(completed->checkpoint);
    }
  } else if (auto* aborted = std::get_if<CheckpointAborted>(&message)) {
    if (gate_.has_value()) {
      gate_->abort_checkpoint(aborted->checkpoint);
    }
    for (const auto& snapshot : snapshots_) {
      if (snapshot->barrier().checkpoint == aborted->checkpoint) {
        snapshot->abort();
      }
    }
    chain_->notify_checkpoint_aborted(aborted->checkpoint);
    is_stopped_ = is_stopped_ && !aborted->is_terminal;
  } else if (auto* splits = std::get_if<AddSplits>(&message)) {
    if (const Status added = source_->add_splits(std::move(splits->splits)); !added.ok()) {
      chain_->fail(added.error());
    }
  } else if (std::holds_alternative<NoMoreSplits>(message)) {
    source_->no_more_splits();
  }
}

void Task::handle_behind_barrier() {
  while (!behind_barrier_.empty() && !has_barrier() && !drain_.has_value()) {
    TaskMessage message = std::move(behind_barrier_.front());
    behind_barrier_.pop_front();
    handle(message);
  }
}

bool Task::advance_snapshots(std::int64_t copy_ns) {
  bool did_something = false;
  for (const auto& snapshot : snapshots_) {
    const bool was_copying = snapshot->is_copying();
    if (const Status advanced = snapshot->advance(now_ns_ + copy_ns); !advanced.ok()) {
      chain_->fail(advanced.error());
      return true;
    }
    did_something |= was_copying && !snapshot->is_copying();
  }
  // In order, so that the committables of a checkpoint arrive before those of the next.
  while (!snapshots_.empty() && snapshots_.front()->is_complete()) {
    PendingSnapshot& done = *snapshots_.front();
    const CheckpointId checkpoint = done.barrier().checkpoint;
    if (done.failure().has_value()) {
      environment_.listener->on_decline(id_, checkpoint, *done.failure(), std::move(done.result()));
    } else {
      environment_.listener->on_ack(id_, checkpoint, std::move(done.result()));
    }
    snapshots_.pop_front();
    did_something = true;
  }
  return did_something || (!snapshots_.empty() && snapshots_.front()->is_copying());
}

bool Task::must_wait_for_snapshot() const {
  return !snapshots_.empty() && snapshots_.back()->is_copying() && chain_->must_state_wait();
}

bool Task::handle_barrier() {
  if (!are_operators_prepared_) {
    if (!snapshots_.empty() && snapshots_.back()->is_copying()) {
      return false;
    }
    chain_->prepare_snapshot(barriers_.front().barrier.checkpoint);
    are_operators_prepared_ = true;
    // Sinks end their epoch only when they have taken everything.
    if (chain_->is_blocked() && !may_pass_outputs()) {
      return true;
    }
  }
  start_snapshot();
  return true;
}

bool Task::may_pass_outputs() const {
  return has_barrier() && barriers_.front().barrier.can_overtake &&
         now_ns_ >= barriers_.front().barrier.overtake_at_ns && !chain_->are_sinks_blocked();
}

void Task::overtake() {
  if (!gate_.has_value()) {
    return;
  }
  if (has_barrier()) {
    return;  // its snapshot, which may get a log, comes first
  }
  if (std::optional<InputGate::Log> log = gate_->take_log()) {
    for (const auto& snapshot : snapshots_) {
      if (snapshot->barrier().checkpoint == log->checkpoint) {
        snapshot->result().received = std::move(log->received);
        snapshot->store_log(std::move(log->channels));
      }
    }
  }
  // What an operator is in the middle of is neither in its state nor in its input.
  if (chain_->is_busy()) {
    return;
  }
  if (const std::optional<Barrier> barrier = gate_->overtake(now_ns_)) {
    barriers_.push_back({*barrier, true});
  }
}

CheckpointTimings Task::timings_of(const Barrier& barrier, std::int64_t began_ns) const {
  CheckpointTimings timings;
  const std::int64_t seen_ns = gate_.has_value() ? gate_->started_ns(barrier.checkpoint) : 0;
  if (barrier.triggered_ns != 0) {
    timings.start_delay_ns = (seen_ns != 0 ? seen_ns : began_ns) - barrier.triggered_ns;
  }
  timings.alignment_ns = seen_ns != 0 ? began_ns - seen_ns : 0;
  timings.sync_ns = environment_.clock->monotonic_ns() - began_ns;
  MetricGroup& metrics = environment_.metrics->group(metric_scope(chain_->head().info));
  metrics.gauge("checkpointAlignmentTime").set(timings.alignment_ns);
  metrics.gauge("checkpointStartDelayNanos").set(timings.start_delay_ns);
  return timings;
}

void Task::start_snapshot() {
  const std::int64_t began_ns = environment_.clock->monotonic_ns();
  const auto [barrier, has_overtaken] = barriers_.front();
  barriers_.pop_front();
  are_operators_prepared_ = false;
  for (const auto& node : chain_->nodes()) {
    Status status;
    if (node->sink != nullptr) {
      status = node->sink->begin_prepare(barrier.checkpoint);
    } else if (node->op != nullptr) {
      status = node->op->snapshot_state(barrier.checkpoint);
    }
    if (!status.ok()) {
      chain_->fail(status.error().with_context(subtask_label(node->info)));
      return;
    }
  }
  broadcast(Element::of_barrier(barrier));
  auto snapshot = std::make_unique<PendingSnapshot>(
      barrier, *chain_, environment_, [signal = &signal_] { signal->wake(); }, has_overtaken);
  TaskSnapshot& result = snapshot->result();
  if (source_ != nullptr) {
    checkpoint::ReaderSnapshot reader;
    reader.subtask = subtask_;
    reader.is_finished = phase_ == Phase::kEnded;
    reader.splits = source_->snapshot(barrier.checkpoint);
    result.reader = std::move(reader);
  }
  for (const auto& output : outputs_) {
    result.sent.push_back(output->report());
  }
  if (gate_.has_value() && !has_overtaken) {
    result.received = gate_->reports();
  }
  result.timings = timings_of(barrier, began_ns);
  snapshots_.push_back(std::move(snapshot));
  is_stopped_ = is_stopped_ || barrier.is_terminal;
  handle_behind_barrier();
}

bool Task::serve_time() {
  if (source_ != nullptr && now_ns_ >= next_watermark_ns_) {
    next_watermark_ns_ = now_ns_ + environment_.auto_watermark_interval.count() * 1'000'000;
    const SourceDriver::WatermarkUpdate update = source_->update_watermark(now_ns_);
    if (update.has_idle_changed && !update.is_idle) {
      broadcast(Element::of(Element::Kind::kActive));
    }
    if (update.watermark != kMinTimestamp) {
      chain_->process_watermark(update.watermark);
      forward_watermark();
    }
    if (update.has_idle_changed && update.is_idle) {
      broadcast(Element::of(Element::Kind::kIdle));
    }
  }
  if (chain_->is_busy()) {
    return true;
  }
  const TimestampMs timer = chain_->next_processing_time_timer();
  if (timer == kMaxTimestamp) {
    return false;
  }
  const TimestampMs now = environment_.clock->wall_ms();
  if (timer > now) {
    return false;
  }
  chain_->process_time(now);
  return true;
}

bool Task::read_input() { return source_ != nullptr ? read_source() : read_gate(); }

bool Task::read_source() {
  if (environment_.memory != nullptr && environment_.memory->is_tight()) {
    source_->note_blocked(now_ns_);
    return false;
  }
  bool did_something = false;
  for (int i = 0; i < kEventsPerStep; ++i) {
    const Result<PollResult> polled = source_->poll();
    if (!polled.ok()) {
      chain_->fail(polled.error().with_context(subtask_label(chain_->nodes().front()->info)));
      return true;
    }
    if (polled.value() == PollResult::kIdle) {
      break;
    }
    did_something = true;
    if (polled.value() == PollResult::kFinished) {
      begin_end_of_data();
      break;
    }
    // A barrier, and the other tasks of the worker, wait for the end of the step.
    const bool is_step_used_up =
        environment_.clock->monotonic_ns() - now_ns_ >= RowBudget::kTargetNs;
    if (is_step_used_up || chain_->is_blocked() || !chain_->status().ok()) {
      break;
    }
  }
  return did_something;
}

bool Task::read_gate() {
  bool did_something = false;
  is_step_used_up_ = false;
  for (int i = 0; i < kEventsPerStep; ++i) {
    std::optional<InputGate::Event> event = gate_->next(row_budget_.rows_max());
    if (!event.has_value()) {
      was_starved_ = !did_something;
      break;
    }
    did_something = true;
    on_event(std::move(*event));
    if (is_step_used_up_ || has_barrier() || chain_->is_busy() || phase_ != Phase::kRunning ||
        chain_->is_blocked() || !chain_->status().ok()) {
      break;
    }
  }
  return did_something;
}

void Task::on_event(InputGate::Event event) {
  using Kind = InputGate::Event::Kind;
  switch (event.kind) {
    case Kind::kBatch: {
      const std::size_t rows = event.batch->size();
      const std::int64_t started_ns = environment_.clock->monotonic_ns();
      chain_->process_batch(std::move(event.batch), event.operator_input);
      const std::int64_t ended_ns = environment_.clock->monotonic_ns();
      row_budget_.on_processed(rows, ended_ns - started_ns);
      rows_taken_ += rows;
      is_step_used_up_ = ended_ns - now_ns_ >= RowBudget::kTargetNs;
      break;
    }
    case Kind::kWatermark:
      chain_->process_watermark(event.watermark);
      forward_watermark();
      break;
    case Kind::kIdle:
      broadcast(Element::of(Element::Kind::kIdle));
      break;
    case Kind::kActive:
      broadcast(Element::of(Element::Kind::kActive));
      break;
    case Kind::kBarrier:
      barriers_.push_back({event.barrier});
      break;
    case Kind::kEndOfInput:
      begin_end_of_data();
      break;
  }
}

void Task::begin_end_of_data() {
  phase_ = Phase::kEnding;
  chain_->process_watermark(kMaxTimestamp);
  forward_watermark();
}

bool Task::finish_end_of_data() {
  // Reached once the final watermark has passed all operators.
  chain_->end_input();
  broadcast(Element::of(Element::Kind::kEndOfInput));
  phase_ = Phase::kEnded;
  environment_.listener->on_end_of_data(id_);
  return true;
}

void Task::forward_watermark() {
  if (const std::optional<TimestampMs> watermark = chain_->take_watermark()) {
    broadcast(Element::of_watermark(*watermark));
  }
}

void Task::broadcast(const Element& element) {
  for (const auto& output : outputs_) {
    output->broadcast(element);
  }
}

void Task::flush_outputs() {
  last_flush_ns_ = now_ns_;
  for (const auto& output : outputs_) {
    output->flush();
  }
}

void Task::drain_overflows() {
  for (const auto& output : outputs_) {
    output->drain_overflow();
  }
}

}  // namespace weir::runtime
