#include "simulator/disk.h"

#include <algorithm>

namespace weir::simulator {
namespace {

Error not_found(const std::string& path) { return {ErrorCode::kNotFound, "no such file: " + path}; }
Error exists_already(const std::string& path) {
  return {ErrorCode::kAlreadyExists, "exists: " + path};
}

/// Calls `visit` for what lies directly in `directory`.
template <class NodesType, class Visit>
void for_each_child(NodesType& nodes, const std::string& directory, Visit visit) {
  const std::string prefix = directory + "/";
  for (auto at = nodes.lower_bound(prefix); at != nodes.end() && at->first.starts_with(prefix);
       ++at) {
    if (at->first.find('/', prefix.size()) == std::string::npos) {
      visit(at->first, at->second);
    }
  }
}

}  // namespace

std::string parent_of(std::string_view path) {
  return std::string(path.substr(0, path.rfind('/')));
}

// ---- Disk

const Disk::Node* Disk::find(const std::string& path) const {
  const auto found = nodes_.find(path);
  return found == nodes_.end() ? nullptr : &found->second;
}

bool Disk::has_directory(const std::string& path) const {
  const Node* node = find(path);
  return node != nullptr && node->is_directory;
}

void Disk::add(const std::string& path, Node node) { nodes_[path] = std::move(node); }

void Disk::append(const std::string& path, std::string_view bytes, TimestampMs now_ms) {
  if (const auto found = nodes_.find(path); found != nodes_.end()) {
    found->second.content += bytes;
    found->second.modified_ms = now_ms;
  }
}

void Disk::sync(const std::string& path) {
  if (const auto found = nodes_.find(path); found != nodes_.end()) {
    found->second.synced_bytes = found->second.content.size();
  }
}

void Disk::remove(const std::string& path) {
  const auto found = nodes_.find(path);
  if (found->second.is_name_durable) {
    removed_.emplace_back(path, std::move(found->second));
  }
  nodes_.erase(found);
  if (on_removed) {
    on_removed(path);
  }
}

void Disk::sync_directory(const std::string& directory) {
  for_each_child(nodes_, directory,
                 [](const std::string&, Node& node) { node.is_name_durable = true; });
  std::erase_if(removed_, [&](const auto& item) { return parent_of(item.first) == directory; });
}

bool Disk::is_empty(const std::string& directory) const {
  bool is_empty = true;
  for_each_child(nodes_, directory, [&](const std::string&, const Node&) { is_empty = false; });
  return is_empty;
}

void Disk::cut_power(Chance& chance) {
  for (auto& [path, node] : removed_) {
    if (chance.one_in(2) && !nodes_.contains(path)) {
      nodes_.emplace(path, std::move(node));
    }
  }
  removed_.clear();
  // What came back may lie in a directory whose removal was kept: then it is unreachable.
  for (auto at = nodes_.begin(); at != nodes_.end();) {
    Node& node = at->second;
    const bool is_lost = !node.is_name_durable && chance.one_in(2);
    const std::string parent = parent_of(at->first);
    const bool is_orphan = !parent.empty() && !has_directory(parent);
    if (is_lost || is_orphan) {
      at = nodes_.erase(at);
      continue;
    }
    node.is_name_durable = true;
    if (node.content.size() > node.synced_bytes) {
      const auto unsynced = static_cast<std::int64_t>(node.content.size() - node.synced_bytes);
      node.content.resize(node.synced_bytes + static_cast<std::size_t>(chance.below(unsynced + 1)));
      node.synced_bytes = node.content.size();
    }
    ++at;
  }
}

bool Disk::damage(const std::string& path, std::size_t bit) {
  const auto found = nodes_.find(path);
  if (found == nodes_.end() || found->second.content.size() * 8 <= bit) {
    return false;
  }
  char& byte = found->second.content[bit / 8];
  byte = static_cast<char>(byte ^ (1 << (bit % 8)));
  return true;
}

void Disk::set_content(const std::string& path, std::string content) {
  nodes_.at(path).content = std::move(content);
}

// ---- files

class SimulatedFile final : public WritableFile {
 public:
  SimulatedFile(ProcessFiles& files, std::string path) : files_(files), path_(std::move(path)) {}

