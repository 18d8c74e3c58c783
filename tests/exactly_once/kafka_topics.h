#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace crash {

/// Writes records to topics with plain librdkafka, without weir.
struct InputPlan {
  std::string bootstrap;
  std::string topic;
  int partitions = 1;
  std::uint64_t seed = 0;
  std::uint32_t keys = 0;
  std::uint64_t first = 0;  ///< index of the first event
  std::uint64_t count = 0;
  /// 0 = no transactions. Else so many events per transaction, and after each one an aborted
  /// transaction of junk: control records and aborted records leave holes in the offsets.
  std::uint64_t per_transaction = 0;
};

/// Writes events at a steady pace in a thread of its own until it is told to stop: the stream that
/// a job is killed on.
class LiveInput {
 public:
  /// `plan.count`: at most so many.
  LiveInput(const InputPlan& plan, double per_second);
  ~LiveInput() { stop(); }
  LiveInput(const LiveInput&) = delete;
  LiveInput& operator=(const LiveInput&) = delete;

  /// Returns when the broker has everything; how many events that is.
  std::uint64_t stop();

 private:
  void run(const InputPlan& plan, double per_second);

  std::atomic<bool> is_stopping_{false};
  std::uint64_t written_ = 0;  ///< the thread's until it ended
  std::thread thread_;
};

/// Writes the events, each key to one partition, in order; returns when the broker has them.
/// Aborts the test program when that fails.
void produce_events(const InputPlan& plan);
/// Writes values as they are to a partition.
void produce_values(const std::string& bootstrap, const std::string& topic, int partition,
                    const std::vector<std::string>& values);

}  // namespace crash
