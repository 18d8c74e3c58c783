#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"

namespace crash {

/// What a stopped job has left in its checkpoint directory; for tests that look at it or damage it.
class CheckpointFolder {
 public:
  /// `checkpoints`: execution.checkpointing.dir of exactly one job.
  explicit CheckpointFolder(const std::string& checkpoints);

  const std::string& path() const { return path_; }
  std::string lock_file() const { return path_ + "/_lock"; }
  /// Published checkpoints, ascending.
  std::vector<std::int64_t> published() const;
  std::string manifest_path(std::int64_t checkpoint) const;
  weir::checkpoint::Manifest manifest(std::int64_t checkpoint) const;
  weir::checkpoint::Manifest latest() const { return manifest(published().back()); }
  /// Absolute paths of all files the manifest names.
  std::vector<std::string> files_of(const weir::checkpoint::Manifest& manifest) const;

 private:
  std::string path_;
};

std::string read_file(const std::string& path);
void write_file(const std::string& path, const std::string& bytes);

}  // namespace crash
