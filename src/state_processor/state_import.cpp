#include "state_processor/state_import.h"

#include <algorithm>
#include <vector>

#include "state_processor/entry_file.h"

namespace weir::state_processor {
namespace {

bool has(const KeyedStateReader& reader, const state::StateSchema& state) {
  return std::any_of(reader.states().begin(), reader.states().end(),
                     [&](const auto& one) { return state::is_same_state(one, state); });
}

}  // namespace

void StateImport::put(StateNamespace ns, std::uint32_t hash, std::string key, std::string value) {
  entries_.insert_or_assign(Id{key_group_of(hash, max_parallelism_), ns, std::move(key)},
                            Entry{hash, std::move(value)});
}

void StateImport::erase(StateNamespace ns, std::uint32_t hash, std::string key) {
  entries_.insert_or_assign(Id{key_group_of(hash, max_parallelism_), ns, std::move(key)},
                            Entry{hash, std::nullopt});
}

Status StateImport::visit(const state::StateSchema& state, const KeyedStateReader* reader,
                          bool replaces, const KeyedStateReader::Visitor& visitor) const {
  const bool is_target = state::is_same_state(state, schema_);
  auto next = is_target ? entries_.begin() : entries_.end();
  const auto visit_next = [&]() -> Status {
    const auto& [group, ns, key] = next->first;
    const Entry& entry = next->second;
    ++next;
    return entry.value.has_value() ? visitor({group, ns, entry.hash, key, *entry.value}) : Status();
  };
  const bool has_old = reader != nullptr && !(is_target && replaces) && has(*reader, state);
  if (has_old) {
    const Status read =
        reader->read(state, {0, max_parallelism_ - 1}, [&](const StoredEntry& old) -> Status {
          const Id id{old.key_group, old.ns, std::string(old.key)};
          while (next != entries_.end() && next->first < id) {
            WEIR_TRY(visit_next());
          }
          const bool is_replaced = next != entries_.end() && next->first == id;
          return is_replaced ? visit_next() : visitor(old);
        });
    WEIR_TRY(read);
  }
  while (next != entries_.end()) {
    WEIR_TRY(visit_next());
  }
  return {};
}

Result<state::SnapshotFileInfo> StateImport::write(FileSystem& files, const std::string& path,
                                                   const std::string& uid,
                                                   const KeyedStateReader* reader,
                                                   bool replaces) const {
  std::vector<state::StateSchema> states;
  if (reader != nullptr) {
    states = reader->states();
  }
  if (reader == nullptr || !has(*reader, schema_)) {
    states.push_back(schema_);
  }
  return write_entry_file(
      files, path, uid, max_parallelism_, states,
      [&](const state::StateSchema& state, const KeyedStateReader::Visitor& visitor) {
        return visit(state, reader, replaces, visitor);
      });
}

}  // namespace weir::state_processor
