#include "checkpoint/savepoint.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include "base/crc32c.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "state/canonical_file.h"

namespace weir::checkpoint {
namespace {

constexpr std::string_view kManifestName = "_metadata";
constexpr std::string_view kClaimName = "_claimed";
constexpr std::size_t kHintBytesMax = 48;
constexpr std::size_t kCopyBytes = std::size_t{1} << 20;

std::string random_hex() {
  std::random_device chance;
  const std::uint64_t value = (std::uint64_t{chance()} << 32) | chance();
  char digits[13];
  std::snprintf(digits, sizeof digits, "%012llx",
                static_cast<unsigned long long>(value & 0xffffffffffffULL));
  return digits;
}

/// Letters and digits of a uid, for people.
std::string hint_of(const std::string& uid) {
  std::string hint = uid.substr(0, kHintBytesMax);
  for (char& c : hint) {
    const bool is_good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                         (c >= '0' && c <= '9') || c == '-' || c == '_';
    c = is_good ? c : '_';
  }
  return hint;
}

class SavepointWriter {
 public:
  SavepointWriter(const SavepointSource& source, std::string directory,
                  const std::function<bool()>& is_cancelled)
      : source_(source), directory_(std::move(directory)), is_cancelled_(is_cancelled) {}

  Status write(Manifest& manifest) {
    sort(manifest);
    for (OperatorSnapshot& op : manifest.operators) {
      for (SubtaskSnapshot& subtask : op.subtasks) {
        for (StateHandle& handle : subtask.files) {
          WEIR_TRY(write_state(op.uid + "-" + std::to_string(subtask.subtask), handle));
        }
      }
    }
    for (SinkSnapshot& sink : manifest.sinks) {
      WEIR_TRY(copy_files_of(sink));
    }
    manifest.kind = SnapshotKind::kSavepoint;
    WEIR_ASSIGN(const std::string bytes, encode_manifest(manifest));
    WEIR_TRY(files().sync_directory(directory_));
    if (source_.check_leading != nullptr) {
      WEIR_TRY(source_.check_leading());
    }
    kill_point("savepoint.before_manifest");
    WEIR_TRY(files().publish(join_path(directory_, kManifestName), bytes));
    kill_point("savepoint.after_manifest");
    return {};
  }

  void remove_all() {
    // The manifest first: half a savepoint must not look like a whole one.
    static_cast<void>(files().remove(join_path(directory_, kManifestName)).ok());
    for (const std::string& name : written_) {
      static_cast<void>(files().remove(join_path(directory_, name)).ok());
    }
    static_cast<void>(files().remove_directory(directory_).ok());
  }

 private:
  FileSystem& files() { return source_.files; }

  std::string new_name(const std::string& hint) {
    written_.push_back(std::to_string(written_.size()) + "-" + hint_of(hint));
    return written_.back();
  }

  /// Acknowledgements come in any order; a savepoint has one.
  static void sort(Manifest& manifest) {
    const auto by_uid = [](const auto& a, const auto& b) { return a.uid < b.uid; };
    const auto by_subtask = [](const auto& a, const auto& b) { return a.subtask < b.subtask; };
    std::sort(manifest.operators.begin(), manifest.operators.end(), by_uid);
    std::sort(manifest.sources.begin(), manifest.sources.end(), by_uid);
    std::sort(manifest.sinks.begin(), manifest.sinks.end(), by_uid);
    for (OperatorSnapshot& op : manifest.operators) {
      std::sort(op.subtasks.begin(), op.subtasks.end(), by_subtask);
    }
    for (SourceSnapshot& source : manifest.sources) {
      std::sort(source.readers.begin(), source.readers.end(), by_subtask);
    }
    for (SinkSnapshot& sink : manifest.sinks) {
      std::sort(sink.writers.begin(), sink.writers.end(), by_subtask);
    }
  }

  Status write_state(const std::string& hint, StateHandle& handle) {
    const std::string name = new_name(hint);
    const state::RestoreFile from{source_.path_of(handle.file.path),
                                  {handle.file.length_bytes, handle.file.crc32c}};
    state::CanonicalOptions options;
    options.is_cancelled = is_cancelled_;
    WEIR_ASSIGN(const state::SnapshotFileInfo info,
                state::write_canonical_file(files(), from, join_path(directory_, name), options));
    handle.file = {name, info.file.length_bytes, info.file.crc32c};
    handle.kind = "canonical";
    return {};
  }

  Status copy_files_of(SinkSnapshot& sink) {
    std::map<std::string, std::string> new_names;
    for (FileReference& file : sink.files) {
      const std::string name = new_name(sink.uid);
      WEIR_TRY(copy(file, name));
      new_names[file.path] = name;
      file.path = name;
    }
    for (Committable& committable : sink.committables) {
      for (std::string& file : committable.files) {
        file = new_names.at(file);
      }
    }
    return {};
  }

