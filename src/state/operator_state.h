#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "weir/state_table.h"

namespace weir::state {

/// Operator state of one subtask: named lists of opaque items. Where items are kept and how they
/// are dealt out on restore is the caller's business.
class MemoryOperatorState final : public OperatorStateBackend {
 public:
  struct List {
    Redistribution redistribution = Redistribution::kSplit;
    std::vector<std::string> items;
    friend bool operator==(const List&, const List&) = default;
  };
  using Lists = std::map<std::string, List>;

  explicit MemoryOperatorState(int subtask) : subtask_(subtask) {}

  /// What this subtask got of the checkpoint. REQUIRES: before the operator opens.
  void set_restored(Lists lists) { restored_ = std::move(lists); }

  /// Throws std::invalid_argument if the items were stored with another redistribution.
  std::vector<std::string> restored(const std::string& name,
                                    Redistribution redistribution) override;
  void set(const std::string& name, Redistribution redistribution,
           std::vector<std::string> items) override;

  /// What the next snapshot stores: all lists that were set, and restored lists that nobody
  /// replaced, so that they are not lost. Of restored union lists only subtask 0 keeps a copy:
  /// every subtask got all items, and they must not multiply.
  Lists snapshot() const;
  /// Names of restored lists that no restored() call asked for.
  std::vector<std::string> unclaimed() const;

 private:
  Lists restored_;
  Lists current_;
  std::set<std::string> claimed_;
  int subtask_ = 0;
};

}  // namespace weir::state
