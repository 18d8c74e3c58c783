#include "io/local_file_system.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <new>
#include <random>
#include <system_error>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/planted_bug.h"

namespace weir {
namespace {

constexpr std::size_t kWriteBufferBytes = 4U << 20;
constexpr std::size_t kPageBytes = 4096;
/// One write or read call moves at most this much; Linux caps them at about 2 GiB.
constexpr std::size_t kTransferBytesMax = 1U << 30;

Error system_error(std::string_view action, const std::string& path, int number) {
  ErrorCode code = ErrorCode::kIo;
  switch (number) {
    case ENOENT:
    case ENOTDIR:
      code = ErrorCode::kNotFound;
      break;
    case EEXIST:
    case ENOTEMPTY:
      code = ErrorCode::kAlreadyExists;
      break;
    case ENOSPC:
    case EDQUOT:
      code = ErrorCode::kNoSpace;
      break;
    default:
      break;
  }
  return Error{code, "cannot " + std::string(action) + " " + path + ": " +
                         std::generic_category().message(number)};
}

Error ends_early(const std::string& path, std::uint64_t wanted_end, std::uint64_t actual_end) {
  return Error{ErrorCode::kCorruption, "file " + path + " ends at byte " +
                                           std::to_string(actual_end) + ", expected at least " +
                                           std::to_string(wanted_end)};
}

/// Repeats a system call that a signal interrupted.
template <class Call>
auto retry_interrupted(const Call& call) {
  decltype(call()) result{};
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

/// Owns a file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() { release(); }

  bool is_open() const { return number_ >= 0; }
  int number() const { return number_; }
  /// False with errno set when the kernel reports a write error late. Never repeated: Linux has
  /// released the descriptor even after EINTR.
  bool release() {
    return number_ < 0 || ::close(std::exchange(number_, -1)) == 0 || errno == EINTR;
  }

 private:
  int number_ = -1;
};

Result<Descriptor> open_descriptor(const std::string& path, int flags, std::string_view action) {
  const int number =
      retry_interrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0666); });
  if (number < 0) {
    return system_error(action, path, errno);
  }
  return Descriptor(number);
}

/// `on_invalid` may change the way of writing when the kernel says EINVAL; true = try again.
Status write_all(int descriptor, const std::string& path, const char* data, std::size_t size,
                 const std::function<bool()>& on_invalid) {
  while (size > 0) {
    const std::size_t wanted = std::min(size, kTransferBytesMax);
    const ssize_t written = retry_interrupted([&] { return ::write(descriptor, data, wanted); });
    if (written < 0 && errno == EINVAL && on_invalid()) {
      continue;
    }
    if (written < 0) {
      return system_error("write", path, errno);
    }
    if (written == 0) {
      return Error{ErrorCode::kNoSpace, "cannot write " + path + ": no byte was accepted"};
    }
    data += written;
    size -= static_cast<std::size_t>(written);
  }
  return {};
}

/// Reads until it has `size` bytes; fewer only at the end of the file.
Result<std::size_t> read_all_at(int descriptor, const std::string& path, std::uint64_t offset,
                                char* out, std::size_t size) {
  std::size_t done = 0;
  while (done < size) {
    const std::size_t wanted = std::min(size - done, kTransferBytesMax);
    const ssize_t count = retry_interrupted(
        [&] { return ::pread(descriptor, out + done, wanted, static_cast<off_t>(offset + done)); });
    if (count < 0) {
      return system_error("read", path, errno);
    }
    if (count == 0) {
      break;
    }
    done += static_cast<std::size_t>(count);
    if (planted_bug("I1")) {
      break;
    }
  }
  return done;
}

Result<std::uint64_t> size_of(int descriptor, const std::string& path) {
  struct stat facts{};
  if (::fstat(descriptor, &facts) != 0) {
    return system_error("stat", path, errno);
  }
  if (!S_ISREG(facts.st_mode)) {
    return Error{ErrorCode::kIo, "cannot read " + path + ": not a regular file"};
  }
  return static_cast<std::uint64_t>(facts.st_size);
}

