#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/file_system.h"
#include "state/snapshot.h"
#include "state/state_file.h"
#include "weir/result.h"

namespace weir::state {

/// Looks at state files without restoring them: for tools.

/// What a file says it holds. Reads the lengths of its blocks and the index, not the entries, so it
/// is cheap for a file of any size. Says nothing about the entries being whole.
Result<StateFileIndex> read_state_file_index(FileSystem& files, const std::string& path);

struct KeyGroupSize {
  int key_group = 0;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;  ///< of hashes, keys and values as they are encoded

  friend bool operator==(const KeyGroupSize&, const KeyGroupSize&) = default;
};

struct StateFileSurvey {
  StateFileIndex index;
  std::vector<KeyGroupSize> key_groups;  ///< those with entries, ascending
};

/// Reads the whole file as a restore does and then every entry: each must be whole and in a key
/// group of the file. kCorruption naming the file and, where one byte or block is to blame, that
/// byte.
Result<StateFileSurvey> survey_state_file(FileSystem& files, const RestoreFile& file);

}  // namespace weir::state
