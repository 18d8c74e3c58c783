#pragma once

#include <atomic>
#include <limits>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/manifest.h"
#include "checkpoint/store.h"
#include "weir/sink.h"

namespace weir::checkpoint {

/// CheckpointFiles in the store's taskowned/ directory. Thread-safe.
class StoreCheckpointFiles final : public CheckpointFiles {
 public:
  explicit StoreCheckpointFiles(CheckpointStore& store) : store_(store) {}

  /// Makes the files of a restored manifest's sinks readable. `base` = what their names are
  /// relative to; empty = the store's own directory.
  void adopt(const Manifest& manifest, const std::string& base = {});

  /// Checkpoint `checkpoint` was triggered: what is written from now on is named by the next one at
  /// the latest. File names carry that number, which keeps the garbage collection away until then.
  void on_triggered(CheckpointId checkpoint) { next_checkpoint_ = checkpoint + 1; }

  Result<std::string> write(std::string_view hint, std::string_view bytes) override;
  /// kCorruption when length or checksum differ from what was recorded.
  Result<std::string> read(std::string_view name) override;

  /// What the manifest has to say about the files of these committables, each once.
  /// kInvalidArgument when one names a file that was never written here.
  Result<std::vector<FileReference>> references_of(const std::vector<Committable>& committables);

 private:
  CheckpointStore& store_;
  std::atomic<CheckpointId> next_checkpoint_{std::numeric_limits<CheckpointId>::max()};
  std::mutex mutex_;
  std::map<std::string, FileReference, std::less<>> known_;
  std::map<std::string, std::string, std::less<>> foreign_;  ///< name -> path of adopted ones
};

}  // namespace weir::checkpoint
