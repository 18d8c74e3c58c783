#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "weir/configuration.h"
#include "weir/result.h"

namespace weir::runtime {

/// Bytes that threads draw from together. What is in memory already is taken in any case; whoever
/// could make more asks is_exhausted() first.
class MemoryPool {
 public:
  explicit MemoryPool(std::int64_t limit_bytes) : limit_(limit_bytes) {}

  void take(std::int64_t bytes) {
    const std::int64_t used = used_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
    if (used > peak_.load(std::memory_order_relaxed)) {
      peak_.store(used, std::memory_order_relaxed);  // between two threads the lesser may win
    }
  }
  void give_back(std::int64_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }

  bool is_exhausted() const { return used() >= limit_; }
  std::int64_t used() const { return used_.load(std::memory_order_relaxed); }
  std::int64_t peak() const { return peak_.load(std::memory_order_relaxed); }
  std::int64_t limit() const { return limit_; }

 private:
  const std::int64_t limit_;
  std::atomic<std::int64_t> used_{0};
  std::atomic<std::int64_t> peak_{0};
};

/// A part of a pool that is given back with its owner. Without a pool it counts nothing.
class MemoryLease {
 public:
  explicit MemoryLease(MemoryPool* pool = nullptr) : pool_(pool) {}
  MemoryLease(MemoryLease&& other) noexcept
      : pool_(other.pool_), bytes_(std::exchange(other.bytes_, 0)) {}
  MemoryLease& operator=(MemoryLease&& other) noexcept {
    if (this != &other) {
      release();
      pool_ = other.pool_;
      bytes_ = std::exchange(other.bytes_, 0);
    }
    return *this;
  }
  ~MemoryLease() { release(); }

  void grow(std::int64_t bytes) {
    if (pool_ != nullptr) {
      pool_->take(bytes);
      bytes_ += bytes;
    }
  }
  void release() {
    if (bytes_ != 0) {
      pool_->give_back(std::exchange(bytes_, 0));
    }
  }

 private:
  MemoryPool* pool_;
  std::int64_t bytes_ = 0;
};

/// How the memory of the process is divided, in bytes.
struct MemorySettings {
  std::int64_t process = 0;     ///< all of it
  std::int64_t network = 0;     ///< records between tasks
  std::int64_t connectors = 0;  ///< queues of clients
  std::int64_t rocksdb = 0;     ///< 0: another state backend
};

/// kInvalidArgument, naming the settings, when the parts leave nothing for the rest.
Result<MemorySettings> memory_settings_of(const Configuration& configuration);

/// The memory of the process. Fixed parts are for records between tasks, for the queues of clients
/// and for RocksDB; the rest is for what nobody can put a limit to: state on the heap, what user
/// functions keep. Therefore the process is watched as a whole.
class MemoryBudget {
 public:
  /// `measure`: bytes the process takes; tests have their own.
  explicit MemoryBudget(const MemorySettings& settings,
                        std::function<std::int64_t()> measure = nullptr);

  MemoryPool& network() { return network_; }
  const MemoryPool& network() const { return network_; }
  /// For each of so many readers and writers.
  std::int64_t connector_share(int users) const;

  /// Measures, every kWatchIntervalNs at most. An error when the job has to give up: the limit is
  /// passed, or has nearly been reached for kPatienceNs although the sources waited. One thread.
  Status watch(std::int64_t now_ns);
  /// Sources are to wait. Any thread.
  bool is_tight() const { return is_tight_.load(std::memory_order_relaxed); }
  std::int64_t limit() const { return settings_.process; }
  std::int64_t used() const { return used_; }

  static constexpr std::int64_t kWatchIntervalNs = 50'000'000;
  static constexpr std::int64_t kPatienceNs = 30'000'000'000;

 private:
  Error error() const;

  const MemorySettings settings_;
  const std::function<std::int64_t()> measure_;
  MemoryPool network_;
  std::atomic<bool> is_tight_{false};
  std::int64_t used_ = 0;
  std::int64_t next_ns_ = 0;
  std::int64_t tight_since_ns_ = 0;
};

}  // namespace weir::runtime
