#include "runtime/source_driver.h"

#include <algorithm>

#include "base/planted_bug.h"
#include "runtime/task_scope.h"

namespace weir::runtime {

SourceDriver::SourceDriver(const PlanOperator& plan, const TaskEnvironment& environment,
                           SubtaskInfo info, Output& output, std::function<void()> wake,
                           std::function<void()> request_split)
    : plan_(plan),
      environment_(environment),
      info_(std::move(info)),
      output_(output),
      wake_(std::move(wake)),
      request_split_(std::move(request_split)),
      records_out_(environment.metrics->group(metric_scope(info_)).counter("numRecordsOut")) {}

SourceDriver::~SourceDriver() {
  if (reader_ != nullptr) {
    reader_->close();
  }
}

Status SourceDriver::open(std::vector<SourceSplit> restored_splits) {
  SourceReaderContext context;
  context.subtask = info_;
  context.metrics = &environment_.metrics->group(metric_scope(info_));
  context.wake = wake_;
  context.queue_bytes = connector_share(environment_);
  context.request_split = request_split_;
  WEIR_ASSIGN(reader_, plan_.source->create_reader(std::move(context)));
  WEIR_TRY(reader_->start());
  return restored_splits.empty() ? Status() : add_splits(std::move(restored_splits));
}

Status SourceDriver::add_splits(std::vector<SourceSplit> splits) {
  for (const SourceSplit& added : splits) {
    (void)split(added.id);  // holds back the watermark from now on
  }
  return reader_->add_splits(std::move(splits));
}

SourceDriver::Split& SourceDriver::split(const std::string& id) {
  if (last_split_ != nullptr && last_split_id_ == id) {
    return *last_split_;
  }
  const auto [found, is_new] = splits_.try_emplace(id);
  if (is_new) {
    if (plan_.watermarks.create_generator != nullptr) {
      found->second.generator = plan_.watermarks.create_generator();
    }
    found->second.last_record_ns = environment_.clock->monotonic_ns();
  }
  last_split_id_ = id;
  last_split_ = &found->second;
  return found->second;
}

void SourceDriver::emit(const std::string& split_id, BatchPtr batch) {
  if (batch == nullptr || batch->empty()) {
    return;
  }
  if (plan_.watermarks.assign_timestamps != nullptr) {
    plan_.watermarks.assign_timestamps(*batch);
  }
  Split& from = split(split_id);
  from.has_new_records = true;
  if (from.generator != nullptr) {
    from.generator->on_events({batch->timestamps(), batch->size()});
  }
  records_out_.add(static_cast<std::int64_t>(batch->size()));
  output_.emit(std::move(batch));
}

void SourceDriver::split_finished(const std::string& split_id) {
  splits_.erase(split_id);
  last_split_ = nullptr;
}

SourceDriver::WatermarkUpdate SourceDriver::update_watermark(std::int64_t now_ns) {
  WatermarkUpdate update;
  if (plan_.watermarks.create_generator == nullptr) {
    return update;
  }
  const std::int64_t idle_timeout_ns = plan_.watermarks.idle_timeout.count() * 1'000'000;
  TimestampMs lowest = kMaxTimestamp;
  TimestampMs highest = kMinTimestamp;
  bool is_any_active = false;
  for (auto& [id, split] : splits_) {
    if (split.has_new_records) {
      split.last_record_ns = now_ns;
      split.has_new_records = false;
    }
    const std::int64_t quiet_since_ns = std::max(split.last_record_ns, blocked_until_ns_);
    split.is_idle = idle_timeout_ns > 0 && now_ns - quiet_since_ns >= idle_timeout_ns;
    const TimestampMs watermark = split.generator->current_watermark();
    highest = std::max(highest, watermark);
    if (!split.is_idle) {
      lowest = std::min(lowest, watermark);
      is_any_active = true;
    }
  }
  // A reader without splits is idle only where idleness is asked for; otherwise it may yet get one.
  const bool is_idle = !is_any_active && idle_timeout_ns > 0 && !planted_bug("J5");
  const TimestampMs combined =
      is_any_active ? lowest : (is_idle && !planted_bug("J6") ? highest : kMinTimestamp);
  if (combined > watermark_) {
    watermark_ = combined;
    update.watermark = combined;
  }
  update.is_idle = is_idle;
  update.has_idle_changed = is_idle != is_idle_;
  is_idle_ = is_idle;
  return update;
}

}  // namespace weir::runtime
