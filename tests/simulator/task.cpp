#include "simulator/task.h"

#include <algorithm>
#include <cstring>

#include "base/crc32c.h"
#include "base/planted_bug.h"
#include "simulator/attempt.h"
#include "simulator/codec.h"
#include "simulator/world.h"

namespace weir::simulator {
namespace {

std::uint64_t hash_of(const Record& record) {
  return (static_cast<std::uint64_t>(record.key) << 32) |
         static_cast<std::uint32_t>(record.sequence);
}

}  // namespace

Task::Task(Attempt& attempt, int id, int vertex, int subtask, std::size_t input_count)
    : attempt_(attempt), id_(id), vertex_(vertex), subtask_(subtask), announced_(input_count, 0) {
  const std::vector<int>& edges = attempt.vertex(vertex).inputs;
  can_overtake_ = attempt.world().schedule().is_unaligned &&
                  std::none_of(edges.begin(), edges.end(),
                               [&](int edge) { return attempt.edge(edge).is_forward; });
  if (input_count > 0) {
    aligner_.emplace(input_count, attempt.world().schedule().is_at_least_once
                                      ? checkpoint::AlignmentMode::kAtLeastOnce
                                      : checkpoint::AlignmentMode::kExactlyOnce);
  }
}

// ---- records and barriers

bool Task::has_work() const {
  if (!aligner_.has_value()) {
    return halted_by_ == 0 && !is_at_end_;
  }
  if (!recovered_.empty()) {
    return true;
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!aligner_->is_blocked(i) && !attempt_.channel(inputs[i]).is_empty()) {
      return true;
    }
  }
  return false;
}

bool Task::step() { return aligner_.has_value() ? read_inputs() : emit_from_source(); }

bool Task::emit_from_source() {
  if (halted_by_ != 0 || is_at_end_) {
    return false;
  }
  const Schedule& schedule = attempt_.world().schedule();
  for (std::int64_t left = attempt_.world().chance().between(1, 3); left > 0; --left) {
    std::vector<Split*> open;
    for (Split& split : splits_) {
      if (split.offset < schedule.records_per_split) {
        open.push_back(&split);
      }
    }
    if (open.empty()) {
      is_at_end_ = true;
      broadcast({.kind = Element::Kind::kEnd});
      attempt_.report_end(id_);
      return true;
    }
    Split& split = *open[static_cast<std::size_t>(
        attempt_.world().chance().below(static_cast<std::int64_t>(open.size())))];
    send({split.index + schedule.split_count * (split.offset % schedule.keys_per_split),
          split.offset / schedule.keys_per_split});
    ++split.offset;
  }
  return true;
}

bool Task::read_inputs() {
  Chance& chance = attempt_.world().chance();
  bool did_something = false;
  for (std::int64_t left = chance.between(1, 8); left > 0; --left) {
    take_announcements();
    if (read_recovered()) {
      did_something = true;
      continue;
    }
    const auto start =
        static_cast<std::size_t>(chance.below(static_cast<std::int64_t>(inputs.size())));
    bool has_read = false;
    for (std::size_t i = 0; i < inputs.size() && !has_read; ++i) {
      const std::size_t input = (start + i) % inputs.size();
      Channel& channel = attempt_.channel(inputs[input]);
      if (!channel.is_empty() && !aligner_->is_blocked(input)) {
        const Element element = channel.elements[channel.read++];
        handle(input, element);
        has_read = did_something = true;
      }
    }
    if (!has_read || attempt_.is_over()) {
      break;
    }
  }
  return did_something;
}

bool Task::read_recovered() {
  while (!recovered_.empty() && recovered_.front().records.empty()) {
    recovered_.pop_front();
  }
  if (recovered_.empty()) {
    return false;
  }
  std::vector<Record>& records = recovered_.front().records;
  const Record record = records.front();
  records.erase(records.begin());
  process(record);
  return true;
}

