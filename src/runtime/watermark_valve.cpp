#include "runtime/watermark_valve.h"

#include <algorithm>

#include "base/planted_bug.h"

namespace weir::runtime {

WatermarkValve::WatermarkValve(std::size_t input_count) : inputs_(input_count) {}

WatermarkValve::Change WatermarkValve::on_watermark(std::size_t input, TimestampMs watermark) {
  Input& in = inputs_[input];
  if (watermark == kMaxTimestamp) {
    return on_end(input);
  }
  if (in.has_ended || in.is_idle || watermark <= in.watermark) {
    return {};
  }
  in.watermark = watermark;
  in.is_aligned = in.is_aligned || watermark >= current_;
  return update();
}

WatermarkValve::Change WatermarkValve::on_idle(std::size_t input) {
  Input& in = inputs_[input];
  if (in.has_ended || in.is_idle) {
    return {};
  }
  in.is_idle = true;
  in.is_aligned = false;
  return update();
}

WatermarkValve::Change WatermarkValve::on_active(std::size_t input) {
  Input& in = inputs_[input];
  if (!in.is_idle) {
    return {};
  }
  in.is_idle = false;
  in.is_aligned = in.watermark >= current_ || planted_bug("J1");
  return update();
}

WatermarkValve::Change WatermarkValve::on_end(std::size_t input) {
  Input& in = inputs_[input];
  if (in.has_ended) {
    return {};
  }
  in.has_ended = !planted_bug("J4");
  in.is_idle = false;
  return update();
}

WatermarkValve::Change WatermarkValve::update() {
  Change change;
  TimestampMs lowest = kMaxTimestamp;
  TimestampMs highest = kMinTimestamp;
  bool have_all_ended = true;
  bool is_any_active = false;
  bool is_any_aligned = false;
  for (const Input& in : inputs_) {
    if (in.has_ended) {
      continue;
    }
    have_all_ended = false;
    is_any_active = is_any_active || !in.is_idle;
    highest = std::max(highest, in.watermark);
    if (in.is_aligned && !in.is_idle) {
      lowest = std::min(lowest, in.watermark);
      is_any_aligned = true;
    }
  }
  const bool are_all_idle = !have_all_ended && !is_any_active;
  if (have_all_ended) {
    raise(kMaxTimestamp, change);
  } else if (are_all_idle) {
    raise(highest, change);
  } else if (is_any_aligned) {
    raise(lowest, change);
  }
  if (are_all_idle != is_idle_) {
    is_idle_ = are_all_idle;
    change.is_idle = are_all_idle;
  }
  return change;
}

void WatermarkValve::raise(TimestampMs watermark, Change& change) {
  if (watermark > current_) {
    current_ = watermark;
    change.watermark = watermark;
  }
}

}  // namespace weir::runtime
