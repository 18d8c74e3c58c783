#include "kafka/transactional_writer.h"

#include <algorithm>

#include "base/failpoint.h"
#include "weir/check.h"
#include "weir/codec.h"

namespace weir::kafka {
namespace {

/// An epoch's replay log is cut into chunks of about this size, each stored as one file.
constexpr std::int64_t kReplayChunkBytesMax = 16 << 20;
constexpr std::int64_t kReplayChunkBytesMin = 256 << 10;
/// Chunks that may be on their way to storage before the writer exerts back-pressure.
constexpr int kReplayChunksInFlightMax = 4;
constexpr int kCloseWaitMs = 800;

TransactionPool::Options pool_options(const SinkOptions& options,
                                      const SinkWriterContext& context) {
  TransactionPool::Options pool;
  pool.properties = options.properties;
  pool.properties.set("transaction.timeout.ms", std::to_string(transaction_timeout_ms(options)));
  if (context.queue_bytes > 0) {
    // Half of the memory; an epoch that is being flushed has a producer beside the next one's.
    limit_producer_queue(pool.properties, context.queue_bytes / 4);
  }
  pool.prefix = prefix_of(options, context.sink);
  pool.subtask = context.subtask.subtask;
  pool.slot_count = std::max(1, context.sink.max_concurrent_checkpoints) + 2;
  return pool;
}

/// The other half of the memory is for the chunks on their way and the one that is being filled.
std::size_t replay_chunk_bytes(const SinkWriterContext& context) {
  if (context.queue_bytes == 0) {
    return kReplayChunkBytesMax;
  }
  return static_cast<std::size_t>(
      std::clamp(context.queue_bytes / 2 / (kReplayChunksInFlightMax + 1), kReplayChunkBytesMin,
                 kReplayChunkBytesMax));
}

std::int64_t size_of(const Record& record) {
  return static_cast<std::int64_t>(record.value.size() +
                                   (record.key.has_value() ? record.key->size() : 0));
}

}  // namespace

TransactionalWriter::TransactionalWriter(const SinkOptions& options, SinkWriterContext context,
                                         std::shared_ptr<PrefixClaim> claim)
    : options_(options),
      context_(std::move(context)),
      claim_(std::move(claim)),
      replay_chunk_bytes_(replay_chunk_bytes(context_)),
      waker_(std::make_shared<Waker>(context_.wake)),
      pool_(std::make_shared<TransactionPool>(pool_options(options, context_),
                                              context_.run_blocking, waker_)) {
  if (context_.metrics != nullptr) {
    num_records_send_ = &context_.metrics->counter("numRecordsSend");
    num_bytes_send_ = &context_.metrics->counter("numBytesSend");
    num_records_send_errors_ = &context_.metrics->counter("numRecordsSendErrors");
  }
  pool_->start();
}

TransactionalWriter::~TransactionalWriter() { close(); }

Status TransactionalWriter::poll() {
  if (!error_.ok()) {
    return error_;
  }
  if (active_.handle != nullptr) {
    active_.handle->poll();
    error_ = active_.handle->error();
  }
  if (error_.ok() && active_.spool != nullptr) {
    error_ = active_.spool->error();
  }
  if (error_.ok()) {
    error_ = pool_->error();
  }
  if (error_.ok() && active_.handle != nullptr) {
    error_ = produce_retained();
  }
  if (!error_.ok() && num_records_send_errors_ != nullptr) {
    num_records_send_errors_->add();
  }
  return error_;
}

bool TransactionalWriter::can_write() {
  if (!error_.ok() || is_closed_) {
    return false;
  }
  if (last_prepare_ != nullptr && !last_prepare_->is_flushed()) {
    return false;  // Records of one key stay in order across epochs.
  }
  if (active_.handle == nullptr) {
    TransactionPool::Taken taken = pool_->take();
    active_.slot = taken.slot;
    active_.handle = std::move(taken.handle);
  }
  const bool is_log_behind =
      active_.spool != nullptr && active_.spool->in_flight() >= kReplayChunksInFlightMax;
  return active_.handle != nullptr && active_.retained_begin >= active_.retained.size() &&
         !is_log_behind;
}

Status TransactionalWriter::write(const Batch& batch) {
  WEIR_CHECK_MESSAGE(can_write(), "write() without can_write()");
  active_.retained_begin = 0;
  WEIR_TRY(options_.serialize(batch, active_.retained));
  if (!active_.has_begun && !active_.retained.empty()) {
    WEIR_TRY(active_.handle->begin());
    active_.has_begun = true;
    if (options_.keep_replay_log) {
      active_.spool = std::make_shared<ReplaySpool>(context_.sink.files, pool_, waker_);
    }
  }
  return produce_retained();
}

Status TransactionalWriter::produce_retained() {
  std::int64_t bytes = 0;
  std::int64_t count = 0;
  while (active_.retained_begin < active_.retained.size()) {
    const Record& record = active_.retained[active_.retained_begin];
    WEIR_ASSIGN(const ProducerHandle::Produced produced,
                active_.handle->produce(record, options_.topic, nullptr));
    if (produced == ProducerHandle::Produced::kQueueFull) {
      active_.handle->poll();
      break;
    }
    if (active_.spool != nullptr) {
      active_.replay_log.append(record);
    }
    bytes += size_of(record);
    ++count;
    ++active_.retained_begin;
  }
  active_.record_count += count;
  if (num_records_send_ != nullptr) {
    num_records_send_->add(count);
    num_bytes_send_->add(bytes);
  }
  if (active_.replay_log.pending_bytes() >= replay_chunk_bytes_) {
    active_.spool->add(active_.replay_log.take_chunk());
  }
  return {};
}

Status TransactionalWriter::begin_prepare(CheckpointId checkpoint) {
  WEIR_TRY(error_);
  WEIR_CHECK_MESSAGE(!prepares_.contains(checkpoint), "begin_prepare() twice for one checkpoint");
  // Prepared epochs are kept for close() only; whatever was committed meanwhile needs no cancel.
  while (prepares_.size() > 64) {
    prepares_.erase(prepares_.begin());
  }
  if (!active_.has_begun) {
    prepares_[checkpoint] = nullptr;  // The broker knows of no transaction: go on with the handle.
    return {};
  }
  EpochPrepare::Plan plan;
  plan.id = {context_.sink.sink_uid, context_.subtask.subtask, checkpoint, context_.sink.attempt,
             context_.sink.incarnation};
  plan.branch = branch_of(context_.sink.lineage, context_.sink.incarnation);
  plan.topic = options_.topic;
  plan.marker_group = marker_group(context_.sink, context_.subtask.subtask, active_.slot);
  plan.timeout_ms = transaction_timeout_ms(options_);
  auto prepare = std::make_shared<EpochPrepare>(std::move(plan), std::move(active_), pool_, waker_);
  active_ = Epoch{};
  prepares_[checkpoint] = prepare;
  last_prepare_ = prepare;
  prepare->start();
  return {};
}

Result<std::optional<std::vector<Committable>>> TransactionalWriter::poll_prepared(
    CheckpointId checkpoint) {
  using Prepared = std::optional<std::vector<Committable>>;
  WEIR_TRY(error_);
  const auto found = prepares_.find(checkpoint);
  WEIR_CHECK_MESSAGE(found != prepares_.end(), "poll_prepared() without begin_prepare()");
  if (found->second == nullptr) {
    return Prepared(std::vector<Committable>{});
  }
  std::optional<Result<Committable>> outcome = found->second->poll();
  if (!outcome.has_value()) {
    return Prepared();
  }
  if (!outcome->ok()) {
    error_ = outcome->error();
    return outcome->error();
  }
  kill_point("kafka.sink.after_prepare");
  return Prepared(std::vector<Committable>{std::move(*outcome).value()});
}

std::vector<std::string> TransactionalWriter::snapshot_state(CheckpointId /*checkpoint*/) {
  WriterState state;
  state.prefix = prefix_of(options_, context_.sink);
  state.subtask = context_.subtask.subtask;
  state.transactional_ids = pool_->transactional_ids();
  return {encode_value(state)};
}

void TransactionalWriter::close() {
  if (is_closed_) {
    return;
  }
  is_closed_ = true;
  waker_->disarm();
  for (const auto& [checkpoint, prepare] : prepares_) {
    if (prepare != nullptr) {
      prepare->cancel();
    }
  }
  if (active_.handle != nullptr) {
    // Rolled back at once, so that readers of the topic need not wait for a timeout.
    pool_->run([handle = std::move(active_.handle), has_begun = active_.has_begun]() mutable {
      if (has_begun) {
        static_cast<void>(handle->abort(kCloseWaitMs));
      }
      handle.reset();
    });
  }
  pool_->close();
  pool_->wait_idle(kCloseWaitMs);
}

}  // namespace weir::kafka
