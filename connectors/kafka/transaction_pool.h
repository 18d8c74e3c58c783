#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "kafka/producer_handle.h"
#include "weir/sink.h"

namespace weir::kafka {

/// The transactional ids of one sink subtask and the producers made for them ahead of time, so
/// that neither a record nor a barrier ever waits for a broker.
///
/// A slot goes: being made -> ready -> taken -> (its transaction was ended) being made again. It is
/// not made again before release(): until then a committable may name its id, and initialising the
/// id would abort that transaction.
///
/// Starts with `slot_count` slots and adds one whenever all of them are taken: otherwise prepared
/// epochs of checkpoints that failed would hold every slot, no barrier could pass, and nothing
/// would ever free them.
class TransactionPool : public std::enable_shared_from_this<TransactionPool> {
 public:
  struct Options {
    Properties properties;
    std::string prefix;
    int subtask = 0;
    int slot_count = 3;
    int slot_count_max = 64;
  };
  struct Taken {
    int slot = -1;
    std::shared_ptr<ProducerHandle> handle;  ///< null when none is ready
  };

  TransactionPool(Options options, BlockingExecutor run_blocking, std::shared_ptr<Waker> waker);

  /// Begins to make producers for all slots.
  void start();
  Taken take();
  /// The slot's transaction was ended: make a new producer for its id. Any thread.
  void release(int slot);
  /// The first failure to make a producer; for ever.
  Status error() const;
  /// Ids that were or may soon be used.
  std::vector<std::string> transactional_ids() const;
  /// Makes no further producers and drops the ready ones.
  void close();
  /// Runs `work` on the I/O executor, also when the pool is closed meanwhile.
  void run(std::function<void()> work);
  /// Waits until the I/O executor has nothing of this pool any more; false after `timeout_ms`.
  bool wait_idle(int timeout_ms);
  /// Destroys a producer away from the task's thread.
  void dispose(std::shared_ptr<ProducerHandle> handle);

 private:
  enum class SlotState { kMaking, kReady, kTaken };
  struct Slot {
    SlotState state = SlotState::kMaking;
    std::shared_ptr<ProducerHandle> handle;
    int failures = 0;
  };

  void make(int slot);
  void make_step(int slot, std::shared_ptr<ProducerHandle> handle);
  void fail(Error error);
  bool is_closed() const;

  const Options options_;
  const BlockingExecutor run_blocking_;
  const std::shared_ptr<Waker> waker_;

  mutable std::mutex mutex_;
  std::condition_variable idle_;
  int pending_ = 0;  ///< handed to the executor and not finished
  bool is_closed_ = false;
  Status error_;
  std::vector<Slot> slots_;
};

}  // namespace weir::kafka
