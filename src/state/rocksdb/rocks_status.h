#pragma once

#include <string>

#include <rocksdb/status.h>

#include "weir/result.h"

namespace weir::state {

/// A failure of RocksDB as one of weir's; `what` names the action and the directory.
inline Error rocks_error(const rocksdb::Status& status, const std::string& what) {
  const ErrorCode code = status.IsNoSpace()      ? ErrorCode::kNoSpace
                         : status.IsCorruption() ? ErrorCode::kCorruption
                                                 : ErrorCode::kIo;
  return Error{code, what + ": " + status.ToString()};
}

inline Status to_status(const rocksdb::Status& status, const std::string& what) {
  return status.ok() ? Status() : Status(rocks_error(status, what));
}

}  // namespace weir::state
