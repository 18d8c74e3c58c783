#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"

namespace weir::checkpoint {

/// The files that make the state of one operator in one subtask, at each checkpoint that a later
/// one may build upon: a base, then deltas. Decides how far the next snapshot reaches back. Pure.
class StateChain {
 public:
  /// So many files at most; a restore opens all of them.
  static constexpr std::size_t kFilesMax = 64;

  struct Base {
    CheckpointId checkpoint = 0;  ///< 0: the next file holds everything
    std::vector<StateHandle> files;
  };

  /// The state was restored from these files of this job's own checkpoint and goes on in them.
  void begin(CheckpointId restored, std::vector<StateHandle> files);
  /// What a snapshot builds upon whose barrier names `builds_on` as complete. Nothing, when this
  /// subtask has no files of it, or when the deltas have half of the base's bytes: then a new base
  /// costs less than what restores and storage pay for the old one.
  Base base_for(CheckpointId builds_on) const;
  /// A snapshot was stored. `files`: those of its base, and its own.
  void add(CheckpointId checkpoint, std::vector<StateHandle> files);
  /// No barrier will name an earlier checkpoint.
  void forget_before(CheckpointId checkpoint);

 private:
  std::map<CheckpointId, std::vector<StateHandle>> files_;
};

/// Which files completed checkpoints hold ready for those that are under way: a checkpoint that
/// builds on another will name its files, whether that one is still retained by then or not. Pure.
class FilesBuiltUpon {
 public:
  void on_complete(const Manifest& manifest);
  void on_triggered(CheckpointId checkpoint, CheckpointId builds_on);
  /// Published, aborted or given up.
  void on_over(CheckpointId checkpoint);
  /// Paths that must not be deleted.
  std::vector<std::string> files() const;

 private:
  void forget();

  std::map<CheckpointId, std::vector<std::string>> of_complete_;
  std::map<CheckpointId, CheckpointId> under_way_;  ///< to what it builds on
};

}  // namespace weir::checkpoint
