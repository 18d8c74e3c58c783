#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "weir/result.h"
#include "weir/time.h"

namespace weir {

/// A new file that is written from front to back. Used by one thread at a time.
///
/// What was appended survives a process that dies once it was flushed by sync() or close(), and a
/// power cut only after sync(). Going out of scope without close() leaves a file of any length.
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  virtual Status append(std::string_view bytes) = 0;
  /// Everything appended so far is on the medium when this returns success. After a failure the
  /// file is useless: a second sync() would not tell the truth, so it fails as well.
  virtual Status sync() = 0;
  /// Hands the bytes to the file system and gives the descriptor back. Not durable by itself.
  virtual Status close() = 0;
  /// Bytes appended so far.
  virtual std::uint64_t size_bytes() const = 0;
};

/// An existing file. read_at may be called from several threads.
class ReadableFile {
 public:
  virtual ~ReadableFile() = default;
  /// Replaces `out` by exactly `size` bytes; a file that ends earlier is kCorruption.
  virtual Status read_at(std::uint64_t offset, std::size_t size, std::string& out) const = 0;
  virtual std::uint64_t size_bytes() const = 0;
};

/// Held until it is destroyed or its process ends, however that comes about.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

struct DirectoryEntry {
  std::string name;  ///< without the directory
  bool is_directory = false;
  std::uint64_t size_bytes = 0;
  TimestampMs modified_ms = 0;
};

/// The operations on files that durable formats need, and no others. Thread-safe.
///
/// Errors name the action and the path. kNotFound, kAlreadyExists, kNoSpace and kUnknownOutcome
/// mean what they say; anything else is kIo.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual Result<std::string> read(const std::string& path) = 0;
  /// Exactly `size` bytes; a file that ends earlier is kCorruption.
  virtual Result<std::string> read_range(const std::string& path, std::uint64_t offset,
                                         std::size_t size) = 0;
  virtual Result<std::unique_ptr<ReadableFile>> open(const std::string& path) = 0;
  /// A file that must not exist yet. Its name is durable after sync_directory of its directory.
  virtual Result<std::unique_ptr<WritableFile>> create_writer(const std::string& path) = 0;
  /// Put-if-absent: afterwards `path` holds all of `bytes`, durably, or does not exist.
  /// kAlreadyExists: something is there and was left alone. kUnknownOutcome: it may or may not be
  /// there; read it back. Leftovers of a crash are called "<path>.aside-<unique>".
  virtual Status publish(const std::string& path, std::string_view bytes) = 0;
  /// kAlreadyExists when `to` exists. Does not make the change durable.
  virtual Status rename_no_replace(const std::string& from, const std::string& to) = 0;
  /// Removes a file; kNotFound when there is none.
  virtual Status remove(const std::string& path) = 0;
  /// Removes an empty directory; kNotFound when there is none.
  virtual Status remove_directory(const std::string& path) = 0;
  /// Entries sorted by name; kNotFound when there is no such directory. An entry that vanishes
  /// while listing is left out.
  virtual Result<std::vector<DirectoryEntry>> list(const std::string& directory) = 0;
  virtual Result<bool> exists(const std::string& path) = 0;
  virtual Result<std::uint64_t> size_bytes(const std::string& path) = 0;
  /// Creates the directory durably; kAlreadyExists when something has that name.
  virtual Status create_directory(const std::string& path) = 0;
  /// Creates the directory and missing parents durably. Fine if it exists.
  virtual Status create_directories(const std::string& path) = 0;
  virtual Status sync_directory(const std::string& path) = 0;
  /// Takes an exclusive lock on a file, created if missing; kUnavailable when another holder,
  /// of this or another process, has it.
  virtual Result<std::unique_ptr<FileLock>> lock(const std::string& path) = 0;
};

/// "<directory>/<name>" with exactly one slash between.
std::string join_path(std::string_view directory, std::string_view name);

/// What is inserted between a published name and its unique part while it is written aside.
inline constexpr std::string_view kAsideInfix = ".aside-";

}  // namespace weir
