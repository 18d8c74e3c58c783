#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/file_system.h"
#include "weir/result.h"

namespace weir::checkpoint {

struct DisposedSavepoint {
  std::string directory;
  std::uint64_t files = 0;  ///< deleted, the manifest included
  std::uint64_t bytes = 0;
  /// In the directory but not of the savepoint: left alone, and the directory with them.
  std::vector<std::string> left;
};

/// Deletes a savepoint: its manifest first, so that it stops to exist before its files do, then the
/// files it names, then its directory. kInvalidArgument, and nothing is deleted, when `path` is a
/// checkpoint (those are the job's) or names files outside its own directory; kNotFound when it is
/// no snapshot.
Result<DisposedSavepoint> dispose_savepoint(FileSystem& files, const std::string& path);

}  // namespace weir::checkpoint
