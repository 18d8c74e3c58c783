#include "runtime/input_gate.h"

namespace weir::runtime {

InputGate::InputGate(std::vector<Input> inputs, checkpoint::AlignmentMode mode)
    : inputs_(std::move(inputs)), aligner_(inputs_.size(), mode), valve_(inputs_.size()) {
  for (const Input& input : inputs_) {
    sums_.try_emplace(input.edge);
  }
}

std::optional<InputGate::Event> InputGate::next() {
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
      handle(input, std::move(element));
    }
  }
  if (ready_.empty()) {
    return std::nullopt;
  }
  Event event = std::move(ready_.front());
  ready_.pop_front();
  return event;
}

void InputGate::handle(std::size_t input, Element element) {
  switch (element.kind) {
    case Element::Kind::kBatch: {
      sums_[inputs_[input].edge].add(*element.batch);
      Event event;
      event.batch = std::move(element.batch);
      event.operator_input = inputs_[input].operator_input;
      push(std::move(event));
      break;
    }
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

void InputGate::act_on(const checkpoint::AlignerVerdict& verdict) {
  for (const CheckpointId aborted : verdict.aborted) {
    barriers_.erase(aborted);
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
    Event event;
    event.kind = Event::Kind::kWatermark;
    event.watermark = *change.watermark;
    push(std::move(event));
  }
  if (change.is_idle == true) {
    Event event;
    event.kind = Event::Kind::kIdle;
    push(std::move(event));
  }
}

void InputGate::abort_checkpoint(CheckpointId checkpoint) {
  act_on(aligner_.abort(checkpoint));
}

std::vector<EdgeReport> InputGate::reports() const {
  std::vector<EdgeReport> reports;
  for (const auto& [edge, sums] : sums_) {
    reports.push_back({edge, sums});
  }
  return reports;
}

}  // namespace weir::runtime
