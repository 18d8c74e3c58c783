#include "state/operator_state.h"

#include <stdexcept>
#include <utility>

namespace weir::state {

std::vector<std::string> MemoryOperatorState::restored(const std::string& name,
                                                       Redistribution redistribution) {
  claimed_.insert(name);
  const auto found = restored_.find(name);
  if (found == restored_.end()) {
    return {};
  }
  if (found->second.redistribution != redistribution) {
    // Thrown because the job is to blame, as by user code, and this interface returns no Result.
    throw std::invalid_argument("operator state '" + name +
                                "' was stored with another redistribution");
  }
  return found->second.items;
}

void MemoryOperatorState::set(const std::string& name, Redistribution redistribution,
                              std::vector<std::string> items) {
  current_.insert_or_assign(name, List{redistribution, std::move(items)});
}

MemoryOperatorState::Lists MemoryOperatorState::snapshot() const {
  Lists lists = current_;
  for (const auto& [name, list] : restored_) {
    if (list.redistribution == Redistribution::kUnion && subtask_ != 0) {
      continue;
    }
    lists.try_emplace(name, list);
  }
  return lists;
}

std::vector<std::string> MemoryOperatorState::unclaimed() const {
  std::vector<std::string> names;
  for (const auto& [name, list] : restored_) {
    if (!claimed_.contains(name)) {
      names.push_back(name);
    }
  }
  return names;
}

}  // namespace weir::state
