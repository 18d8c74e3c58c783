#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "kafka/transaction_pool.h"
#include "weir/sink.h"

namespace weir::kafka {

/// Stores the replay log chunks of one epoch in checkpoint storage, in the background, so that an
/// epoch's output need not fit in memory.
class ReplaySpool : public std::enable_shared_from_this<ReplaySpool> {
 public:
  ReplaySpool(CheckpointFiles* files, std::shared_ptr<TransactionPool> pool,
              std::shared_ptr<Waker> waker)
      : files_(files), pool_(std::move(pool)), waker_(std::move(waker)) {}

  void add(std::string chunk);
  int in_flight() const;
  Status error() const;
  /// Names of the stored chunks, in order. REQUIRES: in_flight() == 0 and no error.
  std::vector<std::string> names() const;

 private:
  void store(std::size_t index, const std::string& chunk);

  CheckpointFiles* const files_;
  const std::shared_ptr<TransactionPool> pool_;
  const std::shared_ptr<Waker> waker_;
  mutable std::mutex mutex_;
  std::vector<std::string> names_;
  int in_flight_ = 0;
  Status error_;
};

}  // namespace weir::kafka