Status sync_descriptor(int descriptor, const std::string& path) {
  if (retry_interrupted([&] { return ::fsync(descriptor); }) != 0) {
    return system_error("sync", path, errno);
  }
  return {};
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) {
    return ".";
  }
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// Bytes gather in one large page-aligned buffer, so that the medium sees few large writes. Full
/// buffers go around the page cache where the file system allows it: copying them into it takes
/// longer than writing them, and it pushes out what others read.
class LocalWritableFile final : public WritableFile {
 public:
  LocalWritableFile(Descriptor file, std::string path)
      : file_(std::move(file)), path_(std::move(path)) {}
  LocalWritableFile(const LocalWritableFile&) = delete;
  LocalWritableFile& operator=(const LocalWritableFile&) = delete;
  ~LocalWritableFile() override { std::free(buffer_); }

  Status append(std::string_view bytes) override {
    WEIR_TRY(first_failure_);
    if (!file_.is_open()) {
      return Error{ErrorCode::kInternal, "append to a closed file: " + path_};
    }
    if (buffer_ == nullptr) {
      buffer_ = static_cast<char*>(std::aligned_alloc(kPageBytes, kWriteBufferBytes));
      WEIR_CHECK_MESSAGE(buffer_ != nullptr, "out of memory for a write buffer");
    }
    size_ += bytes.size();
    while (!bytes.empty()) {
      const std::size_t part = std::min(bytes.size(), kWriteBufferBytes - filled_);
      std::memcpy(buffer_ + filled_, bytes.data(), part);
      filled_ += part;
      bytes.remove_prefix(part);
      if (filled_ == kWriteBufferBytes) {
        WEIR_TRY(flush());
      }
    }
    return {};
  }

  Status sync() override {
    WEIR_TRY(flush());
    // After a failed fsync the kernel may have dropped the pages: a second one would lie.
    return keep(sync_descriptor(file_.number(), path_));
  }

  Status close() override {
    const Status flushed = flush();
    if (!file_.release() && flushed.ok()) {
      return keep(system_error("close", path_, errno));
    }
    return flushed;
  }

  std::uint64_t size_bytes() const override { return size_; }

 private:
  Status flush() {
    WEIR_TRY(first_failure_);
    if (filled_ == 0) {
      return {};
    }
    const std::size_t size = std::exchange(filled_, 0);
    set_direct(size == kWriteBufferBytes && may_be_direct_ && flushed_ % kPageBytes == 0);
    flushed_ += size;
    // There are file systems that take the flag and not the write.
    return keep(write_all(file_.number(), path_, buffer_, size, [this] {
      may_be_direct_ = false;
      const bool was_direct = is_direct_;
      set_direct(false);
      return was_direct && !is_direct_;
    }));
  }

  void set_direct(bool is_direct) {
    if (is_direct == is_direct_) {
      return;
    }
    const int flags = ::fcntl(file_.number(), F_GETFL);
    const int wanted = is_direct ? flags | O_DIRECT : flags & ~O_DIRECT;
    if (flags >= 0 && ::fcntl(file_.number(), F_SETFL, wanted) == 0) {
      is_direct_ = is_direct;
    } else {
      may_be_direct_ = false;
    }
  }

  /// A file that lost bytes once stays failed.
  Status keep(Status status) {
    if (!status.ok() && first_failure_.ok()) {
      first_failure_ = status;
    }
    return status;
  }

  Descriptor file_;
  const std::string path_;
  char* buffer_ = nullptr;
  std::size_t filled_ = 0;
  std::uint64_t size_ = 0;
  std::uint64_t flushed_ = 0;
  bool may_be_direct_ = true;
  bool is_direct_ = false;
  Status first_failure_;
};

class LocalReadableFile final : public ReadableFile {
 public:
  LocalReadableFile(Descriptor file, std::string path, std::uint64_t size)
      : file_(std::move(file)), path_(std::move(path)), size_(size) {}