void Task::handle(std::size_t input, const Element& element) {
  switch (element.kind) {
    case Element::Kind::kRecord:
      if (log_.has_value() && aligner_->is_logging(input)) {
        log(input, element.record);
      }
      received_[attempt_.channel(inputs[input]).edge].add(hash_of(element.record));
      process(element.record);
      break;
    case Element::Kind::kBarrier:
      barriers_.emplace(element.checkpoint, element);
      act_on(aligner_->on_barrier(input, element.checkpoint));
      break;
    case Element::Kind::kCancel:
      act_on(aligner_->on_cancel(input, element.checkpoint));
      break;
    case Element::Kind::kEnd:
      if (++ends_seen_ == inputs.size()) {
        is_at_end_ = true;
        broadcast(element);
        attempt_.report_end(id_);
      }
      break;
  }
}

void Task::process(const Record& record) {
  const Vertex& vertex = attempt_.vertex(vertex_);
  if (vertex.role == Role::kSink) {
    if (!epoch_.has_value()) {
      World& world = attempt_.world();
      auto opened = world.broker().open(vertex.sink, attempt_.number(), world.now_ms());
      if (!opened.ok()) {
        attempt_.fail(opened.error());
        return;
      }
      epoch_ = Epoch{opened.value(), {}};
    }
    epoch_->records.push_back(record);
    return;
  }
  if (vertex.role == Role::kMap) {
    ++count_;
  } else {
    int& next = state_[record.key];
    attempt_.world().expect(record.sequence == next,
                            "a keyed operator sees each record of a key once and in order: key " +
                                std::to_string(record.key) + ", record " +
                                std::to_string(record.sequence) + ", expected " +
                                std::to_string(next));
    next = record.sequence + 1;
    dirty_.insert(record.key);
  }
  send(record);
}

void Task::act_on(const checkpoint::AlignerVerdict& verdict) {
  for (const CheckpointId checkpoint : verdict.aborted) {
    if (log_.has_value() && log_->checkpoint == checkpoint) {
      close_log(checkpoint, false);  // its barrier went on long ago
    } else {
      broadcast({.kind = Element::Kind::kCancel, .checkpoint = checkpoint});
    }
  }
  for (const CheckpointId checkpoint : verdict.logged) {
    close_log(checkpoint, true);
  }
  for (const CheckpointId checkpoint : verdict.aligned) {
    report_received(capture(checkpoint), received_);
    broadcast(barriers_.at(checkpoint));
  }
  if (verdict.has_blocking_changed) {
    attempt_.wake(id_);
  }
}

void Task::on_trigger(const checkpoint::Trigger& trigger) {
  if (trigger.checkpoint <= last_trigger_) {
    return;
  }
  last_trigger_ = trigger.checkpoint;
  if (trigger.is_terminal) {
    halted_by_ = trigger.checkpoint;
  }
  const bool can_overtake = attempt_.world().schedule().is_unaligned && !trigger.is_terminal &&
                            trigger.kind == checkpoint::SnapshotKind::kCheckpoint;
  const Element barrier{.kind = Element::Kind::kBarrier,
                        .is_terminal = trigger.is_terminal,
                        .can_overtake = can_overtake,
                        .checkpoint = trigger.checkpoint,
                        .builds_on = trigger.builds_on};
  barriers_.emplace(trigger.checkpoint, barrier);
  capture(trigger.checkpoint);
  broadcast(barrier);
}

void Task::on_aborted(CheckpointId checkpoint, bool is_terminal) {
  if (aligner_.has_value()) {
    act_on(aligner_->abort(checkpoint));
  } else if (is_terminal && halted_by_ == checkpoint) {
    halted_by_ = 0;
    attempt_.wake(id_);
  }
}

void Task::send(const Record& record) {
  std::size_t first = 0;
  for (const int edge_index : attempt_.vertex(vertex_).outputs) {
    const Edge& edge = attempt_.edge(edge_index);
    sent_[edge_index].add(hash_of(record));
    const Vertex& to = attempt_.vertex(edge.to);
    std::size_t target = 0;
    if (!edge.is_forward) {
      const int max = attempt_.world().schedule().max_parallelism;
      target = static_cast<std::size_t>(subtask_of_key_group(
          key_group_of(static_cast<std::uint32_t>(record.key), max), max, to.parallelism));
    }
    attempt_.push(outputs[first + target], {.record = record});
    first += edge.is_forward ? 1 : static_cast<std::size_t>(to.parallelism);
  }
}

