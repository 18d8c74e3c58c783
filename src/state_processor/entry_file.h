#pragma once

#include <functional>
#include <string>
#include <vector>

#include "state_processor/keyed_state_reader.h"

namespace weir::state_processor {

/// Hands all entries of a state to the visitor, in the order of KeyedStateReader::read.
using EntrySource = std::function<Status(const state::StateSchema& state,
                                         const KeyedStateReader::Visitor& visitor)>;

/// Writes a state file of encoded entries. Blocks.
Result<state::SnapshotFileInfo> write_entry_file(FileSystem& files, const std::string& path,
                                                 const std::string& uid, int max_parallelism,
                                                 const std::vector<state::StateSchema>& states,
                                                 const EntrySource& source);

}  // namespace weir::state_processor
