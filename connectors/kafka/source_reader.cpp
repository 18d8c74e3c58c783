#include "kafka/source_reader.h"

#include <algorithm>
#include <array>

#include "base/log.h"
#include "weir/check.h"

namespace weir::kafka {
namespace {

constexpr std::size_t kMessagesPerRun = 1'024;
/// Partitions with data that one poll() serves before it gives the thread back.
constexpr int kRunsPerPoll = 4;
constexpr std::int64_t kMessagesBeforeBreaker = 1'000;

bool is_transient(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
         code == RD_KAFKA_RESP_ERR__RESOLVE || code == RD_KAFKA_RESP_ERR__TIMED_OUT;
}

ConsumedMessage to_consumed(const rd_kafka_message_t& message, const std::string& topic) {
  ConsumedMessage consumed;
  consumed.topic = topic;
  consumed.partition = message.partition;
  consumed.offset = message.offset;
  rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
  const std::int64_t timestamp = rd_kafka_message_timestamp(&message, &type);
  if (type != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && timestamp >= 0) {
    consumed.timestamp = timestamp;
  }
  if (message.key != nullptr) {
    consumed.key.emplace(static_cast<const char*>(message.key), message.key_len);
  }
  if (message.payload != nullptr) {
    consumed.value.emplace(static_cast<const char*>(message.payload), message.len);
  }
  consumed.native = &message;
  return consumed;
}

/// Messages that go back to the client when they are no longer looked at.
class Messages {
 public:
  explicit Messages(rd_kafka_queue_t* queue) {
    const ssize_t count = rd_kafka_consume_batch_queue(queue, 0, all_.data(), all_.size());
    count_ = count > 0 ? static_cast<std::size_t>(count) : 0;
  }
  ~Messages() {
    for (std::size_t i = 0; i < count_; ++i) {
      rd_kafka_message_destroy(all_[i]);
    }
  }
  Messages(const Messages&) = delete;
  Messages& operator=(const Messages&) = delete;
  std::span<rd_kafka_message_t* const> all() const { return {all_.data(), count_}; }

