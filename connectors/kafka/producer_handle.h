#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "kafka/protocol.h"
#include "kafka/rd_client.h"
#include "kafka/record.h"
#include "kafka/recovery_client.h"
#include "kafka/transaction_outcome.h"
#include "weir/result.h"

namespace weir::kafka {

/// Records of one epoch that the broker has not acknowledged yet.
struct EpochCounter {
  std::atomic<std::int64_t> outstanding{0};
};

/// One librdkafka producer, and, with a transactional id, the one transaction it ever carries:
/// a handle that committed is thrown away, so that a late EndTxn can hit no later transaction.
///
/// The first asynchronous error is kept for ever: error() returns it, and every call after it
/// fails. One thread at a time uses a handle; any other may poll() (a process-wide poller does, so
/// that delivery reports and statistics are served while the task sleeps).
class ProducerHandle {
 public:
  /// `transactional_id` empty = an ordinary idempotent producer. Does not block.
  static Result<std::shared_ptr<ProducerHandle>> create(Properties properties,
                                                        const std::string& transactional_id,
                                                        std::shared_ptr<Waker> waker);
  ~ProducerHandle();
  ProducerHandle(const ProducerHandle&) = delete;
  ProducerHandle& operator=(const ProducerHandle&) = delete;

  /// Takes over the id from whoever held it. Blocks up to `timeout_ms`; kUnavailable and kTimeout
  /// mean: call again.
  Status init_transactions(int timeout_ms);
  /// Local; the broker learns of the transaction with the first record.
  Status begin();

  enum class Produced { kAccepted, kQueueFull };
  /// Never blocks. kQueueFull: poll and offer the same record again; the waker fires on change.
  Result<Produced> produce(const Record& record, const std::string& default_topic,
                           EpochCounter* counter);
  /// Serves callbacks without waiting.
  void poll();
  /// Records handed over and not acknowledged.
  int outstanding() const;
  /// Waits up to `timeout_ms` until nothing is outstanding; true when that is so.
  bool flush(int timeout_ms);

  /// Writes the marker into the open transaction; blocks up to `timeout_ms`.
  Status send_marker(const MarkerPlace& place, const Marker& marker, int timeout_ms);
  /// The identity of the open transaction from statistics that are newer than this call; nothing
  /// when `timeout_ms` passed. Blocks.
  std::optional<ProducerIdentity> confirm_identity(int timeout_ms);

  enum class Ended {
    kCommitted,
    kRetry,   ///< not decided yet; the same call may follow
    kBroken,  ///< the handle cannot tell; judge by stored identity and marker
  };
  /// Blocks up to `timeout_ms`. `detail` says what happened.
  Ended commit(int timeout_ms, std::string& detail);
  /// Rolls the open transaction back. Blocks up to `timeout_ms`.
  Status abort(int timeout_ms);

  /// The first error. Records given up with a broken transaction count, too, but what broke it is
  /// what is told.
  Status error();
  const std::string& transactional_id() const { return transactional_id_; }

 private:
  ProducerHandle(std::string transactional_id, std::shared_ptr<Waker> waker)
      : transactional_id_(std::move(transactional_id)), waker_(std::move(waker)) {}

  static void on_delivery(rd_kafka_t* client, const rd_kafka_message_t* message, void* self);
  static void on_error(rd_kafka_t* client, int code, const char* reason, void* self);
  static int on_statistics(rd_kafka_t* client, char* json, std::size_t size, void* self);
  static void on_queue(rd_kafka_t* client, void* self);

  void fail(Error error);
  Error transaction_error(rd_kafka_error_t* error, const std::string& doing);
  Status recorded_error() const;
  /// What broke the open transaction, recorded as the first error; success when nothing did.
  Status cause_of_broken_transaction(const std::string& doing);
  Result<rd_kafka_topic_t*> topic_handle(const std::string& name);
  bool has_new_statistics(std::int64_t since_us, ProducerIdentity& identity);

  std::string transactional_id_;
  std::shared_ptr<Waker> waker_;
  /// Somebody is held back by a full queue.
  std::atomic<bool> wants_wake_{false};
  std::atomic<bool> wants_statistics_{false};
  std::atomic<bool> has_error_{false};
  std::atomic<bool> was_purged_{false};
  bool is_aborted_ = false;  // by the thread that produces

  mutable std::mutex mutex_;  // guards the three below
  Status error_;
  std::int64_t statistics_at_us_ = -1;
  ProducerIdentity statistics_identity_;

  // Destroyed last to first: topics and queue before the client.
  RdPtr<rd_kafka_t> client_;
  RdPtr<rd_kafka_queue_t> main_queue_;
  std::map<std::string, RdPtr<rd_kafka_topic_t>> topics_;
};

}  // namespace weir::kafka
