#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "state/rocksdb/scratch_value.h"
#include "weir/state_table.h"

namespace weir::state {

/// Timers in a table by time: a namespace per kTimersPerBucket milliseconds, in which a key is
/// (timestamp, namespace, key) and stands for itself. Only the first of these buckets is in memory
/// as a whole, in a binary heap; the others are where the table keeps them.
///
/// Invariant: while the head is loaded, every timer of its bucket has at least one node in it. A
/// node without a timer in the table was removed or taken already and is skipped.
class RocksTimerQueue final : public TimerQueue {
 public:
  static StateTableDescriptor descriptor(std::string name);
  static StateNamespace bucket_of(std::int64_t timestamp) { return timestamp >> kBucketBits; }

  /// `table` was opened with descriptor() and outlives the queue. Timers in it are in the queue.
  RocksTimerQueue(StateTable& table, const TypeOps& key);

  void add(std::int64_t timestamp, StateNamespace ns, const void* key, std::uint32_t hash) override;
  void remove(std::int64_t timestamp, StateNamespace ns, const void* key,
              std::uint32_t hash) override;
  std::int64_t next_timestamp() override;
  bool pop(std::int64_t now, Timer& timer) override;
  std::size_t size() const override { return size_; }
  /// About what the queue takes, and the table for its namespaces; the table's values not.
  std::size_t memory_bytes() const {
    return buckets_.size() * kBucketBytes + head_.capacity() * (sizeof(Node) + kTimerBytes);
  }

 private:
  static constexpr int kBucketBits = 10;
  /// Of a bucket here and in the table, measured: 0.7 GB for 2.5 million.
  static constexpr std::size_t kBucketBytes = 280;
  static constexpr std::size_t kTimerBytes = 48;  ///< what Node::timer owns
  struct Node {
    std::int64_t timestamp;
    std::uint32_t hash;
    std::string timer;  ///< the key in the table
  };
  static bool fires_later(const Node& a, const Node& b) { return a.timestamp > b.timestamp; }

  const std::string& encode(std::int64_t timestamp, StateNamespace ns, const void* key);
  /// Loads the first bucket and drops nodes without a timer. False when no timer is left.
  bool settle_head();
  void pop_node();
  void erase(StateNamespace bucket, const std::string& timer, std::uint32_t hash);

  StateTable& table_;
  const TypeOps& key_;
  std::size_t size_ = 0;
  std::set<StateNamespace> buckets_;  ///< that have timers
  bool is_head_loaded_ = false;
  bool is_top_settled_ = false;
  StateNamespace head_bucket_ = 0;
  std::vector<Node> head_;
  std::string scratch_;
  ScratchValue popped_key_;
};

/// A timer as RocksTimerQueue's table has it.
struct TimerByTime {
  std::int64_t timestamp = 0;
  StateNamespace ns = 0;
  std::string_view key;  ///< encoded

  void encode(std::string& out) const;
  /// False if it is none.
  static bool parse(std::string_view bytes, TimerByTime& out);
};

}  // namespace weir::state
