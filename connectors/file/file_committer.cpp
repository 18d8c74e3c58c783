#include "file/file_committer.h"

#include <set>
#include <utility>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/planted_bug.h"
#include "io/block_file.h"

namespace weir::file {
namespace {

constexpr int kDirectoryDepthMax = 64;

/// Returns the number of files removed.
Result<int> remove_below(FileSystem& files, const std::string& directory, int depth,
                         const std::function<bool(const std::string& name)>& is_wanted) {
  int removed_count = 0;
  if (depth > kDirectoryDepthMax) {
    return Error{ErrorCode::kIo, "directories are nested too deeply: " + directory};
  }
  auto entries = files.list(directory);
  if (!entries.ok()) {
    return entries.error().code == ErrorCode::kNotFound ? Result<int>(0) : entries.error();
  }
  for (const DirectoryEntry& entry : entries.value()) {
    const std::string path = join_path(directory, entry.name);
    if (entry.is_directory) {
      WEIR_ASSIGN(const int below, remove_below(files, path, depth + 1, is_wanted));
      removed_count += below;
    } else if (is_wanted(entry.name)) {
      const Status removed = files.remove(path);
      if (!removed.ok() && removed.error().code != ErrorCode::kNotFound) {
        return removed.error();
      }
      log().debug("file sink: removed {}, left behind by an earlier attempt", path);
      ++removed_count;
    }
  }
  return removed_count;
}

}  // namespace

Status remove_hidden_files(
    FileSystem& files, const std::string& base_path, const std::string& tag,
    const std::function<bool(const HiddenName& name, const std::string& file_name)>& is_abandoned) {
  const auto is_wanted = [&](const std::string& file_name) {
    const auto name = parse_hidden_name(file_name);
    return name.has_value() && name->tag == tag && is_abandoned(*name, file_name);
  };
  WEIR_ASSIGN(const int count, remove_below(files, base_path, 0, is_wanted));
  if (count > 0) {
    log().info("file sink: removed {} unfinished files of earlier attempts below {}", count,
               base_path);
  }
  return {};
}

FileCommitter::FileCommitter(FileSystem& files, std::string base_path, const SinkContext& context)
    : files_(files),
      base_path_(std::move(base_path)),
      tag_(sink_tag(context.pipeline_id, context.sink_uid)),
      attempt_(context.attempt),
      lineage_(context.lineage) {}

std::string FileCommitter::hidden_path(const PartFile& file) const {
  return join_path(directory_of(base_path_, file.bucket), file.hidden_name);
}

std::string FileCommitter::final_path(const PartFile& file) const {
  return join_path(directory_of(base_path_, file.bucket), file.final_name);
}

Status FileCommitter::verify(const std::string& path, const PartFile& file,
                             bool reads_content) const {
  WEIR_ASSIGN(const std::uint64_t length, files_.size_bytes(path));
  if (length != file.length_bytes) {
    return Error{ErrorCode::kCorruption,
                 "file " + path + " has " + std::to_string(length) + " bytes, prepared were " +
                     std::to_string(file.length_bytes) + ": it is not this sink's, or was changed"};
  }
  if (reads_content) {
    WEIR_ASSIGN(const FileSummary summary, summarize_file(files_, path));
    if (summary.crc32c != file.crc32c) {
      return Error{ErrorCode::kCorruption, "file " + path +
                                               " does not have the checksum of what was prepared: "
                                               "it is not this sink's, or was changed"};
    }
  }
  return {};
}

Result<FileCommitter::Place> FileCommitter::find(const PartFile& file,
                                                 bool is_from_earlier_attempt) const {
  const std::string final_name = final_path(file);
  const std::string hidden_name = hidden_path(file);
  WEIR_ASSIGN(bool is_final, files_.exists(final_name));
  if (!is_final) {
    WEIR_ASSIGN(const bool is_hidden, files_.exists(hidden_name));
    if (is_hidden) {
      // What this process wrote a moment ago is not read again; what lay on disk over a crash is.
      WEIR_TRY(verify(hidden_name, file, is_from_earlier_attempt));
      return Place::kHidden;
    }
    // Asked again: a rename by somebody else may have come between the two questions.
    WEIR_ASSIGN(is_final, files_.exists(final_name));
  }
  if (!is_final) {
    return Place::kNowhere;
  }
  WEIR_TRY(verify(final_name, file, true));
  return Place::kFinal;
}

Status FileCommitter::rename(const PartFile& file) const {
  kill_point("file.commit.before_rename");
  const Status renamed = files_.rename_no_replace(hidden_path(file), final_path(file));
  kill_point("file.commit.after_rename");
  if (!renamed.ok() && renamed.error().code == ErrorCode::kAlreadyExists) {
    return verify(final_path(file), file, true);
  }
  return renamed;
}

Result<CommitResult> FileCommitter::commit(const Committable& committable) {
  WEIR_ASSIGN(const PreparedParts prepared, decode_prepared(committable.payload, tag_));
  const bool is_from_earlier_attempt = committable.id.attempt != attempt_;
  std::vector<const PartFile*> to_rename;
  std::set<std::string> directories;
  for (const PartFile& file : prepared.files) {
    WEIR_ASSIGN(const Place place, find(file, is_from_earlier_attempt));
    directories.insert(directory_of(base_path_, file.bucket));
    if (place == Place::kHidden) {
      to_rename.push_back(&file);
    } else if (place == Place::kNowhere && !planted_bug("C9")) {
      const std::string what = "neither " + hidden_path(file) + " nor " + file.final_name +
                               " exists, which checkpoint " +
                               std::to_string(committable.id.checkpoint) + " prepared";
      if (prepared.base_path != base_path_) {
        return Error{ErrorCode::kUnknownOutcome,
                     what + " below " + prepared.base_path +
                         ": start once with that path, or move its files here"};
      }
      return CommitResult{CommitOutcome::kLost, what};
    }
  }
  for (const PartFile* file : to_rename) {
    WEIR_TRY(rename(*file));
  }
  // Also when nothing was renamed now: an earlier try may have died before its sync.
  for (const std::string& directory : directories) {
    WEIR_TRY(files_.sync_directory(directory));
  }
  const std::string count = std::to_string(prepared.files.size()) + " files";
  if (to_rename.empty() && !prepared.files.empty()) {
    return CommitResult{CommitOutcome::kAlreadyCommitted,
                        count + " found under their final names, lengths and checksums equal"};
  }
  return CommitResult{CommitOutcome::kCommitted, count};
}

Status FileCommitter::check_no_later_results(
    const std::vector<std::string>& /*restored_writer_states*/,
    const std::vector<Committable>& /*restored_committables*/, TimestampMs /*snapshot_ms*/) {
  std::optional<std::string> later;
  const auto look = [&](const std::string& file_name) {
    const auto name = parse_final_name(file_name, tag_);
    // Files without a line are of the first one: names tell lines apart only after a branch.
    const std::int64_t incarnation = !name.has_value()        ? 0
                                     : name->incarnation != 0 ? name->incarnation
                                     : lineage_.empty()       ? 0
                                                              : lineage_.front().incarnation;
    if (name.has_value() && !is_in_past(lineage_, incarnation, name->checkpoint)) {
      later = file_name;
    }
    return false;  // look only
  };
  WEIR_TRY(remove_below(files_, base_path_, 0, look).status());
  if (later.has_value()) {
    return Error{ErrorCode::kInvalidArgument,
                 "directory " + base_path_ + " holds the file '" + *later +
                     "', a result that is not in the past of the snapshot"};
  }
  return {};
}

Status FileCommitter::abort_orphans(const std::vector<std::string>& /*restored_writer_states*/,
                                    const std::vector<Committable>& restored_committables) {
  std::set<std::string> named;
  for (const Committable& committable : restored_committables) {
    WEIR_ASSIGN(const PreparedParts prepared, decode_prepared(committable.payload, tag_));
    for (const PartFile& file : prepared.files) {
      named.insert(file.hidden_name);
    }
  }
  return remove_hidden_files(
      files_, base_path_, tag_, [&](const HiddenName& name, const std::string& file_name) {
        return name.attempt < attempt_ && named.find(file_name) == named.end();
      });
}

}  // namespace weir::file
