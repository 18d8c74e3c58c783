#include "checkpoint/checkpoint_files.h"

#include <set>

#include "base/crc32c.h"

namespace weir::checkpoint {

void StoreCheckpointFiles::adopt(const Manifest& manifest, const std::string& base) {
  const std::lock_guard lock(mutex_);
  for (const SinkSnapshot& sink : manifest.sinks) {
    for (const FileReference& file : sink.files) {
      known_[file.path] = file;
      if (!base.empty()) {
        foreign_[file.path] = join_path(base, file.path);
      }
    }
  }
}

Result<std::string> StoreCheckpointFiles::write(std::string_view hint, std::string_view bytes) {
  const std::string name = store_.new_file_name(FileScope::kTaskOwned, next_checkpoint_, hint);
  WEIR_ASSIGN(const auto file, store_.files().create_writer(store_.path_of(name)));
  WEIR_TRY(file->append(bytes));
  WEIR_TRY(file->sync());
  WEIR_TRY(file->close());
  const std::lock_guard lock(mutex_);
  known_[name] = {name, bytes.size(), crc32c(bytes)};
  return name;
}

Result<std::string> StoreCheckpointFiles::read(std::string_view name) {
  FileReference wanted;
  std::string path;
  {
    const std::lock_guard lock(mutex_);
    const auto found = known_.find(name);
    if (found == known_.end()) {
      return Error{ErrorCode::kNotFound, "no checkpoint names a file '" + std::string(name) + "'"};
    }
    wanted = found->second;
    const auto foreign = foreign_.find(name);
    path = foreign == foreign_.end() ? store_.path_of(wanted.path) : foreign->second;
  }
  WEIR_ASSIGN(std::string bytes, store_.files().read(path));
  if (bytes.size() != wanted.length_bytes || crc32c(bytes) != wanted.crc32c) {
    return Error{ErrorCode::kCorruption,
                 "file " + path + " has other bytes than when it was written"};
  }
  return bytes;
}

Result<std::vector<FileReference>> StoreCheckpointFiles::references_of(
    const std::vector<Committable>& committables) {
  const std::lock_guard lock(mutex_);
  std::set<std::string> seen;
  std::vector<FileReference> references;
  for (const Committable& committable : committables) {
    for (const std::string& name : committable.files) {
      const auto found = known_.find(name);
      if (found == known_.end()) {
        return Error{ErrorCode::kInvalidArgument,
                     "sink " + committable.id.sink_uid + " names the file '" + name +
                         "', which it did not write through CheckpointFiles"};
      }
      if (seen.insert(name).second) {
        references.push_back(found->second);
      }
    }
  }
  return references;
}

}  // namespace weir::checkpoint
