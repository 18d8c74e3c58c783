#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"
#include "io/file_system.h"
#include "state/snapshot.h"
#include "state_processor/scratch_directory.h"
#include "weir/result.h"

namespace weir::state_processor {

/// The keyed state that an operator has in a snapshot, as state files. What a checkpoint has in
/// RocksDB's form is written anew, into a directory for temporary files that goes with this.
class StoredState {
 public:
  /// Where the file of that name in the manifest lies.
  using PathOf = std::function<std::string(const std::string& name)>;

  /// kInvalidArgument when the state is of a backend that this program does not know. Blocks.
  static Result<StoredState> open(FileSystem& files, const checkpoint::OperatorSnapshot& op,
                                  const PathOf& path_of);

  /// Of each subtask that has any, a chain of files.
  const std::vector<std::vector<state::RestoreFile>>& chains() const { return chains_; }
  std::vector<state::RestoreFile> files() const;

 private:
  StoredState() = default;

  std::vector<std::vector<state::RestoreFile>> chains_;
  std::shared_ptr<const ScratchDirectory> scratch_;  ///< null unless something is written anew
};

}  // namespace weir::state_processor
