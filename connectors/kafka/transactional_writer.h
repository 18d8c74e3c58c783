#pragma once

#include <map>
#include <memory>

#include "kafka/epoch_prepare.h"
#include "kafka/live_transactions.h"
#include "kafka/sink_options.h"
#include "kafka/transaction_pool.h"

namespace weir::kafka {

/// The exactly-once writer of one subtask: one transaction per epoch, each by a producer of its
/// own out of a pool. No call waits for a broker.
class TransactionalWriter final : public SinkWriter {
 public:
  TransactionalWriter(const SinkOptions& options, SinkWriterContext context,
                      std::shared_ptr<PrefixClaim> claim);
  ~TransactionalWriter() override;

  Status write(const Batch& batch) override;
  bool can_write() override;
  Status poll() override;
  Status begin_prepare(CheckpointId checkpoint) override;
  Result<std::optional<std::vector<Committable>>> poll_prepared(CheckpointId checkpoint) override;
  std::vector<std::string> snapshot_state(CheckpointId checkpoint) override;
  void close() override;

 private:
  Status produce_retained();

  const SinkOptions options_;
  const SinkWriterContext context_;
  const std::shared_ptr<PrefixClaim> claim_;
  const std::size_t replay_chunk_bytes_;
  const std::shared_ptr<Waker> waker_;
  const std::shared_ptr<TransactionPool> pool_;

  Epoch active_;  ///< its handle is null while no producer is ready
  /// Being prepared, or prepared; null = the epoch was empty. Kept until close() for cancel().
  std::map<CheckpointId, std::shared_ptr<EpochPrepare>> prepares_;
  std::shared_ptr<EpochPrepare> last_prepare_;  ///< of the last epoch with records
  Status error_;
  bool is_closed_ = false;
  Counter* num_records_send_ = nullptr;
  Counter* num_bytes_send_ = nullptr;
  Counter* num_records_send_errors_ = nullptr;
};

/// The writer for kNone and kAtLeastOnce: one idempotent producer; the barrier waits (outside the
/// task's thread) until the broker acknowledged every record of the epoch.
class PlainWriter final : public SinkWriter {
 public:
  static Result<std::unique_ptr<SinkWriter>> create(const SinkOptions& options,
                                                    SinkWriterContext context);
  ~PlainWriter() override;

  Status write(const Batch& batch) override;
  bool can_write() override;
  Status poll() override;
  Status begin_prepare(CheckpointId checkpoint) override;
  Result<std::optional<std::vector<Committable>>> poll_prepared(CheckpointId checkpoint) override;
  void close() override;

 private:
  PlainWriter(const SinkOptions& options, SinkWriterContext context, std::shared_ptr<Waker> waker,
              std::shared_ptr<ProducerHandle> handle);
  Status produce_retained();

  const SinkOptions options_;
  const SinkWriterContext context_;
  const std::shared_ptr<Waker> waker_;
  /// Delivery reports refer to the counters: declared before the handle, so destroyed after it.
  std::shared_ptr<EpochCounter> counter_ = std::make_shared<EpochCounter>();
  std::map<CheckpointId, std::shared_ptr<EpochCounter>> preparing_;
  std::shared_ptr<ProducerHandle> handle_;

  std::vector<Record> retained_;
  std::size_t retained_begin_ = 0;
  std::shared_ptr<EpochCounter> retained_counter_;
  Counter* num_records_send_ = nullptr;
  Counter* num_bytes_send_ = nullptr;
};

}  // namespace weir::kafka
