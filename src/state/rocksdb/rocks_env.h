#pragma once

#include <rocksdb/env.h>

namespace weir::state {

/// The machine's file system, without syncs: the working files of a job are never what it restarts
/// from, so nobody has to wait for the medium. Lives for ever.
rocksdb::Env* unsynced_env();

/// Where instances that are opened from now on keep their files: unsynced_env(), if no test has set
/// another one.
rocksdb::Env* working_files_env();
/// For tests. Lives as long as any instance that was opened with it; null: unsynced_env() again.
void set_working_files_env(rocksdb::Env* env);

}  // namespace weir::state
