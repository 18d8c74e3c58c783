#include "state_processor/operator_state_reader.h"

#include <algorithm>
#include <utility>

#include "weir/codec.h"

namespace weir::state_processor {
namespace {

using Item = StoredOperatorState::Item;

Result<Item> entry_of(int subtask, const std::string& bytes) {
  Decoder in(bytes);
  const std::string_view key = in.view(in.count());
  if (!in.ok()) {
    return Error{ErrorCode::kCorruption, "an entry of broadcast state is malformed"};
  }
  return Item{subtask, std::string(key), std::string(in.rest())};
}

Status add_items(const checkpoint::SubtaskSnapshot& subtask, const checkpoint::ListState& list,
                 StoredOperatorState& to) {
  for (const std::string& bytes : list.items) {
    Item item{subtask.subtask, "", bytes};
    if (to.key.has_value()) {
      WEIR_ASSIGN(item, entry_of(subtask.subtask, bytes));
    }
    to.items.push_back(std::move(item));
  }
  return {};
}

}  // namespace

Result<std::optional<StoredOperatorState>> find_operator_state(const checkpoint::Manifest& manifest,
                                                               const std::string& uid,
                                                               const std::string& name) {
  const auto* const op = checkpoint::find_uid(manifest.operators, uid);
  if (op == nullptr) {
    return std::optional<StoredOperatorState>();
  }
  const auto schema = std::find_if(op->schemas.begin(), op->schemas.end(),
                                   [&](const auto& one) { return one.name == name; });
  if (schema == op->schemas.end()) {
    return std::optional<StoredOperatorState>();
  }
  StoredOperatorState found;
  found.kind = schema->kind;
  if (!schema->key_schema.empty()) {
    WEIR_ASSIGN(found.key, Schema::parse(schema->key_schema));
  }
  WEIR_ASSIGN(found.value, Schema::parse(schema->value_schema));
  bool has_copy = false;
  for (const checkpoint::SubtaskSnapshot& subtask : op->subtasks) {
    for (const checkpoint::ListState& list : subtask.lists) {
      const bool is_copy =
          list.redistribution == OperatorStateBackend::Redistribution::kBroadcast && has_copy;
      if (list.name == name && !is_copy) {
        has_copy = true;
        WEIR_TRY(add_items(subtask, list, found));
      }
    }
  }
  std::stable_sort(found.items.begin(), found.items.end(), [&](const Item& a, const Item& b) {
    return found.key.has_value() ? a.key < b.key : a.subtask < b.subtask;
  });
  return std::optional<StoredOperatorState>(std::move(found));
}

}  // namespace weir::state_processor