void Task::broadcast(const Element& element) {
  for (const int channel : outputs) {
    attempt_.push(channel, element);
  }
}

// ---- barriers that overtake: as InputGate does it

void Task::take_announcements() {
  if (!can_overtake_) {
    return;
  }
  CheckpointId latest = 0;
  for (std::size_t input = 0; input < inputs.size(); ++input) {
    const Channel& channel = attempt_.channel(inputs[input]);
    for (std::size_t at = channel.read; at < channel.elements.size(); ++at) {
      const Element& element = channel.elements[at];
      if (element.kind != Element::Kind::kBarrier || !element.can_overtake ||
          element.checkpoint <= announced_[input]) {
        continue;
      }
      announced_[input] = element.checkpoint;
      barriers_.emplace(element.checkpoint, element);
      act_on(aligner_->on_announcement(input, element.checkpoint));
      if (log_.has_value() && log_->checkpoint == element.checkpoint &&
          aligner_->is_logging(input)) {
        log_rest(input);
      }
    }
    latest = std::max(latest, announced_[input]);
  }
  if (latest > 0 && aligner_->may_overtake(latest) && attempt_.world().chance().one_in(3)) {
    overtake(latest);
  }
}

void Task::overtake(CheckpointId checkpoint) {
  attempt_.world().trace("overtake", checkpoint, id_);
  const checkpoint::AlignerVerdict verdict = aligner_->overtake(checkpoint);
  capture(checkpoint).is_log_open = true;
  broadcast(barriers_.at(checkpoint));
  Log log{checkpoint, {}, 0, received_};
  if (!planted_bug("G9")) {
    log.channels.assign(recovered_.begin(), recovered_.end());
  }
  log.first_input = log.channels.size();
  for (const int input : inputs) {
    const Channel& channel = attempt_.channel(input);
    const int sender =
        channel.sender - attempt_.vertex(attempt_.edge(channel.edge).from).first_task;
    log.channels.push_back({channel.edge, sender, {}});
  }
  log_ = std::move(log);
  act_on(verdict);
  for (std::size_t input = 0; input < inputs.size() && log_.has_value(); ++input) {
    if (announced_[input] == checkpoint && aligner_->is_logging(input)) {
      log_rest(input);
    }
  }
}

void Task::log(std::size_t input, const Record& record) {
  log_->channels[log_->first_input + input].records.push_back(record);
  log_->received[attempt_.channel(inputs[input]).edge].add(hash_of(record));
}

void Task::log_rest(std::size_t input) {
  const Channel& channel = attempt_.channel(inputs[input]);
  for (std::size_t at = channel.read; at < channel.elements.size(); ++at) {
    const Element& element = channel.elements[at];
    if (element.kind == Element::Kind::kBarrier && element.checkpoint == log_->checkpoint) {
      break;
    }
    if (element.kind == Element::Kind::kRecord) {
      log(input, element.record);
    }
  }
  act_on(aligner_->on_logged(input));
}

void Task::close_log(CheckpointId checkpoint, bool is_complete) {
  if (!log_.has_value() || log_->checkpoint != checkpoint) {
    return;
  }
  if (Captured* captured = captured_of(checkpoint)) {
    captured->is_log_open = false;
    captured->report.is_declined = !is_complete;
    captured->under_way = std::move(log_->channels);
    report_received(*captured, log_->received);
  }
  log_.reset();
}

Task::Captured* Task::captured_of(CheckpointId checkpoint) {
  const auto found = std::find_if(captured_.begin(), captured_.end(), [&](const Captured& one) {
    return one.checkpoint == checkpoint;
  });
  return found == captured_.end() ? nullptr : &*found;
}

// ---- snapshots

void Task::report_received(Captured& captured, const std::map<int, checkpoint::EdgeSum>& received) {
  for (const auto& [edge, sum] : received) {
    captured.report.edges.push_back({attempt_.edge(edge).name, false, sum});
  }
}

