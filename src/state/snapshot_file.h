#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "state/snapshot.h"

namespace weir::state {

/// The bytes of a file being written, in order. Called on an I/O thread, may block.
class SnapshotOutput {
 public:
  virtual ~SnapshotOutput() = default;
  virtual Status append(std::string_view bytes) = 0;
  /// Makes the file durable. Nothing follows.
  virtual Status close() = 0;
  /// Removes what was written; the outcome does not matter.
  virtual void discard() = 0;
};

/// A SnapshotSink that writes a file on I/O threads: parts wait in a queue, one job at a time
/// drains it.
///
/// Threads: SnapshotSink's functions on the task thread, `run` and `on_done` as described.
class SnapshotFile final : public SnapshotSink, public std::enable_shared_from_this<SnapshotFile> {
 public:
  struct Options {
    /// Executes a job on some I/O thread, soon. Called on the task thread.
    std::function<void(std::function<void()> job)> run;
    /// Called exactly once, on an I/O thread: the file is durable, or why it is not.
    std::function<void(Result<SnapshotFileInfo>)> on_done;
    /// Bytes that may wait to be written before has_room() says no.
    std::size_t in_flight_bytes_max = std::size_t{8} << 20;
  };

  static std::shared_ptr<SnapshotFile> create(std::unique_ptr<SnapshotOutput> output,
                                              Options options);

  bool has_room() override;
  void submit(std::string part) override;
  std::string recycle() override;
  void finish(std::uint64_t entries) override;
  void abandon(Error reason) override;
  bool has_failed() override;

 private:
  SnapshotFile(std::unique_ptr<SnapshotOutput> output, Options options);
  void schedule();
  void drain();
  void write_part(std::string& part);
  void complete();

  const Options options_;
  // Used by the one drain job only.
  std::unique_ptr<SnapshotOutput> output_;
  SnapshotFileInfo info_;

  std::mutex mutex_;  ///< guards all below
  std::deque<std::string> queue_;
  std::vector<std::string> free_;
  std::size_t in_flight_bytes_ = 0;
  std::optional<Error> error_;
  bool is_draining_ = false;
  bool is_ended_ = false;
  bool is_done_ = false;
};

}  // namespace weir::state