  Status read_at(std::uint64_t offset, std::size_t size, std::string& out) const override {
    // Checked against the file's size before anything is allocated for it.
    if (offset > size_ || size > size_ - offset) {
      return ends_early(path_, offset + size, size_);
    }
    out.resize(size);
    WEIR_ASSIGN(const std::size_t done,
                read_all_at(file_.number(), path_, offset, out.data(), size));
    if (done != size) {
      return ends_early(path_, offset + size, offset + done);
    }
    return {};
  }
  std::uint64_t size_bytes() const override { return size_; }

 private:
  Descriptor file_;
  const std::string path_;
  const std::uint64_t size_;
};

class LocalFileLock final : public FileLock {
 public:
  explicit LocalFileLock(Descriptor file) : file_(std::move(file)) {}

 private:
  Descriptor file_;  // flock ends with its descriptor
};

std::string random_prefix() {
  std::random_device chance;
  char text[32];
  std::snprintf(text, sizeof text, "%08x%08x", chance(), chance());
  return text;
}

}  // namespace

std::string join_path(std::string_view directory, std::string_view name) {
  std::string path(directory);
  if (!path.empty() && path.back() != '/') {
    path += '/';
  }
  while (!name.empty() && name.front() == '/') {
    name.remove_prefix(1);
  }
  return path.append(name);
}

LocalFileSystem::LocalFileSystem() : unique_prefix_(random_prefix()) {}

LocalFileSystem& local_file_system() {
  static LocalFileSystem files;
  return files;
}

std::string LocalFileSystem::aside_name(const std::string& path) {
  return path + std::string(kAsideInfix) + unique_prefix_ + "-" +
         std::to_string(next_unique_.fetch_add(1));
}

Result<std::string> LocalFileSystem::read(const std::string& path) {
  WEIR_ASSIGN(const auto file, open(path));
  std::string bytes;
  WEIR_TRY(file->read_at(0, static_cast<std::size_t>(file->size_bytes()), bytes));
  return bytes;
}

Result<std::string> LocalFileSystem::read_range(const std::string& path, std::uint64_t offset,
                                                std::size_t size) {
  WEIR_ASSIGN(const auto file, open(path));
  std::string bytes;
  WEIR_TRY(file->read_at(offset, size, bytes));
  return bytes;
}

Result<std::unique_ptr<ReadableFile>> LocalFileSystem::open(const std::string& path) {
  WEIR_ASSIGN(Descriptor file, open_descriptor(path, O_RDONLY, "open"));
  WEIR_ASSIGN(const std::uint64_t size, size_of(file.number(), path));
  return std::unique_ptr<ReadableFile>(
      std::make_unique<LocalReadableFile>(std::move(file), path, size));
}

Result<std::unique_ptr<WritableFile>> LocalFileSystem::create_writer(const std::string& path) {
  WEIR_ASSIGN(Descriptor file, open_descriptor(path, O_WRONLY | O_CREAT | O_EXCL, "create"));
  return std::unique_ptr<WritableFile>(std::make_unique<LocalWritableFile>(std::move(file), path));
}

Status LocalFileSystem::publish(const std::string& path, std::string_view bytes) {
  const std::string aside = aside_name(path);
  const auto write_aside = [&]() -> Status {
    WEIR_ASSIGN(Descriptor file, open_descriptor(aside, O_WRONLY | O_CREAT | O_EXCL, "create"));
    WEIR_TRY(write_all(file.number(), aside, bytes.data(), bytes.size(), [] { return false; }));
    WEIR_TRY(sync_descriptor(file.number(), aside));
    return file.release() ? Status() : Status(system_error("close", aside, errno));
  };
  Status status = write_aside();
  if (status.ok()) {
    status = rename_no_replace(aside, path);
  }
  if (!status.ok()) {
    (void)::unlink(aside.c_str());  // NOLINT: best effort, a leftover is garbage-collected
    Error failure = status.error().with_context("cannot publish " + path);
    if (failure.code == ErrorCode::kAlreadyExists) {
      failure.message = "cannot publish " + path + ": it exists already";
    }
    return failure;
  }
  // Sync the directory too: after a power cut a rename alone may be forgotten.
  const Status synced = sync_directory(parent_of(path));
  if (!synced.ok()) {
    return Error{
        ErrorCode::kUnknownOutcome,
        "published " + path + ", but its name may not be durable: " + synced.error().message};
  }
  return {};
}

