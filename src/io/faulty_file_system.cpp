#include "io/faulty_file_system.h"

#include <algorithm>
#include <utility>

namespace weir {
namespace {

Error planned_failure(const FileFault& fault, const std::string& path) {
  return Error{fault.code, "planned fault on " + path};
}

}  // namespace

class FaultyWritableFile final : public WritableFile {
 public:
  FaultyWritableFile(FaultyFileSystem& owner, std::unique_ptr<WritableFile> inner, std::string path)
      : owner_(owner), inner_(std::move(inner)), path_(std::move(path)) {}

  Status append(std::string_view bytes) override {
    if (const auto fault = owner_.next_fault(FileOperation::kAppend, path_)) {
      if (fault->bytes_done.has_value()) {
        WEIR_TRY(inner_->append(bytes.substr(0, *fault->bytes_done)));
      }
      return planned_failure(*fault, path_);
    }
    const std::size_t fitting = owner_.take_space(bytes.size());
    WEIR_TRY(inner_->append(bytes.substr(0, fitting)));
    if (fitting < bytes.size()) {
      return Error{ErrorCode::kNoSpace, "cannot write " + path_ + ": planned full disk"};
    }
    return {};
  }
  Status sync() override {
    WEIR_TRY(owner_.fail_if_planned(FileOperation::kSync, path_));
    return inner_->sync();
  }
  Status close() override {
    WEIR_TRY(owner_.fail_if_planned(FileOperation::kClose, path_));
    return inner_->close();
  }
  std::uint64_t size_bytes() const override { return inner_->size_bytes(); }

 private:
  FaultyFileSystem& owner_;
  std::unique_ptr<WritableFile> inner_;
  const std::string path_;
};

void FaultyFileSystem::plan(FileFault fault) {
  const std::lock_guard lock(mutex_);
  faults_.push_back(std::move(fault));
}

void FaultyFileSystem::set_space_left(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  space_left_ = bytes;
}

void FaultyFileSystem::heal() {
  const std::lock_guard lock(mutex_);
  faults_.clear();
  space_left_.reset();
}

int FaultyFileSystem::calls(FileOperation operation) const {
  const std::lock_guard lock(mutex_);
  const auto found = calls_.find(operation);
  return found == calls_.end() ? 0 : found->second;
}

std::optional<FileFault> FaultyFileSystem::next_fault(FileOperation operation,
                                                      const std::string& path) {
  const std::lock_guard lock(mutex_);
  ++calls_[operation];
  for (FileFault& fault : faults_) {
    if (fault.operation != operation || fault.times <= 0 ||
        path.find(fault.path_contains) == std::string::npos) {
      continue;
    }
    if (fault.passes_before > 0) {
      --fault.passes_before;
      continue;
    }
    --fault.times;
    return fault;
  }
  return std::nullopt;
}

Status FaultyFileSystem::fail_if_planned(FileOperation operation, const std::string& path) {
  if (const auto fault = next_fault(operation, path)) {
    if (fault->meanwhile != nullptr) {
      fault->meanwhile();
    }
    return planned_failure(*fault, path);
  }
  return {};
}

std::size_t FaultyFileSystem::take_space(std::size_t wanted) {
  const std::lock_guard lock(mutex_);
  if (!space_left_.has_value()) {
    return wanted;
  }
  const auto taken = static_cast<std::size_t>(std::min<std::uint64_t>(wanted, *space_left_));
  *space_left_ -= taken;
  return taken;
}

Result<std::string> FaultyFileSystem::read(const std::string& path) {
  WEIR_TRY(fail_if_planned(FileOperation::kRead, path));
  return inner_.read(path);
}

Result<std::string> FaultyFileSystem::read_range(const std::string& path, std::uint64_t offset,
                                                 std::size_t size) {
  WEIR_TRY(fail_if_planned(FileOperation::kRead, path));
  return inner_.read_range(path, offset, size);
}

Result<std::unique_ptr<ReadableFile>> FaultyFileSystem::open(const std::string& path) {
  WEIR_TRY(fail_if_planned(FileOperation::kRead, path));
  return inner_.open(path);
}

Result<std::unique_ptr<WritableFile>> FaultyFileSystem::create_writer(const std::string& path) {
  WEIR_TRY(fail_if_planned(FileOperation::kCreate, path));
  WEIR_ASSIGN(auto file, inner_.create_writer(path));
  return std::unique_ptr<WritableFile>(
      std::make_unique<FaultyWritableFile>(*this, std::move(file), path));
}

Status FaultyFileSystem::publish(const std::string& path, std::string_view bytes) {
  if (const auto fault = next_fault(FileOperation::kPublish, path)) {
    if (fault->meanwhile != nullptr) {
      fault->meanwhile();
    }
    if (fault->bytes_done.has_value()) {
      WEIR_TRY(inner_.publish(path, bytes));
    }
    return planned_failure(*fault, path);
  }
  if (take_space(bytes.size()) < bytes.size()) {
    return Error{ErrorCode::kNoSpace, "cannot publish " + path + ": planned full disk"};
  }
  return inner_.publish(path, bytes);
}

Status FaultyFileSystem::rename_no_replace(const std::string& from, const std::string& to) {
  WEIR_TRY(fail_if_planned(FileOperation::kRename, to));
  return inner_.rename_no_replace(from, to);
}

Status FaultyFileSystem::remove(const std::string& path) {
  WEIR_TRY(fail_if_planned(FileOperation::kRemove, path));
  return inner_.remove(path);
}

Status FaultyFileSystem::remove_directory(const std::string& path) {
  WEIR_TRY(fail_if_planned(FileOperation::kDirectory, path));
  return inner_.remove_directory(path);
}

Result<std::vector<DirectoryEntry>> FaultyFileSystem::list(const std::string& directory) {
  WEIR_TRY(fail_if_planned(FileOperation::kList, directory));
  return inner_.list(directory);
}

Result<bool> FaultyFileSystem::exists(const std::string& path) {
  WEIR_TRY(fail_if_planned(FileOperation::kRead, path));
  return inner_.exists(path);
}

Result<std::uint64_t> FaultyFileSystem::size_bytes(const std::string& path) {
  WEIR_TRY(fail_if_planned(FileOperation::kRead, path));
  return inner_.size_bytes(path);
}

Status FaultyFileSystem::create_directory(const std::string& path) {
  WEIR_TRY(fail_if_planned(FileOperation::kDirectory, path));
  return inner_.create_directory(path);
}

Status FaultyFileSystem::create_directories(const std::string& path) {
  WEIR_TRY(fail_if_planned(FileOperation::kDirectory, path));
  return inner_.create_directories(path);
}

Status FaultyFileSystem::sync_directory(const std::string& path) {
  WEIR_TRY(fail_if_planned(FileOperation::kDirectory, path));
  return inner_.sync_directory(path);
}

Result<std::unique_ptr<FileLock>> FaultyFileSystem::lock(const std::string& path) {
  return inner_.lock(path);
}

}  // namespace weir
