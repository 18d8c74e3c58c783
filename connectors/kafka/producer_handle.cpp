#include "kafka/producer_handle.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <nlohmann/json.hpp>

#include "kafka/handle_poller.h"
#include "weir/check.h"

namespace weir::kafka {
namespace {

constexpr std::size_t kTopicsMax = 1'000;
constexpr int kFlushBurstMs = 5;
/// librdkafka's own default, 1 GiB, is more than many a process has.
constexpr std::int64_t kQueueBytesMax = 32 << 20;

/// The clock librdkafka stamps its statistics with.
std::int64_t client_clock_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

bool is_transient(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
         code == RD_KAFKA_RESP_ERR__RESOLVE || code == RD_KAFKA_RESP_ERR__TIMED_OUT;
}

bool is_purge(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR__PURGE_QUEUE || code == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT;
}

}  // namespace

Result<std::shared_ptr<ProducerHandle>> ProducerHandle::create(Properties properties,
                                                               const std::string& transactional_id,
                                                               std::shared_ptr<Waker> waker) {
  limit_producer_queue(properties, kQueueBytesMax);
  WEIR_ASSIGN(RdPtr<rd_kafka_conf_t> conf,
              make_rd_conf(properties, {"transactional.id", "enable.idempotence",
                                        "statistics.interval.ms", "enable.gapless.guarantee"}));
  std::shared_ptr<ProducerHandle> handle(new ProducerHandle(transactional_id, std::move(waker)));
  set_rd(conf.get(), "enable.idempotence", "true");
  if (!properties.contains("linger.ms") && !properties.contains("queue.buffering.max.ms")) {
    set_rd(conf.get(), "linger.ms", "2");
  }
  if (!transactional_id.empty()) {
    set_rd(conf.get(), "transactional.id", transactional_id);
    // The only way to learn producer id and epoch; the interval is part of every checkpoint's time.
    set_rd(conf.get(), "statistics.interval.ms", "50");
    rd_kafka_conf_set_stats_cb(conf.get(), on_statistics);
  }
  rd_kafka_conf_set_opaque(conf.get(), handle.get());
  rd_kafka_conf_set_dr_msg_cb(conf.get(), on_delivery);
  rd_kafka_conf_set_error_cb(conf.get(), on_error);
  char text[512] = "";
  handle->client_.reset(rd_kafka_new(RD_KAFKA_PRODUCER, conf.get(), text, sizeof(text)));
  if (handle->client_ == nullptr) {
    return Error{ErrorCode::kInvalidArgument, "kafka: producer: " + properties.masked(text)};
  }
  static_cast<void>(conf.release());  // the client owns it now
  handle->main_queue_.reset(rd_kafka_queue_get_main(handle->client_.get()));
  rd_kafka_queue_cb_event_enable(handle->main_queue_.get(), on_queue, handle.get());
  HandlePoller::instance().add(handle);
  return handle;
}

ProducerHandle::~ProducerHandle() {
  if (client_ == nullptr) {
    return;
  }
  rd_kafka_queue_cb_event_enable(main_queue_.get(), nullptr, nullptr);
  // Without this, destroying waits for what is still queued. Not RD_KAFKA_PURGE_F_NON_BLOCKING: the
  // client's main thread frees the text of a fatal error when it ends, and a broker thread that
  // then reads one more refusal of a request under way frees it again (rd_kafka_txns_term and
  // rd_kafka_txn_set_fatal_error of librdkafka 2.0).
  rd_kafka_purge(client_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
}

void ProducerHandle::on_delivery(rd_kafka_t* /*client*/, const rd_kafka_message_t* message,
                                 void* self) {
  auto* const handle = static_cast<ProducerHandle*>(self);
  if (is_purge(message->err)) {
    // Something else broke the transaction, and this record went with it: error() finds out what.
    if (!handle->was_purged_.exchange(true)) {
      handle->waker_->wake();
    }
  } else if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    handle->fail(rd_error(message->err, std::string("a record for topic ") +
                                            rd_kafka_topic_name(message->rkt) +
                                            " was not written"));
  }
  if (message->_private != nullptr) {
    static_cast<EpochCounter*>(message->_private)->outstanding.fetch_sub(1);
  }
}

void ProducerHandle::on_error(rd_kafka_t* client, int code, const char* reason, void* self) {
  auto* const handle = static_cast<ProducerHandle*>(self);
  auto error = static_cast<rd_kafka_resp_err_t>(code);
  if (is_transient(error)) {
    return;  // The client reconnects; what does not arrive in time fails its delivery report.
  }
  char text[512] = "";
  if (error == RD_KAFKA_RESP_ERR__FATAL) {
    error = rd_kafka_fatal_error(client, text, sizeof(text));
    handle->fail(rd_error(error, "producer " + handle->transactional_id_ + " is dead", text));
  } else if (error == RD_KAFKA_RESP_ERR__AUTHENTICATION) {
    handle->fail(rd_error(error, "producer cannot log in", reason));
  }
}

int ProducerHandle::on_statistics(rd_kafka_t* /*client*/, char* json, std::size_t size,
                                  void* self) {
  auto* const handle = static_cast<ProducerHandle*>(self);
  if (!handle->wants_statistics_) {
    return 0;
  }
  const auto parsed = nlohmann::json::parse(json, json + size, nullptr, false);
  if (!parsed.is_object() || !parsed.contains("eos") || !parsed.contains("ts")) {
    return 0;
  }
  const auto& eos = parsed["eos"];
  if (eos.value("txn_state", "") != "InTransaction") {
    return 0;
  }
  const std::scoped_lock lock(handle->mutex_);
  handle->statistics_at_us_ = parsed.value("ts", std::int64_t{-1});
  handle->statistics_identity_ = {handle->transactional_id_,
                                  eos.value("producer_id", std::int64_t{-1}),
                                  eos.value("producer_epoch", std::int16_t{-1})};
  return 0;
}

void ProducerHandle::on_queue(rd_kafka_t* /*client*/, void* self) {
  auto* const handle = static_cast<ProducerHandle*>(self);
  if (handle->wants_wake_.exchange(false)) {
    handle->waker_->wake();
  }
}

void ProducerHandle::fail(Error error) {
  {
    const std::scoped_lock lock(mutex_);
    if (!error_.ok()) {
      return;
    }
    error_ = std::move(error);
    has_error_ = true;
  }
  waker_->wake();
}

Status ProducerHandle::error() {
  WEIR_TRY(recorded_error());
  if (!was_purged_) {
    return {};
  }
  const std::string doing = "a record was given up";
  WEIR_TRY(cause_of_broken_transaction(doing));
  fail(rd_error(RD_KAFKA_RESP_ERR__PURGE_QUEUE, doing));
  return recorded_error();
}

Status ProducerHandle::recorded_error() const {
  if (!has_error_) {
    return {};
  }
  const std::scoped_lock lock(mutex_);
  return error_;
}

Error ProducerHandle::transaction_error(rd_kafka_error_t* error, const std::string& doing) {
  const RdPtr<rd_kafka_error_t> owned(error);
  Error result = rd_error(rd_kafka_error_code(error),
                          doing + " with transactional id '" + transactional_id_ + "'",
                          rd_kafka_error_string(error));
  if (rd_kafka_error_is_retriable(error) != 0 && rd_kafka_error_is_fatal(error) == 0) {
    result.code = ErrorCode::kUnavailable;
  } else {
    fail(result);
  }
  return result;
}

Status ProducerHandle::init_transactions(int timeout_ms) {
  if (rd_kafka_error_t* error = rd_kafka_init_transactions(client_.get(), timeout_ms)) {
    return transaction_error(error, "initialising transactions");
  }
  return {};
}

Status ProducerHandle::begin() {
  WEIR_TRY(error());
  if (rd_kafka_error_t* error = rd_kafka_begin_transaction(client_.get())) {
    return transaction_error(error, "beginning a transaction");
  }
  return {};
}

Result<rd_kafka_topic_t*> ProducerHandle::topic_handle(const std::string& name) {
  const auto found = topics_.find(name);
  if (found != topics_.end()) {
    return found->second.get();
  }
  if (topics_.size() >= kTopicsMax) {
    topics_.clear();
  }
  RdPtr<rd_kafka_topic_t> topic(rd_kafka_topic_new(client_.get(), name.c_str(), nullptr));
  if (topic == nullptr) {
    return rd_error(rd_kafka_last_error(), "writing to topic '" + name + "'");
  }
  return (topics_[name] = std::move(topic)).get();
}

Result<ProducerHandle::Produced> ProducerHandle::produce(const Record& record,
                                                         const std::string& default_topic,
                                                         EpochCounter* counter) {
  WEIR_TRY(error());
  WEIR_ASSIGN(rd_kafka_topic_t* const topic,
              topic_handle(record.topic.empty() ? default_topic : record.topic));
  rd_kafka_headers_t* headers = nullptr;
  if (!record.headers.empty()) {
    headers = rd_kafka_headers_new(record.headers.size());
    for (const Header& header : record.headers) {
      rd_kafka_header_add(
          headers, header.name.data(), static_cast<ssize_t>(header.name.size()),
          header.value.has_value() ? header.value->data() : nullptr,
          header.value.has_value() ? static_cast<ssize_t>(header.value->size()) : 0);
    }
  }
  // A null pointer means a null value to librdkafka, so that empty ones need an address.
  const char* const value = record.is_tombstone ? nullptr : record.value.c_str();
  const char* const key = record.key.has_value() ? record.key->c_str() : nullptr;
  std::array<rd_kafka_vu_t, 8> parts{};
  std::size_t count = 0;
  parts[count].vtype = RD_KAFKA_VTYPE_RKT;
  parts[count++].u.rkt = topic;
  parts[count].vtype = RD_KAFKA_VTYPE_PARTITION;
  parts[count++].u.i32 = record.partition.value_or(RD_KAFKA_PARTITION_UA);
  parts[count].vtype = RD_KAFKA_VTYPE_VALUE;
  parts[count++].u.mem = {const_cast<char*>(value), record.is_tombstone ? 0 : record.value.size()};
  parts[count].vtype = RD_KAFKA_VTYPE_KEY;
  parts[count++].u.mem = {const_cast<char*>(key), record.key.has_value() ? record.key->size() : 0};
  parts[count].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
  parts[count++].u.i = RD_KAFKA_MSG_F_COPY;
  parts[count].vtype = RD_KAFKA_VTYPE_OPAQUE;
  parts[count++].u.ptr = counter;
  parts[count].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
  parts[count++].u.i64 = record.timestamp.value_or(0);
  if (headers != nullptr) {
    parts[count].vtype = RD_KAFKA_VTYPE_HEADERS;
    parts[count++].u.headers = headers;
  }
  if (counter != nullptr) {
    counter->outstanding.fetch_add(1);
  }
  rd_kafka_error_t* const error = rd_kafka_produceva(client_.get(), parts.data(), count);
  if (error == nullptr) {
    return Produced::kAccepted;
  }
  if (headers != nullptr) {
    rd_kafka_headers_destroy(headers);  // only a successful call takes them over
  }
  if (counter != nullptr) {
    counter->outstanding.fetch_sub(1);
  }
  if (rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
    rd_kafka_error_destroy(error);
    wants_wake_ = true;
    return Produced::kQueueFull;
  }
  const RdPtr<rd_kafka_error_t> owned(error);
  const std::string doing = std::string("writing to topic ") + rd_kafka_topic_name(topic);
  if (rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__STATE) {
    WEIR_TRY(cause_of_broken_transaction(doing));
  }
  Error failure = rd_error(rd_kafka_error_code(error), doing, rd_kafka_error_string(error));
  fail(failure);
  return failure;
}

Status ProducerHandle::cause_of_broken_transaction(const std::string& doing) {
  if (transactional_id_.empty() || is_aborted_) {
    return {};
  }
  poll();  // The delivery report of the record at fault names its topic, if it is there already.
  WEIR_TRY(recorded_error());
  // A broken transaction cannot begin again, and in saying so the client names the first error.
  const RdPtr<rd_kafka_error_t> cause(rd_kafka_begin_transaction(client_.get()));
  if (cause == nullptr || (rd_kafka_error_txn_requires_abort(cause.get()) == 0 &&
                           rd_kafka_error_is_fatal(cause.get()) == 0)) {
    return {};
  }
  fail(rd_error(rd_kafka_error_code(cause.get()), doing, rd_kafka_error_string(cause.get())));
  return recorded_error();  // what came first, if the poller served the report meanwhile
}

void ProducerHandle::poll() { rd_kafka_poll(client_.get(), 0); }

int ProducerHandle::outstanding() const { return rd_kafka_outq_len(client_.get()); }

bool ProducerHandle::flush(int timeout_ms) {
  // For as long as it takes what lingers to be sent. While it flushes and waits for the broker, the
  // client's thread spins (librdkafka issue 2565 and the like): waiting needs no flushing.
  rd_kafka_flush(client_.get(), std::min(timeout_ms, kFlushBurstMs));
  const Deadline deadline = deadline_after_ms(timeout_ms - kFlushBurstMs);
  while (outstanding() > 0) {
    if (std::chrono::steady_clock::now() >= deadline) {
      return false;
    }
    rd_kafka_poll(client_.get(), kFlushBurstMs);
  }
  return true;
}

Status ProducerHandle::send_marker(const MarkerPlace& place, const Marker& marker, int timeout_ms) {
  WEIR_TRY(error());
  const std::string metadata = marker_metadata(marker);
  const RdPtr<rd_kafka_topic_partition_list_t> offsets(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_t* const one =
      rd_kafka_topic_partition_list_add(offsets.get(), place.topic.c_str(), 0);
  one->offset = marker.checkpoint;
  // Freed by the list, hence from malloc.
  one->metadata = ::strdup(metadata.c_str());
  one->metadata_size = metadata.size();
  const RdPtr<rd_kafka_consumer_group_metadata_t> group(
      rd_kafka_consumer_group_metadata_new(place.group.c_str()));
  if (rd_kafka_error_t* error = rd_kafka_send_offsets_to_transaction(client_.get(), offsets.get(),
                                                                     group.get(), timeout_ms)) {
    return transaction_error(error, "writing the marker of group '" + place.group + "'");
  }
  return {};
}

bool ProducerHandle::has_new_statistics(std::int64_t since_us, ProducerIdentity& identity) {
  const std::scoped_lock lock(mutex_);
  if (statistics_at_us_ < since_us || statistics_identity_.producer_id < 0 ||
      statistics_identity_.producer_epoch < 0) {
    return false;
  }
  identity = statistics_identity_;
  return true;
}

std::optional<ProducerIdentity> ProducerHandle::confirm_identity(int timeout_ms) {
  const std::int64_t begin_us = client_clock_us();
  wants_statistics_ = true;
  ProducerIdentity identity;
  while (client_clock_us() < begin_us + std::int64_t{timeout_ms} * 1'000 && !has_error_ &&
         !was_purged_) {
    rd_kafka_poll(client_.get(), 10);
    if (has_new_statistics(begin_us, identity)) {
      wants_statistics_ = false;
      return identity;
    }
  }
  return std::nullopt;
}

ProducerHandle::Ended ProducerHandle::commit(int timeout_ms, std::string& detail) {
  rd_kafka_error_t* const error = rd_kafka_commit_transaction(client_.get(), timeout_ms);
  if (error == nullptr) {
    return Ended::kCommitted;
  }
  const RdPtr<rd_kafka_error_t> owned(error);
  detail = std::string("commit_transaction: ") + rd_kafka_error_name(error) + " (" +
           rd_kafka_error_string(error) + ")";
  const bool is_retriable = rd_kafka_error_is_retriable(error) != 0 &&
                            rd_kafka_error_is_fatal(error) == 0 &&
                            rd_kafka_error_txn_requires_abort(error) == 0;
  return is_retriable ? Ended::kRetry : Ended::kBroken;
}

Status ProducerHandle::abort(int timeout_ms) {
  is_aborted_ = true;
  if (rd_kafka_error_t* error = rd_kafka_abort_transaction(client_.get(), timeout_ms)) {
    return transaction_error(error, "aborting");
  }
  return {};
}

}  // namespace weir::kafka