Status LocalFileSystem::rename_no_replace(const std::string& from, const std::string& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) {
    return {};
  }
  if (errno != EINVAL && errno != ENOSYS) {
    return system_error("rename " + from + " to", to, errno);
  }
  // A file system without RENAME_NOREPLACE: a hard link refuses to replace as well.
  if (::link(from.c_str(), to.c_str()) != 0) {
    return system_error("link " + from + " to", to, errno);
  }
  if (::unlink(from.c_str()) != 0) {
    return system_error("remove", from, errno);
  }
  return {};
}

Status LocalFileSystem::remove(const std::string& path) {
  return ::unlink(path.c_str()) == 0 ? Status() : Status(system_error("remove", path, errno));
}

Status LocalFileSystem::remove_directory(const std::string& path) {
  return ::rmdir(path.c_str()) == 0 ? Status()
                                    : Status(system_error("remove directory", path, errno));
}

Result<std::vector<DirectoryEntry>> LocalFileSystem::list(const std::string& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(directory.c_str()), &::closedir);
  if (stream == nullptr) {
    return system_error("list", directory, errno);
  }
  std::vector<DirectoryEntry> entries;
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) {
      if (errno != 0) {
        return system_error("list", directory, errno);
      }
      break;
    }
    const std::string name = entry->d_name;
    if (name == "." || name == "..") {
      continue;
    }
    struct stat facts{};
    if (::fstatat(::dirfd(stream.get()), entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) {
        continue;
      }
      return system_error("stat", join_path(directory, name), errno);
    }
    entries.push_back({name, S_ISDIR(facts.st_mode), static_cast<std::uint64_t>(facts.st_size),
                       static_cast<TimestampMs>(facts.st_mtim.tv_sec) * 1000 +
                           static_cast<TimestampMs>(facts.st_mtim.tv_nsec) / 1'000'000});
  }
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return entries;
}

Result<bool> LocalFileSystem::exists(const std::string& path) {
  struct stat facts{};
  if (::stat(path.c_str(), &facts) == 0) {
    return true;
  }
  if (errno == ENOENT || errno == ENOTDIR) {
    return false;
  }
  return system_error("stat", path, errno);
}

Result<std::uint64_t> LocalFileSystem::size_bytes(const std::string& path) {
  WEIR_ASSIGN(const Descriptor file, open_descriptor(path, O_RDONLY, "open"));
  return size_of(file.number(), path);
}

Status LocalFileSystem::create_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0777) != 0) {
    return system_error("create directory", path, errno);
  }
  return sync_directory(parent_of(path));
}

Status LocalFileSystem::create_directories(const std::string& path) {
  struct stat facts{};
  if (::stat(path.c_str(), &facts) == 0) {
    return S_ISDIR(facts.st_mode) ? Status()
                                  : Status(system_error("create directory", path, EEXIST));
  }
  const std::string parent = parent_of(path);
  if (parent != path) {
    WEIR_TRY(create_directories(parent));
  }
  const Status created = create_directory(path);
  // Someone else may have been faster.
  if (!created.ok() && created.error().code == ErrorCode::kAlreadyExists) {
    return {};
  }
  return created;
}

Status LocalFileSystem::sync_directory(const std::string& path) {
  WEIR_ASSIGN(const Descriptor directory, open_descriptor(path, O_RDONLY | O_DIRECTORY, "open"));
  return sync_descriptor(directory.number(), path);
}

Result<std::unique_ptr<FileLock>> LocalFileSystem::lock(const std::string& path) {
  WEIR_ASSIGN(Descriptor file, open_descriptor(path, O_RDWR | O_CREAT, "open"));
  if (retry_interrupted([&] { return ::flock(file.number(), LOCK_EX | LOCK_NB); }) != 0) {
    if (errno == EWOULDBLOCK) {
      return Error{ErrorCode::kUnavailable, "cannot lock " + path + ": someone else holds it"};
    }
    return system_error("lock", path, errno);
  }
  return std::unique_ptr<FileLock>(std::make_unique<LocalFileLock>(std::move(file)));
}

}  // namespace weir
