#pragma once

#include "checkpoint/snapshot_directory.h"
#include "output.h"

namespace weir::cli {

/// The members that every command shows of a snapshot.
Json summary_of(const checkpoint::LoadedSnapshot& snapshot);
/// The same, or {"path", "error"} when its manifest cannot be read.
Json summary_of(const checkpoint::ListedSnapshot& snapshot);

/// "checkpoint 7", "savepoint 7".
std::string title_of(const Json& summary);

}  // namespace weir::cli