Task::Captured& Task::capture(CheckpointId checkpoint) {
  attempt_.world().trace("capture", checkpoint, id_);
  const Vertex& vertex = attempt_.vertex(vertex_);
  Captured captured;
  captured.checkpoint = checkpoint;
  captured.report.checkpoint = checkpoint;
  captured.report.splits = splits_;
  captured.report.state.subtask = subtask_;
  captured.report.state.is_finished = is_at_end_;
  for (const auto& [edge, sum] : sent_) {
    captured.report.edges.push_back({attempt_.edge(edge).name, true, sum});
  }
  if (vertex.role == Role::kMap) {
    using Redistribution = OperatorStateBackend::Redistribution;
    std::vector<std::string> counts{std::to_string(count_)};
    for (const std::int64_t count : restored_counts_) {
      counts.push_back(std::to_string(count));
    }
    captured.report.state.lists = {{"all", Redistribution::kUnion, {"u"}},
                                   {"config", Redistribution::kBroadcast, {"b"}},
                                   {"counts", Redistribution::kSplit, std::move(counts)}};
  } else if (vertex.role == Role::kKeyed) {
    captured.state = state_;
    capture_dirty(captured);
  } else if (vertex.role == Role::kSink) {
    end_epoch(captured);
  }
  captured_.push_back(std::move(captured));
  attempt_.schedule_write(id_, attempt_.world().chance().between(0, 12));
  return captured_.back();
}

/// What has changed since the checkpoint that this one builds on.
void Task::capture_dirty(Captured& captured) {
  const CheckpointId builds_on =
      attempt_.world().schedule().is_incremental ? barriers_.at(captured.checkpoint).builds_on : 0;
  dirty_until_[captured.checkpoint] = std::exchange(dirty_, {});
  if (builds_on == 0) {
    return;
  }
  chain_.forget_before(builds_on);
  captured.base = chain_.base_for(builds_on);
  for (auto at = dirty_until_.upper_bound(builds_on); at != dirty_until_.end(); ++at) {
    captured.dirty.insert(at->second.begin(), at->second.end());
  }
  dirty_until_.erase(dirty_until_.begin(), dirty_until_.upper_bound(builds_on));
}

void Task::end_epoch(Captured& captured) {
  if (!epoch_.has_value()) {
    return;
  }
  World& world = attempt_.world();
  Epoch epoch = std::move(*epoch_);
  epoch_.reset();
  if (epoch.records.size() > 1 && world.chance().one_in(4)) {
    // A sink may need several committables for one epoch.
    const auto opened =
        world.broker().open(attempt_.vertex(vertex_).sink, attempt_.number(), world.now_ms());
    if (!opened.ok()) {
      attempt_.fail(opened.error());
      return;
    }
    const auto half = epoch.records.begin() + static_cast<std::ptrdiff_t>(epoch.records.size() / 2);
    captured.epochs.push_back({epoch.transaction, {epoch.records.begin(), half}});
    captured.epochs.push_back({opened.value(), {half, epoch.records.end()}});
  } else {
    captured.epochs.push_back(std::move(epoch));
  }
  for (const Epoch& part : captured.epochs) {
    const Status appended = world.broker().append(part.transaction, part.records);
    if (!appended.ok()) {
      attempt_.fail(appended.error());
      return;
    }
  }
}

std::optional<TaskSnapshot> Task::write_snapshot() {
  if (captured_.empty()) {
    return std::nullopt;
  }
  Captured& captured = captured_.front();
  if (captured.is_log_open) {
    return std::nullopt;
  }
  const Role role = attempt_.vertex(vertex_).role;
  if (role == Role::kSink && !write_logs(captured)) {
    return std::nullopt;  // what was prepared must not be dropped
  }
  if (role == Role::kKeyed) {
    captured.report.is_declined = !write_state(captured) || captured.report.is_declined;
  }
  captured.report.is_declined = !write_under_way(captured) || captured.report.is_declined;
  TaskSnapshot report = std::move(captured.report);
  captured_.pop_front();
  return report;
}

