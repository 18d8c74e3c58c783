#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "record/schema_migration.h"
#include "weir/operator_state_backend.h"

namespace weir::state {

/// Operator state of one subtask: named lists of items. Where items are kept and how they are dealt
/// out on restore is the caller's business.
class MemoryOperatorState final : public OperatorStateBackend {
 public:
  struct List {
    Redistribution redistribution = Redistribution::kSplit;
    std::vector<std::string> items;
    /// Of items; both empty in snapshots that do not tell: then they are taken as they are.
    std::string key_schema;  ///< empty when items are values alone
    std::string value_schema;
    /// So many items at the front are other subtasks': only in what is restored.
    std::size_t others = 0;
    friend bool operator==(const List&, const List&) = default;
  };
  using Lists = std::map<std::string, List>;

  /// What this subtask got of the checkpoint. REQUIRES: before the operator opens.
  void set_restored(Lists lists) { restored_ = std::move(lists); }

  Result<Restored> open(const Descriptor& descriptor) override;
  void set(const std::string& name, std::vector<std::string> items) override;

  /// What the next snapshot stores: all states that are open, and restored ones that nobody opened,
  /// so that they are not lost. Of union lists a subtask stores its own share, as all of them got
  /// all items, which must not multiply.
  Lists snapshot() const;
  /// Names of restored lists that nobody opened.
  std::vector<std::string> unclaimed() const;

 private:
  Lists restored_;  // without those that are open
  Lists open_;
};

/// "list", "union list", "broadcast"
std::string_view operator_state_kind(OperatorStateBackend::Redistribution redistribution);
/// "struct{...}", or "i64 -> struct{...}" when items are entries; empty when unknown.
std::string operator_state_text(const MemoryOperatorState::List& list);
/// The present form of a state, without items.
MemoryOperatorState::List declared_list(const OperatorStateBackend::Descriptor& descriptor);
/// How stored items become those of the descriptor's type. kInvalidArgument saying why they cannot.
Result<SchemaMigration> plan_operator_state_migration(
    const MemoryOperatorState::List& stored, const OperatorStateBackend::Descriptor& descriptor);

}  // namespace weir::state
