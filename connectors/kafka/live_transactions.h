#pragma once

#include <map>
#include <memory>
#include <mutex>

#include "kafka/producer_handle.h"
#include "kafka/transaction_pool.h"

namespace weir::kafka {

/// A prepared transaction whose producer still lives in this process, and the slot it occupies.
class LiveTransaction {
 public:
  LiveTransaction(std::shared_ptr<ProducerHandle> handle, std::shared_ptr<TransactionPool> pool,
                  int slot)
      : handle_(std::move(handle)), pool_(std::move(pool)), slot_(slot) {}

  /// Held while one thread ends the transaction.
  std::mutex& mutex() { return mutex_; }
  ProducerHandle& handle() { return *handle_; }
  /// Destroys the producer and gives the slot back: the transaction's outcome is proved.
  /// REQUIRES: mutex() is held by the caller; called once.
  void finish() {
    handle_.reset();
    pool_->release(slot_);
  }
  bool is_finished() const { return handle_ == nullptr; }
  /// Destroys the producer and leaves its transaction as it is. REQUIRES: mutex() is held.
  void abandon() { pool_->dispose(std::move(handle_)); }

 private:
  std::mutex mutex_;
  std::shared_ptr<ProducerHandle> handle_;
  std::shared_ptr<TransactionPool> pool_;
  int slot_;
};

/// Where the committer finds the producers that writers of the same process prepared, by identity.
/// An entry is a shortcut only: whoever does not find one commits through the recovery client.
class LiveTransactions {
 public:
  static LiveTransactions& instance();

  void put(const ProducerIdentity& identity, std::shared_ptr<LiveTransaction> transaction);
  std::shared_ptr<LiveTransaction> find(const ProducerIdentity& identity);
  void remove(const ProducerIdentity& identity);

 private:
  struct Earlier {
    bool operator()(const ProducerIdentity& a, const ProducerIdentity& b) const;
  };
  std::mutex mutex_;
  std::map<ProducerIdentity, std::shared_ptr<LiveTransaction>, Earlier> transactions_;
};

/// Keeps two running sinks of this process from using one prefix. Released when it goes away.
class PrefixClaim {
 public:
  /// `owner` = who claims it; the same owner may claim it again.
  static Result<std::shared_ptr<PrefixClaim>> take(const std::string& prefix,
                                                   const std::string& owner);
  ~PrefixClaim();
  PrefixClaim(const PrefixClaim&) = delete;
  PrefixClaim& operator=(const PrefixClaim&) = delete;

 private:
  explicit PrefixClaim(std::string prefix) : prefix_(std::move(prefix)) {}
  std::string prefix_;
};

}  // namespace weir::kafka
