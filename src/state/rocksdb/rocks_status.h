#pragma once

#include <string>
#include <utility>

#include <rocksdb/status.h>

#include "weir/result.h"

namespace weir::state {

/// A failure of RocksDB as one of weir's; `what` names the action and the directory.
///
/// Never kCorruption, which ends a job for good: RocksDB works on files of this machine, and the
/// bytes of the checkpoint that they came from were verified. A restart makes them anew.
inline Error rocks_error(const rocksdb::Status& status, const std::string& what) {
  std::string message = what + ": " + status.ToString();
  if (status.IsCorruption()) {
    message +=
        " (a working file on this machine is damaged; a restart makes it anew from the last "
        "checkpoint. If it happens again, check the disk, or set state.backend.rocksdb.localdir to "
        "a "
        "directory of another one)";
  }
  return Error{status.IsNoSpace() ? ErrorCode::kNoSpace : ErrorCode::kIo, std::move(message)};
}

inline Status to_status(const rocksdb::Status& status, const std::string& what) {
  return status.ok() ? Status() : Status(rocks_error(status, what));
}

}  // namespace weir::state
