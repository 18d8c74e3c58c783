#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace crash {

/// A read_committed consumer of a whole topic in a thread of its own: sees what any reader of the
/// results sees, while the job is being killed. Survives the broker's death.
class CommittedReader {
 public:
  using OnValue = std::function<void(std::string_view value)>;

  CommittedReader(const std::string& bootstrap, const std::string& topic, int partitions,
                  OnValue on_value);
  ~CommittedReader();
  CommittedReader(const CommittedReader&) = delete;
  CommittedReader& operator=(const CommittedReader&) = delete;

  /// Waits until `count` records were seen; false after `timeout_ms`.
  bool wait_for(std::int64_t count, int timeout_ms);
  /// Waits until nothing came for two seconds.
  void wait_until_quiet();
  /// Waits until all partitions were read to their end (of committed records) once more.
  bool wait_for_end(int timeout_ms);
  std::int64_t seen() const { return seen_; }

 private:
  void run(const std::string& bootstrap, const std::string& topic);

  int partitions_;
  OnValue on_value_;
  std::atomic<std::int64_t> seen_{0};
  std::atomic<std::int64_t> ends_seen_{0};
  std::atomic<bool> is_stopping_{false};
  std::thread thread_;
};

}  // namespace crash
