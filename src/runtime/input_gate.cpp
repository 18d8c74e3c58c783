#include "runtime/input_gate.h"

#include <algorithm>

#include "base/planted_bug.h"
#include "record/batch_split.h"

namespace weir::runtime {
namespace {

std::vector<EdgeReport> reports_of(const std::map<int, EdgeSums>& sums) {
  std::vector<EdgeReport> reports;
  for (const auto& [edge, sum] : sums) {
    reports.push_back({edge, sum});
  }
  return reports;
}

}  // namespace

InputGate::InputGate(std::vector<Input> inputs, checkpoint::AlignmentMode mode, bool can_overtake)
    : inputs_(std::move(inputs)),
      can_overtake_(can_overtake),
      aligner_(inputs_.size(), mode),
      valve_(inputs_.size()),
      announced_(inputs_.size(), 0) {
  for (const Input& input : inputs_) {
    sums_.try_emplace(input.edge);
  }
}

void InputGate::restore(std::vector<RecoveredChannel> channels) {
  if (!channels.empty()) {
    recovered_.emplace(std::move(channels));
  }
}

std::optional<InputGate::Event> InputGate::next(std::size_t rows_max) {
  if (ready_.empty() && !pieces_.left.empty()) {
    push_piece();
  }
  while (ready_.empty() && recovered_.has_value() && !planted_bug("G6") &&
         read_recovered(rows_max)) {
  }
  Element element;
  for (std::size_t tried = 0; ready_.empty() && tried < inputs_.size(); ++tried) {
    const std::size_t input = next_input_;
    next_input_ = next_input_ + 1 == inputs_.size() ? 0 : next_input_ + 1;
    if (aligner_.is_blocked(input)) {
      continue;
    }
    // Everything that needs no action of the task is consumed at once.
    while (ready_.empty() && !aligner_.is_blocked(input) &&
           inputs_[input].channel->try_pop(element)) {
      handle(input, std::move(element), rows_max);
    }
  }
  if (ready_.empty()) {
    return std::nullopt;
  }
  Event event = std::move(ready_.front());
  ready_.pop_front();
  return event;
}

bool InputGate::read_recovered(std::size_t rows_max) {
  std::optional<RecoveredInput::Next> next = recovered_->next();
  if (!next.has_value()) {
    finish_recovery();
    return false;
  }
  if (next->batch != nullptr) {
    hand_out(std::move(next->batch), next->operator_input, std::nullopt, rows_max);
  } else {
    push_watermark(*next->watermark);
  }
  return true;
}

void InputGate::finish_recovery() {
  for (std::size_t input = 0; input < inputs_.size(); ++input) {
    const TimestampMs watermark =
        recovered_->watermark_for(inputs_[input].edge, inputs_[input].sender);
    if (watermark != kMinTimestamp) {
      act_on(valve_.on_watermark(input, watermark));
    }
  }
  recovered_.reset();
}

void InputGate::handle(std::size_t input, Element element, std::size_t rows_max) {
  if (log_.has_value() && aligner_.is_logging(input)) {
    log_element(input, element);
  }
  switch (element.kind) {
    case Element::Kind::kBatch:
      sums_[inputs_[input].edge].add(*element.batch);
      hand_out(std::move(element.batch), inputs_[input].operator_input, input, rows_max);
      break;
    case Element::Kind::kWatermark:
      act_on(valve_.on_watermark(input, element.watermark));
      break;
    case Element::Kind::kIdle:
      act_on(valve_.on_idle(input));
      break;
    case Element::Kind::kActive:
      act_on(valve_.on_active(input));
      break;
    case Element::Kind::kBarrier:
      barriers_.try_emplace(element.barrier.checkpoint, element.barrier);
      act_on(aligner_.on_barrier(input, element.barrier.checkpoint));
      break;
    case Element::Kind::kEndOfInput: {
      // Barriers may still follow (the final checkpoint), so the aligner is not told.
      act_on(valve_.on_end(input));
      if (++ended_count_ == inputs_.size()) {
        Event event;
        event.kind = Event::Kind::kEndOfInput;
        push(std::move(event));
      }
      break;
    }
  }
}

void InputGate::hand_out(BatchPtr batch, int operator_input, std::optional<std::size_t> input,
                         std::size_t rows_max) {
  pieces_.operator_input = operator_input;
  pieces_.input = input;
  pieces_.left = split_batch(std::move(batch), rows_max);
  push_piece();
}

void InputGate::push_piece() {
  Event event;
  event.batch = std::move(pieces_.left.front());
  pieces_.left.pop_front();
  event.operator_input = pieces_.operator_input;
  push(std::move(event));
}

std::optional<Barrier> InputGate::overtake(std::int64_t now_ns) {
  if (!can_overtake_) {
    return std::nullopt;
  }
  take_announcements();
  if (!ready_.empty()) {
    return std::nullopt;  // consumed already, so it goes first
  }
  for (auto at = barriers_.rbegin(); at != barriers_.rend(); ++at) {
    const Barrier barrier = at->second;
    if (barrier.can_overtake && now_ns >= barrier.overtake_at_ns &&
        aligner_.may_overtake(barrier.checkpoint)) {
      const checkpoint::AlignerVerdict verdict = aligner_.overtake(barrier.checkpoint);
      barriers_.erase(barriers_.begin(), barriers_.upper_bound(barrier.checkpoint));
      start_log(barrier.checkpoint);
      act_on(verdict);
      return barrier;
    }
  }
  return std::nullopt;
}

void InputGate::take_announcements() {
  for (std::size_t input = 0; input < inputs_.size(); ++input) {
    const std::optional<Barrier> barrier = inputs_[input].channel->take_announcement();
    if (!barrier.has_value()) {
      continue;
    }
    announced_[input] = barrier->checkpoint;
    act_on(aligner_.on_announcement(input, barrier->checkpoint));
    if (aligner_.may_overtake(barrier->checkpoint)) {
      barriers_.try_emplace(barrier->checkpoint, *barrier);
    }
    if (log_.has_value() && log_->checkpoint == barrier->checkpoint && aligner_.is_logging(input)) {
      log_rest(input);
    }
  }
}

void InputGate::start_log(CheckpointId checkpoint) {
  log_.emplace();
  log_->checkpoint = checkpoint;
  log_->channels = ChannelLog(memory_);
  log_->received = sums_;
  // In the order of replay: what an earlier checkpoint had under way comes first.
  if (recovered_.has_value()) {
    if (!pieces_.left.empty() && !pieces_.input.has_value()) {
      recovered_->put_back(std::move(pieces_.left));
      pieces_.left.clear();
    }
    recovered_->add_to(log_->channels);
  }
  for (std::size_t input = 0; input < inputs_.size(); ++input) {
    TimestampMs watermark = valve_.watermark_of(input);
    if (recovered_.has_value()) {
      watermark = std::max(watermark,
                           recovered_->watermark_for(inputs_[input].edge, inputs_[input].sender));
    }
    log_->channel_of_input.push_back(log_->channels.open_channel(
        inputs_[input].edge, inputs_[input].sender, watermark, valve_.is_idle(input)));
    if (pieces_.input == input) {
      for (const BatchPtr& batch : pieces_.left) {
        log_->channels.add(log_->channel_of_input[input], *batch);  // received and counted already
      }
    }
  }
  for (std::size_t input = 0; input < inputs_.size(); ++input) {
    if (announced_[input] == checkpoint && aligner_.is_logging(input)) {
      log_rest(input);
    }
  }
}

void InputGate::log_element(std::size_t input, const Element& element) {
  log_->channels.add(log_->channel_of_input[input], element);
  if (element.kind == Element::Kind::kBatch) {
    log_->received[inputs_[input].edge].add(*element.batch);
  }
}

void InputGate::log_rest(std::size_t input) {
  const bool is_found = inputs_[input].channel->visit_ahead_of(
      log_->checkpoint, [&](const Element& element) { log_element(input, element); });
  WEIR_CHECK(is_found);
  act_on(aligner_.on_logged(input));
}

std::optional<InputGate::Log> InputGate::take_log() {
  if (!log_.has_value() || !log_->is_complete) {
    return std::nullopt;
  }
  Log log{log_->checkpoint, std::move(log_->channels), reports_of(log_->received)};
  log_.reset();
  return log;
}

void InputGate::act_on(const checkpoint::AlignerVerdict& verdict) {
  if (!verdict.started.empty()) {
    started_ = {verdict.started.back(), now_ns_};
  }
  for (const CheckpointId aborted : verdict.aborted) {
    barriers_.erase(aborted);
    if (log_.has_value() && log_->checkpoint == aborted) {
      log_.reset();
    }
  }
  for (const CheckpointId logged : verdict.logged) {
    if (log_.has_value() && log_->checkpoint == logged) {
      log_->is_complete = true;
    }
  }
  for (const CheckpointId aligned : verdict.aligned) {
    Event event;
    event.kind = Event::Kind::kBarrier;
    event.barrier = barriers_.at(aligned);
    barriers_.erase(barriers_.begin(), barriers_.upper_bound(aligned));
    push(std::move(event));
  }
}

void InputGate::act_on(const WatermarkValve::Change& change) {
  if (change.is_idle == false) {
    Event event;
    event.kind = Event::Kind::kActive;
    push(std::move(event));
  }
  if (change.watermark.has_value()) {
    push_watermark(*change.watermark);
  }
  if (change.is_idle == true) {
    Event event;
    event.kind = Event::Kind::kIdle;
    push(std::move(event));
  }
}

void InputGate::push_watermark(TimestampMs watermark) {
  if (watermark <= last_watermark_) {
    return;  // restored inputs had come to it
  }
  last_watermark_ = watermark;
  Event event;
  event.kind = Event::Kind::kWatermark;
  event.watermark = watermark;
  push(std::move(event));
}

void InputGate::abort_checkpoint(CheckpointId checkpoint) {
  act_on(aligner_.abort(checkpoint));
  if (log_.has_value() && log_->checkpoint == checkpoint) {
    log_.reset();
  }
}

void InputGate::set_rows_queued_max(std::size_t rows) {
  for (const Input& input : inputs_) {
    input.channel->set_rows_max(std::max<std::size_t>(1, rows / inputs_.size()));
  }
}

std::vector<EdgeReport> InputGate::reports() const { return reports_of(sums_); }

}  // namespace weir::runtime