  Status append(std::string_view bytes) override {
    if (files_.hooks_.is_full()) {
      return Error{ErrorCode::kNoSpace, "disk full: " + path_};
    }
    const Status status = files_.perform(DiskOperation::kWrite, path_, [&]() -> Status {
      files_.disk_.append(path_, bytes, files_.hooks_.wall_ms());
      return {};
    });
    size_ += bytes.size();
    return status;
  }
  Status sync() override {
    if (has_failed_) {
      return Error{ErrorCode::kIo, "an earlier sync failed: " + path_};
    }
    const Status status = files_.perform(DiskOperation::kWrite, path_, [&]() -> Status {
      files_.disk_.sync(path_);
      return {};
    });
    has_failed_ = !status.ok();
    return status;
  }
  Status close() override {
    return files_.perform(DiskOperation::kWrite, path_, []() -> Status { return {}; });
  }
  std::uint64_t size_bytes() const override { return size_; }

 private:
  ProcessFiles& files_;
  const std::string path_;
  std::uint64_t size_ = 0;
  bool has_failed_ = false;
};

class SimulatedReadableFile final : public ReadableFile {
 public:
  SimulatedReadableFile(ProcessFiles& files, std::string path, std::uint64_t size)
      : files_(files), path_(std::move(path)), size_(size) {}

  Status read_at(std::uint64_t offset, std::size_t size, std::string& out) const override {
    WEIR_ASSIGN(out, files_.read_range(path_, offset, size));
    return {};
  }
  std::uint64_t size_bytes() const override { return size_; }

 private:
  ProcessFiles& files_;
  const std::string path_;
  const std::uint64_t size_;
};

namespace {

class SimulatedLock final : public FileLock {
 public:
  explicit SimulatedLock(std::function<void()> give_back) : give_back_(std::move(give_back)) {}
  ~SimulatedLock() override { give_back_(); }

