#include "kafka/transactional_writer.h"
#include "weir/check.h"

namespace weir::kafka {

Result<std::unique_ptr<SinkWriter>> PlainWriter::create(const SinkOptions& options,
                                                        SinkWriterContext context) {
  auto waker = std::make_shared<Waker>(context.wake);
  Properties properties = options.properties;
  if (context.queue_bytes > 0) {
    limit_producer_queue(properties, context.queue_bytes / 2);
  }
  WEIR_ASSIGN(auto handle, ProducerHandle::create(std::move(properties), "", waker));
  return std::unique_ptr<SinkWriter>(
      new PlainWriter(options, std::move(context), std::move(waker), std::move(handle)));
}

PlainWriter::PlainWriter(const SinkOptions& options, SinkWriterContext context,
                         std::shared_ptr<Waker> waker, std::shared_ptr<ProducerHandle> handle)
    : options_(options),
      context_(std::move(context)),
      waker_(std::move(waker)),
      handle_(std::move(handle)) {
  if (context_.metrics != nullptr) {
    num_records_send_ = &context_.metrics->counter("numRecordsSend");
    num_bytes_send_ = &context_.metrics->counter("numBytesSend");
  }
}

PlainWriter::~PlainWriter() { close(); }

Status PlainWriter::poll() {
  if (handle_ == nullptr) {
    return {};
  }
  handle_->poll();
  WEIR_TRY(handle_->error());
  return produce_retained();
}

bool PlainWriter::can_write() {
  return handle_ != nullptr && handle_->error().ok() && retained_begin_ >= retained_.size();
}

Status PlainWriter::write(const Batch& batch) {
  WEIR_CHECK_MESSAGE(retained_begin_ >= retained_.size(), "write() without can_write()");
  retained_begin_ = 0;
  retained_counter_ = counter_;
  WEIR_TRY(options_.serialize(batch, retained_));
  return produce_retained();
}

Status PlainWriter::produce_retained() {
  const std::size_t begin = retained_begin_;
  std::int64_t bytes = 0;
  while (retained_begin_ < retained_.size()) {
    const Record& record = retained_[retained_begin_];
    WEIR_ASSIGN(const ProducerHandle::Produced produced,
                handle_->produce(record, options_.topic, retained_counter_.get()));
    if (produced == ProducerHandle::Produced::kQueueFull) {
      handle_->poll();
      break;
    }
    bytes += static_cast<std::int64_t>(record.value.size());
    ++retained_begin_;
  }
  if (num_records_send_ != nullptr) {
    num_records_send_->add(static_cast<std::int64_t>(retained_begin_ - begin));
    num_bytes_send_->add(bytes);
  }
  return {};
}

Status PlainWriter::begin_prepare(CheckpointId checkpoint) {
  // Under kNone nobody waits for the counters, so they are forgotten here once nothing refers to
  // them.
  std::erase_if(preparing_, [&](const auto& entry) {
    return options_.guarantee == DeliveryGuarantee::kNone &&
           entry.second->outstanding.load() == 0 && entry.second != retained_counter_;
  });
  preparing_[checkpoint] = std::exchange(counter_, std::make_shared<EpochCounter>());
  return {};
}

Result<std::optional<std::vector<Committable>>> PlainWriter::poll_prepared(
    CheckpointId checkpoint) {
  using Prepared = std::optional<std::vector<Committable>>;
  WEIR_TRY(poll());
  const auto found = preparing_.find(checkpoint);
  WEIR_CHECK_MESSAGE(found != preparing_.end(), "poll_prepared() without begin_prepare()");
  const bool has_rest = retained_begin_ < retained_.size() && retained_counter_ == found->second;
  const bool is_flushed = !has_rest && found->second->outstanding.load() == 0;
  // An error reported with the last delivery: looked at after the count, so none is overlooked.
  WEIR_TRY(handle_->error());
  if (is_flushed) {
    preparing_.erase(found);
    return Prepared(std::vector<Committable>{});
  }
  if (options_.guarantee == DeliveryGuarantee::kNone && !has_rest) {
    // No promise is made: the barrier does not wait. The counter stays for its delivery reports.
    return Prepared(std::vector<Committable>{});
  }
  return Prepared();
}

void PlainWriter::close() {
  waker_->disarm();
  if (handle_ == nullptr || !context_.run_blocking) {
    return;
  }
  // Destroying a producer joins its threads, and delivery reports refer to the counters until then.
  context_.run_blocking([handle = std::move(handle_), counter = counter_,
                         retained = retained_counter_, preparing = preparing_]() mutable {
    handle.reset();
    preparing.clear();
  });
}

}  // namespace weir::kafka
