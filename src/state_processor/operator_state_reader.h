#pragma once

#include <optional>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"
#include "record/schema.h"
#include "weir/result.h"

namespace weir::state_processor {

/// One state of an operator that is not keyed, as a snapshot holds it: all subtasks together.
struct StoredOperatorState {
  struct Item {
    int subtask = 0;
    std::string key;  ///< encoded; empty unless it is an entry of broadcast state
    std::string value;
  };
  std::string kind;  ///< "list", "union list", "broadcast"
  std::optional<Schema> key;
  Schema value;
  /// By subtask. Of broadcast state one copy, as all are equal, by the bytes of the key.
  std::vector<Item> items;
};

/// Nothing when the operator has no such state, or it is of a snapshot without schemas of operator
/// state. kCorruption when an entry is malformed.
Result<std::optional<StoredOperatorState>> find_operator_state(const checkpoint::Manifest& manifest,
                                                               const std::string& uid,
                                                               const std::string& name);

}  // namespace weir::state_processor
