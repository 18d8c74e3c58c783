#pragma once

#include <functional>
#include <string>
#include <vector>

#include "file/part_file.h"
#include "io/file_system.h"
#include "weir/sink.h"

namespace weir::file {

/// Makes prepared files visible by renaming them.
///
/// The proof of a commit is the file itself: one with the recorded length and checksum under the
/// final name means committed, a different one is an error, and neither the hidden nor the final
/// one means lost. An epoch with a lost file is not made visible in part.
class FileCommitter final : public Committer {
 public:
  FileCommitter(FileSystem& files, std::string base_path, const SinkContext& context);

  Result<CommitResult> commit(const Committable& committable) override;
  /// Looks at the names of all finished files of this sink.
  Status check_no_later_results(const std::vector<std::string>& restored_writer_states,
                                const std::vector<Committable>& restored_committables,
                                TimestampMs snapshot_ms) override;
  /// Removes hidden files of this sink that earlier attempts left behind.
  Status abort_orphans(const std::vector<std::string>& restored_writer_states,
                       const std::vector<Committable>& restored_committables) override;

 private:
  enum class Place { kHidden, kFinal, kNowhere };

  Result<Place> find(const PartFile& file, bool is_from_earlier_attempt) const;
  /// Whether the file holds what was prepared; an error when it holds something else.
  Status verify(const std::string& path, const PartFile& file, bool reads_content) const;
  Status rename(const PartFile& file) const;
  std::string hidden_path(const PartFile& file) const;
  std::string final_path(const PartFile& file) const;

  FileSystem& files_;
  std::string base_path_;
  std::string tag_;
  AttemptId attempt_;
  Lineage lineage_;
};

/// Removes the hidden files of sink `tag` below `base_path` for which `is_abandoned(name, path)`
/// says so. Fine if the directory does not exist.
Status remove_hidden_files(
    FileSystem& files, const std::string& base_path, const std::string& tag,
    const std::function<bool(const HiddenName& name, const std::string& file_name)>& is_abandoned);

}  // namespace weir::file
