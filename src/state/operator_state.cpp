#include "state/operator_state.h"

#include <utility>

#include "base/clock.h"
#include "weir/check.h"

namespace weir::state {
namespace {

using List = MemoryOperatorState::List;

void keep_own_share(List& list) {
  list.items.erase(list.items.begin(),
                   list.items.begin() + static_cast<std::ptrdiff_t>(list.others));
  list.others = 0;
}

/// Rewrites one item; false if it is malformed.
bool migrate_item(const SchemaMigration& migration, bool is_entry, TimestampMs now,
                  std::string& item) {
  Decoder in(item);
  std::string migrated;
  Encoder out(migrated);
  if (is_entry) {
    const std::string_view key = in.view(in.count());
    out.varint(key.size());
    out.bytes(key.data(), key.size());
  }
  if (!in.ok() || !migration.apply(in, out, now) || !in.exhausted()) {
    return false;
  }
  item = std::move(migrated);
  return true;
}

Status migrate(const SchemaMigration& migration, List& list) {
  if (migration.is_identity()) {
    return {};
  }
  const TimestampMs now = system_clock().wall_ms();
  for (std::string& item : list.items) {
    if (!migrate_item(migration, !list.key_schema.empty(), now, item)) {
      return Error{ErrorCode::kCorruption,
                   "an item is not of its stored schema, " + operator_state_text(list)};
    }
  }
  return {};
}

Error cannot_open(const std::string& name, const Error& why) {
  return why.with_context("operator state '" + name + "'");
}

}  // namespace

Result<OperatorStateBackend::Restored> MemoryOperatorState::open(const Descriptor& descriptor) {
  const std::string& name = descriptor.name;
  if (open_.contains(name)) {
    return Error{ErrorCode::kInvalidArgument,
                 "operator state '" + name +
                     "' is declared twice; lists, union lists and broadcast state of an operator "
                     "need names of their own"};
  }
  List list = declared_list(descriptor);
  Restored result;
  if (const auto found = restored_.find(name); found != restored_.end()) {
    const auto migration = plan_operator_state_migration(found->second, descriptor);
    if (!migration.ok()) {
      return cannot_open(name, migration.error());
    }
    List stored = std::move(found->second);
    restored_.erase(found);
    if (const Status migrated = migrate(migration.value(), stored); !migrated.ok()) {
      return cannot_open(name, migrated.error());
    }
    result = {stored.items, stored.others};
    keep_own_share(stored);
    list.items = std::move(stored.items);
  }
  open_.emplace(name, std::move(list));
  return result;
}

void MemoryOperatorState::set(const std::string& name, std::vector<std::string> items) {
  const auto found = open_.find(name);
  WEIR_CHECK_MESSAGE(found != open_.end(), "operator state is set before it is opened: " + name);
  found->second.items = std::move(items);
}

MemoryOperatorState::Lists MemoryOperatorState::snapshot() const {
  Lists lists = open_;
  for (const auto& [name, list] : restored_) {
    keep_own_share(lists.emplace(name, list).first->second);
  }
  return lists;
}

std::vector<std::string> MemoryOperatorState::unclaimed() const {
  std::vector<std::string> names;
  for (const auto& entry : restored_) {
    names.push_back(entry.first);
  }
  return names;
}

std::string_view operator_state_kind(OperatorStateBackend::Redistribution redistribution) {
  switch (redistribution) {
    case OperatorStateBackend::Redistribution::kSplit:
      return "list";
    case OperatorStateBackend::Redistribution::kUnion:
      return "union list";
    case OperatorStateBackend::Redistribution::kBroadcast:
      return "broadcast";
  }
  return "?";
}

std::string operator_state_text(const List& list) {
  return list.key_schema.empty() ? list.value_schema : list.key_schema + " -> " + list.value_schema;
}

List declared_list(const OperatorStateBackend::Descriptor& descriptor) {
  List list;
  list.redistribution = descriptor.redistribution;
  list.key_schema = descriptor.key == nullptr ? std::string() : descriptor.key->schema();
  list.value_schema = descriptor.value->schema();
  return list;
}

Result<SchemaMigration> plan_operator_state_migration(
    const List& stored, const OperatorStateBackend::Descriptor& descriptor) {
  const List present = declared_list(descriptor);
  const auto shown = [](const List& list) {
    const std::string text = operator_state_text(list);
    return std::string(operator_state_kind(list.redistribution)) + " state" +
           (text.empty() ? "" : " of " + text);
  };
  const auto refuse = [&](const std::string& why) {
    return Error{
        ErrorCode::kInvalidArgument,
        "was stored as " + shown(stored) + ", the job declares " + shown(present) + ": " + why};
  };
  if (stored.redistribution != present.redistribution) {
    return refuse("the kind of a state cannot change; give it another name");
  }
  if (stored.value_schema.empty()) {
    return SchemaMigration();
  }
  if (stored.key_schema != present.key_schema) {
    return refuse("the type of a key cannot change; give the state another name");
  }
  WEIR_ASSIGN(const Schema from, Schema::parse(stored.value_schema));
  WEIR_ASSIGN(const Schema to, Schema::parse(present.value_schema));
  auto migration = SchemaMigration::plan(from, to, descriptor.value->evolution());
  if (!migration.ok()) {
    return refuse(migration.error().message);
  }
  return migration;
}

}  // namespace weir::state
