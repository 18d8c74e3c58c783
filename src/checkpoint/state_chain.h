#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"

namespace weir::checkpoint {

/// What a file of a chain tells in StateHandle::meta.
struct ChainLink {
  /// Of these key groups the file holds every entry. None of the files before it is needed for
  /// them.
  KeyGroupRange whole;
  std::uint64_t whole_bytes = 0;  ///< of those entries, about, before compression
  std::uint64_t raw_bytes = 0;    ///< of the file before compression; 0: it is not compressed

  std::string encode() const;
  /// Of a handle by weir 0.1, which told nothing: whole in a base, which comes first, else nowhere.
  static ChainLink of(const StateHandle& handle, bool is_first);
};

/// The files that make the state of one operator in one subtask, at each checkpoint that a later
/// one may build upon: each builds on the one before it. Decides what the next snapshot builds upon
/// and which key groups it writes whole, so that the chain stays short. Pure.
///
/// Every file renews as many key groups, in turn, as keeps what is stored below one and a half
/// times the state as it is before compression: with deltas of a hundredth of the state,
/// uncompressed, one fiftieth of the key groups; less where compression leaves room for more that
/// is outdated. What is written is what a new base now and then would cost, but no checkpoint has
/// to write all of it.
class StateChain {
 public:
  /// So many files at most; a restore opens all of them.
  static constexpr std::size_t kFilesMax = 128;

  struct Base {
    CheckpointId checkpoint = 0;  ///< 0: the next file holds everything
    std::vector<StateHandle> files;
    KeyGroupRange whole;  ///< to be written whole in the next file
  };

  /// The state was restored from these files and goes on in them, if it may: they are of this job,
  /// of the kind that later checkpoints name, and of just the key groups of this subtask.
  bool begin(CheckpointId restored, std::vector<StateHandle> files, KeyGroupRange own);
  /// What a snapshot builds upon whose barrier names `builds_on` as complete. Nothing, when this
  /// subtask has no files of it, or when all key groups are due.
  Base base_for(CheckpointId builds_on) const;
  /// The files of a snapshot: those of its base that are still needed, and its own.
  static std::vector<StateHandle> extended(std::vector<StateHandle> base, StateHandle own);
  /// A snapshot was stored in these files.
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
