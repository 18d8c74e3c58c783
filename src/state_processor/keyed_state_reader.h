#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "checkpoint/snapshot_directory.h"
#include "io/file_system.h"
#include "record/schema.h"
#include "state/state_file_reader.h"
#include "state_processor/stored_state.h"
#include "weir/key_group.h"
#include "weir/result.h"
#include "weir/state_table.h"

namespace weir::state_processor {

/// One entry of keyed state, encoded. The views are valid during the visit.
struct StoredEntry {
  int key_group = 0;
  StateNamespace ns = kNoNamespace;
  std::uint32_t hash = 0;
  std::string_view key;
  std::string_view value;
};

/// The keyed state of one operator in a snapshot, all subtasks together: chains of files are put
/// together entry by entry. The job is not needed.
class KeyedStateReader {
 public:
  /// Reads every byte of the operator's state files and checks them. kNotFound naming the uids or
  /// the operator's kind when the snapshot has no keyed state of it.
  static Result<KeyedStateReader> open(FileSystem& files,
                                       const checkpoint::LoadedSnapshot& snapshot,
                                       const std::string& uid);

  const std::string& uid() const { return uid_; }
  int max_parallelism() const { return max_parallelism_; }
  /// By kind and name.
  const std::vector<state::StateSchema>& states() const { return states_; }
  /// The keyed state or the timers of that name; where there are both, "keyed/name" and
  /// "timers/name". kNotFound naming those there are.
  Result<const state::StateSchema*> find(const std::string& name) const;

  using Visitor = std::function<Status(const StoredEntry& entry)>;
  /// Entries in the key groups, ordered by key group, namespace and the bytes of the key. Holds
  /// `memory_bytes_max` at a time, or what one key group takes.
  Status read(const state::StateSchema& state, KeyGroupRange key_groups, const Visitor& visit,
              std::size_t memory_bytes_max = std::size_t{256} << 20) const;

 private:
  struct Chain {
    KeyGroupRange key_groups;
    std::vector<state::StateFileReader> files;
    std::uint64_t bytes = 0;
  };
  class Merge;

  KeyedStateReader() = default;

  std::string uid_;
  int max_parallelism_ = 0;
  std::vector<Chain> chains_;
  std::optional<StoredState> stored_;  ///< what the chains read
  std::vector<state::StateSchema> states_;
};

/// The schema of the values of a state: of timers a list of their times.
Result<Schema> value_schema_of(const state::StateSchema& state);

}  // namespace weir::state_processor