 private:
  std::function<void()> give_back_;
};

}  // namespace

// ---- ProcessFiles

Status ProcessFiles::perform(DiskOperation operation, const std::string& path,
                             const std::function<Status()>& effect) {
  const Fate fate = hooks_.choose_fate(operation);
  if (fate == Fate::kDiesBefore) {
    throw ProcessDied();
  }
  if (fate == Fate::kFailsBefore) {
    return Error{ErrorCode::kIo, "injected failure: " + path};
  }
  const Status done = effect();
  if (fate == Fate::kDiesAfter) {
    throw ProcessDied();
  }
  if (fate == Fate::kFailsAfter && done.ok()) {
    const bool is_put = operation == DiskOperation::kPublish;
    return Error{is_put ? ErrorCode::kUnknownOutcome : ErrorCode::kIo, "reply lost: " + path};
  }
  return done;
}

Result<std::string> ProcessFiles::read(const std::string& path) {
  std::string bytes;
  WEIR_TRY(perform(DiskOperation::kRead, path, [&]() -> Status {
    const Disk::Node* node = disk_.find(path);
    if (node == nullptr || node->is_directory) {
      return not_found(path);
    }
    bytes = node->content;
    return {};
  }));
  return bytes;
}

Result<std::string> ProcessFiles::read_range(const std::string& path, std::uint64_t offset,
                                             std::size_t size) {
  WEIR_ASSIGN(const std::string bytes, read(path));
  if (offset > bytes.size() || bytes.size() - offset < size) {
    return Error{ErrorCode::kCorruption, "file ends early: " + path};
  }
  return bytes.substr(offset, size);
}

Result<std::unique_ptr<ReadableFile>> ProcessFiles::open(const std::string& path) {
  WEIR_ASSIGN(const std::string bytes, read(path));
  return std::unique_ptr<ReadableFile>(new SimulatedReadableFile(*this, path, bytes.size()));
}

Result<std::unique_ptr<WritableFile>> ProcessFiles::create_writer(const std::string& path) {
  WEIR_TRY(perform(DiskOperation::kWrite, path, [&]() -> Status {
    if (disk_.find(path) != nullptr) {
      return exists_already(path);
    }
    if (!disk_.has_directory(parent_of(path))) {
      return not_found(parent_of(path));
    }
    disk_.add(path, {.modified_ms = hooks_.wall_ms()});
    return {};
  }));
  return std::unique_ptr<WritableFile>(new SimulatedFile(*this, path));
}

Status ProcessFiles::publish(const std::string& path, std::string_view bytes) {
  if (hooks_.is_full() && !bytes.empty()) {
    return Error{ErrorCode::kNoSpace, "disk full: " + path};
  }
  return perform(DiskOperation::kPublish, path, [&]() -> Status {
    if (disk_.find(path) != nullptr) {
      return exists_already(path);
    }
    if (!disk_.has_directory(parent_of(path))) {
      return not_found(parent_of(path));
    }
    disk_.add(path, {false, true, std::string(bytes), bytes.size(), hooks_.wall_ms()});
    disk_.sync_directory(parent_of(path));
    if (disk_.on_published) {
      disk_.on_published(path);
    }
    return {};
  });
}

Status ProcessFiles::rename_no_replace(const std::string& from, const std::string& to) {
  return perform(DiskOperation::kChange, from, [&]() -> Status {
    const Disk::Node* node = disk_.find(from);
    if (node == nullptr) {
      return not_found(from);
    }
    if (disk_.find(to) != nullptr) {
      return exists_already(to);
    }
    Disk::Node moved = *node;
    moved.is_name_durable = false;
    disk_.remove(from);
    disk_.add(to, std::move(moved));
    return {};
  });
}

Status ProcessFiles::remove(const std::string& path) {
  return perform(DiskOperation::kChange, path, [&]() -> Status {
    if (disk_.find(path) == nullptr) {
      return not_found(path);
    }
    disk_.remove(path);
    return {};
  });
}

Status ProcessFiles::remove_directory(const std::string& path) {
  return perform(DiskOperation::kChange, path, [&]() -> Status {
    if (!disk_.has_directory(path)) {
      return not_found(path);
    }
    if (!disk_.is_empty(path)) {
      return Error{ErrorCode::kIo, "directory not empty: " + path};
    }
    disk_.remove(path);
    return {};
  });
}

Result<std::vector<DirectoryEntry>> ProcessFiles::list(const std::string& path) {
  const std::string directory = path.ends_with('/') ? path.substr(0, path.size() - 1) : path;
  std::vector<DirectoryEntry> entries;
  WEIR_TRY(perform(DiskOperation::kList, directory, [&]() -> Status {
    if (!disk_.has_directory(directory)) {
      return not_found(directory);
    }
    for_each_child(disk_.nodes(), directory, [&](const std::string& name, const Disk::Node& node) {
      entries.push_back({name.substr(directory.size() + 1), node.is_directory, node.content.size(),
                         node.modified_ms});
    });
    return {};
  }));
  return entries;
}

Result<bool> ProcessFiles::exists(const std::string& path) {
  bool is_there = false;
  WEIR_TRY(perform(DiskOperation::kRead, path, [&]() -> Status {
    is_there = disk_.find(path) != nullptr;
    return {};
  }));
  return is_there;
}

Result<std::uint64_t> ProcessFiles::size_bytes(const std::string& path) {
  std::uint64_t size = 0;
  WEIR_TRY(perform(DiskOperation::kRead, path, [&]() -> Status {
    const Disk::Node* node = disk_.find(path);
    if (node == nullptr) {
      return not_found(path);
    }
    size = node->content.size();
    return {};
  }));
  return size;
}

Status ProcessFiles::create_directory(const std::string& path) {
  return perform(DiskOperation::kChange, path, [&]() -> Status {
    if (disk_.find(path) != nullptr) {
      return exists_already(path);
    }
    disk_.add(path, {true, true, "", 0, hooks_.wall_ms()});
    return {};
  });
}

Status ProcessFiles::create_directories(const std::string& path) {
  return perform(DiskOperation::kChange, path, [&]() -> Status {
    for (std::size_t at = path.find('/', 1); true; at = path.find('/', at + 1)) {
      const std::string part = path.substr(0, at);
      if (disk_.find(part) == nullptr) {
        disk_.add(part, {true, true, "", 0, hooks_.wall_ms()});
      }
      if (at == std::string::npos) {
        return {};
      }
    }
  });
}

Status ProcessFiles::sync_directory(const std::string& path) {
  return perform(DiskOperation::kChange, path, [&]() -> Status {
    disk_.sync_directory(path);
    return {};
  });
}

Result<std::unique_ptr<FileLock>> ProcessFiles::lock(const std::string& path) {
  if (!hooks_.take_lock(path)) {
    return Error{ErrorCode::kUnavailable, "locked: " + path};
  }
  return std::unique_ptr<FileLock>(new SimulatedLock(hooks_.give_lock));
}

}  // namespace weir::simulator
