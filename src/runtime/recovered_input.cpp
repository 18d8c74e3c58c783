#include "runtime/recovered_input.h"

#include <algorithm>

namespace weir::runtime {

RecoveredInput::RecoveredInput(std::vector<RecoveredChannel> channels)
    : channels_(std::move(channels)), valve_(channels_.size()) {
  for (std::size_t i = 0; i < channels_.size(); ++i) {
    if (channels_[i].watermark > kMinTimestamp) {
      (void)valve_.on_watermark(i, channels_[i].watermark);
    }
  }
  for (std::size_t i = 0; i < channels_.size(); ++i) {
    if (channels_[i].is_idle) {
      (void)valve_.on_idle(i);
    }
  }
  // The end of an input is told by the live channel, once more.
  if (valve_.current() > kMinTimestamp && valve_.current() != kMaxTimestamp) {
    start_watermark_ = valve_.current();
  }
}

std::optional<RecoveredInput::Next> RecoveredInput::next() {
  if (start_watermark_.has_value()) {
    return Next{nullptr, std::exchange(start_watermark_, std::nullopt), 0};
  }
  while (current_ < channels_.size()) {
    RecoveredChannel& channel = channels_[current_];
    if (channel.elements.empty()) {
      ++current_;
      continue;
    }
    Element element = std::move(channel.elements.front());
    channel.elements.pop_front();
    WatermarkValve::Change change;
    switch (element.kind) {
      case Element::Kind::kBatch:
        return Next{std::move(element.batch), std::nullopt, channel.operator_input};
      case Element::Kind::kWatermark:
        change = valve_.on_watermark(current_, element.watermark);
        break;
      case Element::Kind::kIdle:
        change = valve_.on_idle(current_);
        break;
      case Element::Kind::kActive:
        change = valve_.on_active(current_);
        break;
      case Element::Kind::kBarrier:
      case Element::Kind::kEndOfInput:
        break;
    }
    if (change.watermark.has_value() && *change.watermark != kMaxTimestamp) {
      return Next{nullptr, change.watermark, 0};
    }
  }
  return std::nullopt;
}

TimestampMs RecoveredInput::watermark_for(int edge, int sender) const {
  TimestampMs of_sender = kMaxTimestamp;
  TimestampMs of_edge = kMaxTimestamp;
  for (std::size_t i = 0; i < channels_.size(); ++i) {
    if (channels_[i].edge != edge) {
      continue;
    }
    of_edge = std::min(of_edge, valve_.watermark_of(i));
    if (channels_[i].sender == sender && channels_[i].is_same_channel) {
      of_sender = std::min(of_sender, valve_.watermark_of(i));
    }
  }
  const TimestampMs known = of_sender != kMaxTimestamp ? of_sender : of_edge;
  return known == kMaxTimestamp ? kMinTimestamp : known;
}

void RecoveredInput::put_back(std::deque<BatchPtr> pieces) {
  for (auto piece = pieces.rbegin(); piece != pieces.rend(); ++piece) {
    channels_[current_].elements.push_front(Element::of(std::move(*piece)));
  }
}

void RecoveredInput::add_to(ChannelLog& log) const {
  for (std::size_t i = current_; i < channels_.size(); ++i) {
    const RecoveredChannel& from = channels_[i];
    const std::size_t to =
        log.open_channel(from.edge, from.sender, valve_.watermark_of(i), valve_.is_idle(i));
    for (const Element& element : from.elements) {
      log.add(to, element);
    }
  }
}

}  // namespace weir::runtime