 private:
  std::array<rd_kafka_message_t*, kMessagesPerRun> all_;
  std::size_t count_ = 0;
};

}  // namespace

KafkaSourceReader::KafkaSourceReader(const SourceOptions& options, SourceReaderContext context)
    : options_(options),
      context_(std::move(context)),
      waker_(std::make_shared<Waker>(context_.wake)),
      collector_(*options_.record_type) {
  if (context_.metrics != nullptr) {
    num_records_in_errors_ = &context_.metrics->counter("numRecordsInErrors");
    commits_succeeded_ = &context_.metrics->counter("commitsSucceeded");
    commits_failed_ = &context_.metrics->counter("commitsFailed");
    pending_records_ = &context_.metrics->gauge("pendingRecords");
  }
}

KafkaSourceReader::~KafkaSourceReader() { close(); }

std::int64_t KafkaSourceReader::queue_kbytes(std::size_t partitions) const {
  // Counts per partition here; the client's default of 64 MB is meant for all of them.
  constexpr std::int64_t kMax = 4'096;
  constexpr std::int64_t kMin = 64;
  const auto count = static_cast<std::int64_t>(std::max<std::size_t>(1, partitions));
  return context_.queue_bytes == 0 ? kMax
                                   : std::clamp(context_.queue_bytes / 1'024 / count, kMin, kMax);
}

Result<RdPtr<rd_kafka_conf_t>> KafkaSourceReader::make_conf(std::int64_t queue_kbytes) {
  WEIR_ASSIGN(
      RdPtr<rd_kafka_conf_t> conf,
      make_rd_conf(options_.properties, {"group.id", "enable.auto.commit", "auto.offset.reset",
                                         "enable.partition.eof", "enable.auto.offset.store"}));
  const auto set_default = [&](const char* name, const std::string& value) {
    if (!options_.properties.contains(name)) {
      set_rd(conf.get(), name, value);
    }
  };
  set_default("isolation.level", "read_committed");
  set_default("queued.max.messages.kbytes", std::to_string(queue_kbytes));
  // What one answer of a broker may add to a queue; a larger message comes alone.
  set_default("fetch.message.max.bytes",
              std::to_string(std::min<std::int64_t>(1'024, queue_kbytes) * 1'024));
  set_default("check.crcs", "true");
  set_rd(conf.get(), "enable.auto.commit", "false");
  // An offset that is gone is data that is gone: an error, never a silent jump.
  set_rd(conf.get(), "auto.offset.reset", "error");
  set_rd(conf.get(), "enable.partition.eof", "true");
  if (!options_.group_id.empty()) {
    set_rd(conf.get(), "group.id", options_.group_id);
  }
  return conf;
}

Status KafkaSourceReader::start() { return open_client(1); }

Status KafkaSourceReader::open_client(std::size_t partitions) {
  close_client();
  queue_kbytes_ = queue_kbytes(partitions);
  WEIR_ASSIGN(RdPtr<rd_kafka_conf_t> conf, make_conf(queue_kbytes_));
  rd_kafka_conf_set_opaque(conf.get(), this);
  rd_kafka_conf_set_error_cb(conf.get(), on_error);
  rd_kafka_conf_set_offset_commit_cb(conf.get(), on_commit);
  char text[512] = "";
  client_.reset(rd_kafka_new(RD_KAFKA_CONSUMER, conf.get(), text, sizeof(text)));
  if (client_ == nullptr) {
    return Error{ErrorCode::kInvalidArgument,
                 "kafka: consumer: " + options_.properties.masked(text)};
  }
  static_cast<void>(conf.release());
  for (Partition& partition : partitions_) {
    WEIR_TRY(open_partition(partition));
  }
  return {};
}

void KafkaSourceReader::on_error(rd_kafka_t* client, int code, const char* reason, void* self) {
  auto* const reader = static_cast<KafkaSourceReader*>(self);
  auto error = static_cast<rd_kafka_resp_err_t>(code);
  if (is_transient(error) || !reader->error_.ok()) {
    return;
  }
  char text[512] = "";
  if (error == RD_KAFKA_RESP_ERR__FATAL) {
    error = rd_kafka_fatal_error(client, text, sizeof(text));
    reader->error_ = rd_error(error, "the consumer is dead", text);
  } else if (error == RD_KAFKA_RESP_ERR__AUTHENTICATION) {
    reader->error_ = rd_error(error, "the consumer cannot log in", reason);
  } else {
    log().warn("kafka consumer: {}: {}", rd_kafka_err2name(error), reason);
  }
}

void KafkaSourceReader::on_commit(rd_kafka_t* /*client*/, rd_kafka_resp_err_t code,
                                  rd_kafka_topic_partition_list_t* /*offsets*/, void* self) {
  auto* const reader = static_cast<KafkaSourceReader*>(self);
  Counter* const counter =
      code == RD_KAFKA_RESP_ERR_NO_ERROR ? reader->commits_succeeded_ : reader->commits_failed_;
  if (counter != nullptr) {
    counter->add();
  }
}

void KafkaSourceReader::on_queue(rd_kafka_t* /*client*/, void* self) {
  static_cast<KafkaSourceReader*>(self)->waker_->wake();
}

Status KafkaSourceReader::add_splits(std::vector<SourceSplit> splits) {
  WEIR_CHECK_MESSAGE(client_ != nullptr, "add_splits() before start()");
  const std::size_t before = partitions_.size();
  for (const SourceSplit& split : splits) {
    WEIR_ASSIGN(PartitionSplit decoded, from_source_split(split));
    Partition& partition = partitions_.emplace_back();
    partition.id = split_id(decoded);
    partition.split = std::move(decoded);
  }
  if (queue_kbytes(partitions_.size()) < queue_kbytes_) {
    // The size of the queues is the client's for good. Room for as many again, so that a topic that
    // grows partition by partition does not bring a new client each time.
    return open_client(before == 0 ? partitions_.size() : 2 * partitions_.size());
  }
  for (std::size_t i = before; i < partitions_.size(); ++i) {
    WEIR_TRY(open_partition(partitions_[i]));
  }
  return {};
}

Status KafkaSourceReader::open_partition(Partition& partition) {
  const bool is_at_end = partition.split.stop_offset != kNoStopOffset &&
                         partition.split.position >= partition.split.stop_offset;
  if (partition.is_finished || is_at_end) {
    partition.is_finished = true;
    waker_->wake();
    return {};
  }
  partition.topic.reset(rd_kafka_topic_new(client_.get(), partition.split.topic.c_str(), nullptr));
  if (partition.topic == nullptr) {
    return rd_error(rd_kafka_last_error(), "reading topic '" + partition.split.topic + "'");
  }
  partition.queue.reset(rd_kafka_queue_new(client_.get()));
  rd_kafka_queue_cb_event_enable(partition.queue.get(), on_queue, this);
  if (rd_kafka_consume_start_queue(partition.topic.get(), partition.split.partition,
                                   partition.split.position, partition.queue.get()) != 0) {
    return rd_error(rd_kafka_last_error(), "reading " + partition.id);
  }
  return {};
}

Result<PollResult> KafkaSourceReader::poll(SourceOutput& output) {
  rd_kafka_poll(client_.get(), 0);
  WEIR_TRY(error_);
  bool has_emitted = false;
  bool are_all_finished = true;
  int runs_left = kRunsPerPoll;
  for (std::size_t i = 0; i < partitions_.size() && runs_left > 0; ++i) {
    Partition& partition = partitions_[next_partition_];
    next_partition_ = (next_partition_ + 1) % partitions_.size();
    if (!partition.is_finished) {
      const Result<bool> emitted = read_partition(partition, output);
      if (!emitted.ok()) {
        error_ = emitted.error();
        return emitted.error();
      }
      has_emitted = has_emitted || emitted.value();
      runs_left -= emitted.value() ? 1 : 0;
    }
    if (partition.is_finished && !partition.is_reported) {
      partition.is_reported = true;
      output.split_finished(partition.id);
    }
  }
  if (has_emitted) {
    return PollResult::kMore;
  }
  for (const Partition& partition : partitions_) {
    are_all_finished = are_all_finished && partition.is_finished && partition.is_reported;
  }
  return are_all_finished && has_all_splits_ ? PollResult::kFinished : PollResult::kIdle;
}

Result<bool> KafkaSourceReader::read_partition(Partition& partition, SourceOutput& output) {
  const Messages raw(partition.queue.get());
  messages_.clear();
  std::int64_t position = partition.split.position;
  for (const rd_kafka_message_t* message : raw.all()) {
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      WEIR_TRY(take_event(partition, *message));
      position = std::max(position, partition.split.position);
      continue;
    }
    if (partition.split.stop_offset != kNoStopOffset &&
        message->offset >= partition.split.stop_offset) {
      partition.is_finished = true;
      break;
    }
    if (message->offset < position) {
      return Error{ErrorCode::kInternal, "kafka: " + partition.id + " went back from offset " +
                                             std::to_string(position) + " to " +
                                             std::to_string(message->offset)};
    }
    position = message->offset + 1;
    messages_.push_back(to_consumed(*message, partition.split.topic));
  }
  if (!messages_.empty()) {
    collector_.bad_records = 0;
    const Status parsed = options_.parse(messages_, collector_);
    if (!parsed.ok()) {
      return parsed.error();
    }
    WEIR_TRY(count_bad(static_cast<std::int64_t>(messages_.size()), collector_.bad_records));
  }
  // Position and output move together: a checkpoint between two polls sees both or neither.
  partition.split.position = std::max(partition.split.position, position);
  if (partition.split.stop_offset != kNoStopOffset &&
      partition.split.position >= partition.split.stop_offset) {
    partition.is_finished = true;
  }
  for (BatchPtr& batch : collector_.take()) {
    output.emit(partition.id, std::move(batch));
  }
  return !messages_.empty();
}

Status KafkaSourceReader::take_event(Partition& partition, const rd_kafka_message_t& message) {
  if (message.err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
    // The consumer stands behind what it does not deliver: transaction markers, aborted records.
    // A read with an end gets there by this alone when its tail holds nothing else.
    partition.split.position = std::max(partition.split.position, message.offset);
    return {};
  }
  if (is_transient(message.err)) {
    return {};
  }
  const char* const reason =
      message.payload == nullptr ? "" : static_cast<const char*>(message.payload);
  if (message.err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
      message.err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
    return Error{ErrorCode::kLost,
                 "kafka: offset " + std::to_string(partition.split.position) + " of " +
                     partition.id +
                     " is not on the broker any more; its retention is shorter than the time "
                     "the job was down (" +
                     reason + ")"};
  }
  return rd_error(message.err, "reading " + partition.id, reason);
}

Status KafkaSourceReader::count_bad(std::int64_t messages, std::int64_t bad) {
  messages_seen_ += messages;
  bad_seen_ += bad;
  if (bad > 0 && num_records_in_errors_ != nullptr) {
    num_records_in_errors_->add(bad);
  }
  const bool is_over = static_cast<double>(bad_seen_) >
                       options_.bad_record_share_max * static_cast<double>(messages_seen_);
  if (bad > 0 && messages_seen_ >= kMessagesBeforeBreaker && is_over) {
    return Error{ErrorCode::kUser, "kafka: " + std::to_string(bad_seen_) + " of " +
                                       std::to_string(messages_seen_) +
                                       " messages could not be deserialized, more than "
                                       "set_bad_record_share_max() allows"};
  }
  return {};
}

std::vector<SourceSplit> KafkaSourceReader::snapshot(CheckpointId checkpoint) {
  std::vector<SourceSplit> splits;
  Positions positions;
  for (const Partition& partition : partitions_) {
    positions.emplace_back(TopicPartition{partition.split.topic, partition.split.partition},
                           partition.split.position);
    if (!partition.is_finished) {
      splits.push_back(to_source_split(partition.split));
    }
  }
  if (!options_.group_id.empty() && options_.commit_offsets_on_checkpoint) {
    positions_at_[checkpoint] = std::move(positions);
    while (positions_at_.size() > 100) {
      positions_at_.erase(positions_at_.begin());
    }
  }
  report_pending();
  return splits;
}

void KafkaSourceReader::report_pending() {
  if (pending_records_ == nullptr) {
    return;
  }
  std::int64_t pending = 0;
  for (const Partition& partition : partitions_) {
    std::int64_t low = 0;
    std::int64_t high = 0;
    if (!partition.is_finished &&
        rd_kafka_get_watermark_offsets(client_.get(), partition.split.topic.c_str(),
                                       partition.split.partition, &low,
                                       &high) == RD_KAFKA_RESP_ERR_NO_ERROR) {
      pending += std::max<std::int64_t>(0, high - partition.split.position);
    }
  }
  pending_records_->set(pending);
}

void KafkaSourceReader::notify_checkpoint_complete(CheckpointId checkpoint) {
  const auto found = positions_at_.find(checkpoint);
  if (found != positions_at_.end() && !found->second.empty()) {
    const RdPtr<rd_kafka_topic_partition_list_t> offsets(
        rd_kafka_topic_partition_list_new(static_cast<int>(found->second.size())));
    for (const auto& [where, position] : found->second) {
      rd_kafka_topic_partition_list_add(offsets.get(), where.topic.c_str(), where.partition)
          ->offset = position;
    }
    // For tools that show lag; a restart never reads it. Hence a failure is only counted.
    if (rd_kafka_commit(client_.get(), offsets.get(), 1) != RD_KAFKA_RESP_ERR_NO_ERROR &&
        commits_failed_ != nullptr) {
      commits_failed_->add();
    }
  }
  positions_at_.erase(positions_at_.begin(), positions_at_.upper_bound(checkpoint));
}

void KafkaSourceReader::close() {
  waker_->disarm();
  close_client();
  partitions_.clear();
}

void KafkaSourceReader::close_client() {
  if (client_ == nullptr) {
    return;
  }
  for (Partition& partition : partitions_) {
    if (partition.queue != nullptr) {
      rd_kafka_queue_cb_event_enable(partition.queue.get(), nullptr, nullptr);
      rd_kafka_consume_stop(partition.topic.get(), partition.split.partition);
    }
    partition.queue.reset();
    partition.topic.reset();
  }
  client_.reset();
}

}  // namespace weir::kafka