KeyGroupRange Task::own_key_groups() const {
  return key_groups_of_subtask(subtask_, attempt_.world().schedule().max_parallelism,
                               attempt_.vertex(vertex_).parallelism);
}

bool Task::write_state(Captured& captured) {
  const bool is_incremental = attempt_.world().schedule().is_incremental;
  const bool is_full = captured.base.checkpoint == 0;
  std::vector<std::pair<int, int>> pairs;
  const KeyGroupRange own = own_key_groups();
  const KeyGroupRange whole = is_full ? own : captured.base.whole;
  std::uint64_t whole_count = 0;
  for (const auto& [key, next] : captured.state) {
    const bool is_whole = whole.contains(
        key_group_of(static_cast<std::uint32_t>(key), attempt_.world().schedule().max_parallelism));
    if (is_whole || captured.dirty.contains(key)) {
      pairs.emplace_back(key, next);
      whole_count += is_whole ? 1 : 0;
    }
  }
  std::vector<checkpoint::StateHandle> chain = std::move(captured.base.files);
  if (!pairs.empty()) {
    checkpoint::CheckpointStore& store = attempt_.store();
    const std::string name = store.new_file_name(
        is_incremental ? checkpoint::FileScope::kShared : checkpoint::FileScope::kExclusive,
        captured.checkpoint, "state");
    const std::string bytes = encode_pairs(pairs);
    const auto file = store.files().create_writer(store.path_of(name));
    const bool is_written = file.ok() && file.value()->append(bytes).ok() &&
                            file.value()->sync().ok() && file.value()->close().ok();
    if (!is_written) {
      return false;
    }
    const std::uint64_t whole_bytes = pairs.empty() ? 0 : bytes.size() * whole_count / pairs.size();
    chain = checkpoint::StateChain::extended(
        std::move(chain), {{name, bytes.size(), crc32c(bytes)},
                           "sim",
                           own,
                           checkpoint::ChainLink{whole, whole_bytes, 0}.encode()});
  }
  chain_.add(captured.checkpoint, chain);
  captured.report.state.files = std::move(chain);
  return true;
}

bool Task::write_under_way(Captured& captured) {
  std::string bytes;
  const Vertex& vertex = attempt_.vertex(vertex_);
  for (const UnderWay& channel : captured.under_way) {
    if (channel.records.empty()) {
      continue;
    }
    std::vector<checkpoint::InFlightSnapshot>& in_flight = captured.report.in_flight;
    const Edge& edge = attempt_.edge(channel.edge);
    if (in_flight.empty() || in_flight.back().edge != edge.name) {
      in_flight.push_back({edge.name,
                           subtask_,
                           attempt_.vertex(edge.from).parallelism,
                           vertex.parallelism,
                           "sim",
                           {},
                           {}});
    }
    in_flight.back().channels.push_back({channel.sender, kMinTimestamp, false, bytes.size(),
                                         channel.records.size(), channel.records.size()});
    bytes += encode_records(channel.records);
  }
  if (bytes.empty()) {
    return true;
  }
  checkpoint::CheckpointStore& store = attempt_.store();
  const std::string name =
      store.new_file_name(checkpoint::FileScope::kExclusive, captured.checkpoint, "in-flight");
  for (checkpoint::InFlightSnapshot& item : captured.report.in_flight) {
    item.file = {name, bytes.size(), crc32c(bytes)};
  }
  const auto file = store.files().create_writer(store.path_of(name));
  return file.ok() && file.value()->append(bytes).ok() && file.value()->sync().ok() &&
         file.value()->close().ok();
}

bool Task::write_logs(Captured& captured) {
  const Vertex& vertex = attempt_.vertex(vertex_);
  while (!captured.epochs.empty()) {
    const Epoch& epoch = captured.epochs.front();
    auto log = attempt_.files().write("log", encode_records(epoch.records));
    if (!log.ok()) {
      return false;
    }
    captured.report.committables.push_back(
        {{vertex.uid, subtask_, captured.checkpoint, attempt_.number()},
         std::to_string(epoch.transaction),
         {std::move(log).value()}});
    captured.epochs.erase(captured.epochs.begin());
  }
  return true;
}

}  // namespace weir::simulator
