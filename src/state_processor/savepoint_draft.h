#pragma once

#include <map>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"
#include "checkpoint/snapshot_directory.h"
#include "io/file_system.h"
#include "state/snapshot.h"
#include "state_processor/stored_state.h"
#include "weir/result.h"

namespace weir::state_processor {

/// The manifest of a savepoint that is being made. State files are where they are until it is
/// written: those of another snapshot, or new ones that took their place.
class SavepointDraft {
 public:
  /// Of a job that has no state yet.
  static SavepointDraft create(FileSystem& files, int max_parallelism);
  /// kInvalidArgument when records are under way in the snapshot.
  static Result<SavepointDraft> from(FileSystem& files, checkpoint::LoadedSnapshot snapshot);

  const checkpoint::Manifest& manifest() const { return manifest_; }
  FileSystem& files() const { return *files_; }
  std::vector<std::string> uids() const;
  /// Null when there is none of that uid. kInvalidArgument when it is one of a source or sink.
  Result<const checkpoint::OperatorSnapshot*> find_operator(const std::string& uid) const;
  Result<StoredState> keyed_state_of(const checkpoint::OperatorSnapshot& op) const;

  Status remove(const std::string& uid);
  Status rename(const std::string& from, const std::string& to);
  /// The keyed state of all key groups is in this file from now on; an operator that was not there
  /// is added. The rest of its state becomes that of one subtask.
  Status replace_keyed_state(const std::string& uid, const std::string& path,
                             const state::SnapshotFileInfo& info);

  /// As checkpoint::write_savepoint.
  Result<std::string> write(const std::string& directory) const;

 private:
  SavepointDraft(FileSystem& files, std::string root, checkpoint::Manifest manifest)
      : files_(&files), root_(std::move(root)), manifest_(std::move(manifest)) {}
  std::string path_of(const std::string& name) const;
  /// A savepoint has one state file per subtask: chains of files, and files of another form, are
  /// put together, into `directory`.
  Status join_chains(const std::string& directory);

  FileSystem* files_;
  std::string root_;
  checkpoint::Manifest manifest_;
  std::map<std::string, std::string> new_files_;  ///< where they are, by their name in the manifest
};

}  // namespace weir::state_processor
