#include "runtime/sink_driver.h"

#include "runtime/task_scope.h"

namespace weir::runtime {

SinkDriver::SinkDriver(const PlanOperator& plan, const TaskEnvironment& environment,
                       SubtaskInfo info, std::function<void()> wake)
    : plan_(plan),
      environment_(environment),
      info_(std::move(info)),
      wake_(std::move(wake)),
      records_in_(environment.metrics->group(metric_scope(info_)).counter("numRecordsIn")) {}

SinkDriver::~SinkDriver() {
  if (writer_ != nullptr) {
    writer_->close();
  }
}

Status SinkDriver::open(const std::vector<std::string>& restored_states) {
  SinkWriterContext context;
  context.subtask = info_;
  context.sink = environment_.sink_defaults;
  context.sink.sink_uid = info_.uid;
  context.sink.parallelism = info_.parallelism;
  context.metrics = &environment_.metrics->group(metric_scope(info_));
  context.run_blocking = [io = environment_.io](std::function<void()> work) {
    io->run(std::move(work));
  };
  context.wake = wake_;
  context.queue_bytes = connector_share(environment_);
  WEIR_ASSIGN(writer_, plan_.sink->create_writer(std::move(context), restored_states));
  return {};
}

Status SinkDriver::write(BatchPtr batch) {
  records_in_.add(static_cast<std::int64_t>(batch->size()));
  if (is_blocked()) {
    staged_.push_back(std::move(batch));
    return {};
  }
  return writer_->write(*batch);
}

Status SinkDriver::poll() {
  WEIR_TRY(writer_->poll());
  while (!staged_.empty() && writer_->can_write()) {
    const BatchPtr batch = std::move(staged_.front());
    staged_.pop_front();
    WEIR_TRY(writer_->write(*batch));
  }
  return {};
}

Status SinkDriver::begin_prepare(CheckpointId checkpoint) {
  WEIR_CHECK(staged_.empty());
  return writer_->begin_prepare(checkpoint);
}

Result<std::optional<std::vector<Committable>>> SinkDriver::poll_prepared(CheckpointId checkpoint) {
  return writer_->poll_prepared(checkpoint);
}

std::vector<std::string> SinkDriver::snapshot_state(CheckpointId checkpoint) {
  return writer_->snapshot_state(checkpoint);
}

}  // namespace weir::runtime
