#pragma once

#include <atomic>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "kafka/committable.h"
#include "kafka/replay_log.h"
#include "kafka/replay_spool.h"
#include "kafka/transaction_pool.h"

namespace weir::kafka {

/// One epoch of one subtask: its open transaction, the records not handed to the producer yet, and
/// its replay log. Belongs to the writer until begin_prepare(), then to EpochPrepare.
struct Epoch {
  int slot = -1;
  std::shared_ptr<ProducerHandle> handle;
  bool has_begun = false;  ///< the transaction is open: at least one record was written
  std::int64_t record_count = 0;
  /// Serialized records the producer's queue had no room for; those from `retained_begin` on.
  std::vector<Record> retained;
  std::size_t retained_begin = 0;
  ReplayLogBuilder replay_log;
  std::shared_ptr<ReplaySpool> spool;  ///< null when no replay log is kept
};

/// Ends an epoch on the I/O executor: writes what is left, flushes, writes the marker, stores the
/// replay log, and takes the producer's identity from statistics newer than all this. Done only
/// when the broker holds every record.
class EpochPrepare : public std::enable_shared_from_this<EpochPrepare> {
 public:
  struct Plan {
    CommittableId id;
    LineageEntry branch;  ///< where the job's line branched off
    std::string topic;
    std::string marker_group;
    int timeout_ms = 60'000;
  };

  EpochPrepare(Plan plan, Epoch epoch, std::shared_ptr<TransactionPool> pool,
               std::shared_ptr<Waker> waker);

  void start();
  /// Nothing while it runs; then the committable or what went wrong.
  std::optional<Result<Committable>> poll();
  /// The broker holds every record. Until then no later record may be written: it comes from
  /// another producer and could be ahead of these in its partition.
  bool is_flushed() const { return is_flushed_.load(std::memory_order_acquire); }
  /// The writer goes away: what is not prepared yet is rolled back at the next opportunity, what is
  /// prepared loses its live producer and stays open for a commit by identity.
  void cancel();

 private:
  enum class Step { kWriteRest, kFlush, kMark, kStoreLog, kFinish };

  void run_slice();
  /// Each step: true when it is done, false to go on with it in a later slice.
  Result<bool> run_step();
  Result<bool> write_rest();
  Result<bool> flush();
  Status check_progress();
  Result<bool> mark();
  Result<bool> store_log();
  Result<Committable> finish();
  void roll_back();
  Error flush_timeout() const;
  bool is_cancelled();
  void complete(Result<Committable> outcome);

  const Plan plan_;
  const std::shared_ptr<TransactionPool> pool_;
  const std::shared_ptr<Waker> waker_;
  const Deadline deadline_;
  // Touched by one I/O thread at a time, in the order of the slices.
  Epoch epoch_;
  Step step_ = Step::kWriteRest;
  /// Fewest records not acknowledged at the end of a slice. The client counts its events, too.
  int outstanding_ = std::numeric_limits<int>::max();
  Deadline progress_until_;  ///< when one of them has to be acknowledged
  bool is_slow_noted_ = false;

  std::atomic<bool> is_flushed_{false};
  std::mutex mutex_;  // guards the three below
  ProducerIdentity prepared_identity_;
  bool is_cancelled_ = false;
  std::optional<Result<Committable>> outcome_;
};

}  // namespace weir::kafka