  Status copy(const FileReference& file, const std::string& name) {
    const std::string path = source_.path_of(file.path);
    WEIR_ASSIGN(const auto in, files().open(path));
    WEIR_ASSIGN(const auto out, files().create_writer(join_path(directory_, name)));
    std::uint32_t crc = 0;
    std::string bytes;
    const std::uint64_t size = in->size_bytes();
    for (std::uint64_t at = 0; at < size; at += bytes.size()) {
      if (is_cancelled_ != nullptr && is_cancelled_()) {
        return Error{ErrorCode::kCancelled, "the savepoint is not wanted any more"};
      }
      WEIR_TRY(in->read_at(
          at, static_cast<std::size_t>(std::min<std::uint64_t>(kCopyBytes, size - at)), bytes));
      crc = crc32c(bytes, crc);
      WEIR_TRY(out->append(bytes));
    }
    if (size != file.length_bytes || crc != file.crc32c) {
      return Error{ErrorCode::kCorruption,
                   "file " + path + " has other bytes than when it was written"};
    }
    WEIR_TRY(out->sync());
    return out->close();
  }

  const SavepointSource& source_;
  const std::string directory_;
  const std::function<bool()>& is_cancelled_;
  std::vector<std::string> written_;
};

}  // namespace

Result<std::string> write_savepoint(const SavepointSource& source, Manifest manifest,
                                    const std::string& directory,
                                    const std::function<bool()>& is_cancelled) {
  WEIR_TRY(source.files.create_directories(directory));
  std::string path;
  constexpr int kTriesMax = 10;
  for (int tries = 1;; ++tries) {
    path = join_path(directory, "savepoint-" + manifest.job_id.substr(0, 6) + "-" + random_hex());
    const Status created = source.files.create_directory(path);
    if (created.ok()) {
      break;
    }
    if (created.error().code != ErrorCode::kAlreadyExists || tries == kTriesMax) {
      return created.error().with_context("cannot make a savepoint in " + directory);
    }
  }
  SavepointWriter writer(source, path, is_cancelled);
  const Status written = writer.write(manifest);
  if (!written.ok()) {
    writer.remove_all();
    return written.error().with_context("savepoint " + path);
  }
  WEIR_TRY(source.files.sync_directory(directory));
  log().info("savepoint of checkpoint {} written to {}", manifest.checkpoint, path);
  return path;
}

Result<std::string> write_savepoint(CheckpointStore& store, Manifest manifest,
                                    const std::string& directory,
                                    const std::function<bool()>& is_cancelled) {
  const SavepointSource source{store.files(),
                               [&store](const std::string& name) { return store.path_of(name); },
                               [&store] { return store.check_leading(); }};
  return write_savepoint(source, std::move(manifest), directory, is_cancelled);
}

std::string base_directory_of(const Manifest& manifest, const std::string& path) {
  const auto parent_of = [](std::string directory) {
    while (directory.size() > 1 && directory.ends_with('/')) {
      directory.pop_back();
    }
    const std::size_t slash = directory.find_last_of('/');
    return slash == std::string::npos ? std::string(".")
           : slash == 0               ? std::string("/")
                                      : directory.substr(0, slash);
  };
  const bool is_file = path == kManifestName || path.ends_with("/" + std::string(kManifestName));
  std::string own = is_file ? parent_of(path) : path;
  return manifest.kind == SnapshotKind::kSavepoint ? own : parent_of(own);
}

std::string snapshot_directory_of(const Manifest& manifest, const std::string& base) {
  return manifest.kind == SnapshotKind::kSavepoint
             ? base
             : join_path(base, CheckpointStore::directory_of(manifest.checkpoint));
}

Status claim_snapshot(FileSystem& files, const std::string& directory, const std::string& job_id,
                      bool is_claimed) {
  const std::string path = join_path(directory, kClaimName);
  const std::string mine = "weir job " + job_id + "\n";
  if (is_claimed) {
    const Status published = files.publish(path, mine);
    if (!published.ok() && published.error().code != ErrorCode::kAlreadyExists &&
        published.error().code != ErrorCode::kUnknownOutcome) {
      return published.error().with_context("cannot claim the snapshot");
    }
  }
  const auto owner = files.read(path);
  if (!owner.ok()) {
    return owner.error().code == ErrorCode::kNotFound && !is_claimed ? Status() : owner.status();
  }
  if (owner.value() != mine) {
    return Error{ErrorCode::kInvalidArgument,
                 "snapshot " + directory + " belongs to another job (" +
                     owner.value().substr(0, owner.value().find('\n')) +
                     "), which may delete it; copy it before anything else starts from it"};
  }
  return {};
}

Status dispose_snapshot(FileSystem& files, const std::string& directory) {
  const auto manifest = CheckpointStore::load_from(files, directory);
  if (!manifest.ok()) {
    return manifest.error().code == ErrorCode::kNotFound ? Status() : manifest.status();
  }
  const auto remove = [&](const std::string& path) -> Status {
    const Status removed = files.remove(path);
    return !removed.ok() && removed.error().code == ErrorCode::kNotFound ? Status() : removed;
  };
  // First: from here on it does not exist, also after a power cut.
  WEIR_TRY(remove(join_path(directory, kManifestName)));
  WEIR_TRY(files.sync_directory(directory));
  const std::string base = base_directory_of(manifest.value(), directory);
  for (const FileReference& file : files_of(manifest.value())) {
    const std::string path = join_path(base, file.path);
    if (path.starts_with(directory + "/")) {  // others may be shared
      WEIR_TRY(remove(path));
    }
  }
  WEIR_TRY(remove(join_path(directory, kClaimName)));
  const Status removed = files.remove_directory(directory);
  if (!removed.ok()) {
    log().info("{} is not empty and stays: {}", directory, removed.error().message);
  }
  return {};
}

}  // namespace weir::checkpoint
