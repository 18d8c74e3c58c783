#pragma once

#include <rocksdb/env.h>

namespace weir::state {

/// The machine's file system, without syncs: the working files of a job are never what it restarts
/// from, so nobody has to wait for the medium. Lives for ever.
rocksdb::Env* unsynced_env();

}  // namespace weir::state
