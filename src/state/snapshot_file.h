#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "io/file_system.h"
#include "state/block_compression.h"
#include "state/snapshot.h"

namespace weir::state {

/// A SnapshotSink that writes a state file on I/O threads: blocks wait in a queue, one job at a
/// time drains it. A file that failed or was abandoned is removed.
///
/// Threads: SnapshotSink's functions on one thread; `run` and `on_done` as described.
class SnapshotFile final : public SnapshotSink, public std::enable_shared_from_this<SnapshotFile> {
 public:
  struct Options {
    /// Executes a job on some I/O thread, soon; must not drop it. Called on the task thread.
    std::function<void(std::function<void()> job)> run;
    /// Called exactly once, on an I/O thread: the file's bytes are durable (its name is after
    /// sync_directory), or why there is no file.
    std::function<void(Result<SnapshotFileInfo>)> on_done;
    /// Bytes that may wait to be written before has_room() says no.
    std::size_t in_flight_bytes_max = std::size_t{8} << 20;
    /// Bytes that may wait, copies of what is overwritten included, before is_overfull() says so.
    std::size_t overwritten_bytes_max = std::size_t{64} << 20;
    bool is_compressed = false;
  };

  /// The file is created by the first job: nothing here blocks. `files` outlives the sink.
  static std::shared_ptr<SnapshotFile> create(FileSystem& files, std::string path, Options options);

  bool has_room() override;
  void submit(std::string payload) override;
  bool is_overfull() override;
  std::string recycle() override;
  void finish(SnapshotFileInfo info) override;
  void abandon(Error reason) override;
  bool has_failed() override;

 private:
  SnapshotFile(FileSystem& files, std::string path, Options options);
  void schedule();
  void drain();
  Status write(std::string_view payload);
  void complete();

  FileSystem& files_;
  const std::string path_;
  const Options options_;
  // Used by the one drain job only.
  std::optional<BlockFileWriter> writer_;
  std::optional<BlockCompressor> compressor_;

  std::mutex mutex_;  ///< guards what follows
  std::deque<std::string> queue_;
  std::vector<std::string> free_;
  std::size_t in_flight_bytes_ = 0;
  SnapshotFileInfo info_;
  std::optional<Error> error_;
  bool is_draining_ = false;
  bool is_ended_ = false;
  bool is_done_ = false;
};

}  // namespace weir::state
