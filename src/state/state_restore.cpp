#include "state/state_restore.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace weir::state {

Status StateRestore::add_files(FileSystem& files, const std::vector<RestoreFile>& state_files) {
  std::vector<StateFileReader> readers;
  for (const RestoreFile& file : state_files) {
    WEIR_ASSIGN(StateFileReader reader, StateFileReader::open(files, file));
    const StateFileIndex& index = reader.index();
    if (index.max_parallelism != max_parallelism_) {
      return Error{ErrorCode::kInvalidArgument,
                   "operator " + owner_ + ": state file " + file.path +
                       " was written with max parallelism " +
                       std::to_string(index.max_parallelism) + ", the job has " +
                       std::to_string(max_parallelism_) + "; it cannot change later"};
    }
    for (const StateFileReader& other : readers) {
      const KeyGroupRange a = index.key_groups;
      const KeyGroupRange b = other.index().key_groups;
      if (a.first <= b.last && b.first <= a.last) {
        return reader.damaged("covers key groups that " + other.path() + " covers too");
      }
    }
    readers.push_back(std::move(reader));
  }
  files_ = std::move(readers);
  return {};
}

Status StateRestore::check_schema(const StateSchema& present, const StateSchema& stored) const {
  if (present == stored) {
    return {};
  }
  return Error{ErrorCode::kInvalidArgument, "operator " + owner_ + ": state '" + present.name +
                                                "' was stored as " + stored.key_schema + " -> " +
                                                stored.value_schema +
                                                ", but the job declares it as " +
                                                present.key_schema + " -> " + present.value_schema};
}

/// Entries of a state in a file, as many of them as belong to this subtask's key groups.
std::uint64_t StateRestore::stored_entries(const HeapTable& table) const {
  double stored = 0;
  for (const StateFileReader& reader : files_) {
    const KeyGroupRange of_file = reader.index().key_groups;
    const KeyGroupRange common{std::max(of_file.first, key_groups_.first),
                               std::min(of_file.last, key_groups_.last)};
    for (const StateFileIndex::State& state : reader.index().states) {
      if (state.schema == table.schema() && of_file.size() > 0) {
        stored += static_cast<double>(state.entries) * common.size() / of_file.size();
      }
    }
  }
  return static_cast<std::uint64_t>(stored);
}

/// A state with one namespace gets room for all of it. How many entries each of several namespaces
/// (windows) has is not stored; but runs are in the order of hashes, and hashes are spread evenly,
/// so the part of the range that a run covers tells how many entries belong to it.
Status StateRestore::make_room(const EncodedRun& run, HeapTable& table) {
  if (run.header.ns == kNoNamespace) {
    if (std::exchange(sized_, &table) != &table) {
      table.reserve(kNoNamespace, NamespaceShards::kAllGroups, stored_entries(table));
    }
    return {};
  }
  constexpr std::uint64_t kEnoughToTell = 64;
  std::uint64_t count = 0;
  std::uint32_t lowest = ~0U;
  std::uint32_t highest = 0;
  WEIR_TRY(for_each_entry(table.schema(), run, index_of_, [&](const EncodedEntry& entry) -> Status {
    ++count;
    lowest = std::min(lowest, entry.hash);
    highest = std::max(highest, entry.hash);
    return {};
  }));
  if (count < kEnoughToTell || highest == lowest) {
    return {};
  }
  const double share = (static_cast<double>(highest - lowest) + 1) / 0x1p32;
  const auto estimate = static_cast<std::uint64_t>(1.05 * static_cast<double>(count) / share);
  const std::uint32_t group_index = run.header.key_group == kMixedGroups
                                        ? NamespaceShards::kAllGroups
                                        : run.header.key_group - index_of_.first();
  table.reserve(run.header.ns, group_index, std::min(estimate, stored_entries(table)));
  return {};
}

Status StateRestore::load_run(const EncodedRun& run, HeapTable& table) {
  WEIR_TRY(make_room(run, table));
  return for_each_entry(table.schema(), run, index_of_, [&](const EncodedEntry& entry) {
    return table.load(run.header.ns, entry);
  });
}

Status StateRestore::load_file(const StateFileReader& reader, std::uint32_t state,
                               HeapTable& table) {
  WEIR_TRY(check_schema(table.schema(), reader.index().states[state].schema));
  return reader.read_state(state, key_groups_,
                           [&](const EncodedRun& run) { return load_run(run, table); });
}

Status StateRestore::load(HeapTable& table) {
  const Id id{table.schema().kind, table.schema().name};
  for (const StateFileReader& reader : files_) {
    const auto& states = reader.index().states;
    for (std::uint32_t i = 0; i < states.size(); ++i) {
      if (states[i].schema.kind == id.first && states[i].schema.name == id.second) {
        WEIR_TRY(load_file(reader, i, table));
      }
    }
  }
  const auto found = carried_.find(id);
  if (found != carried_.end()) {
    WEIR_TRY(check_schema(table.schema(), found->second.schema));
    for (const Carried::Run& run : found->second.runs) {
      WEIR_TRY(load_run(EncodedRun{run.header, run.entries}, table));
    }
    carried_.erase(found);
  }
  loaded_.insert(id);
  return {};
}

Status StateRestore::carry_file(const StateFileReader& reader, std::uint32_t state) {
  const StateSchema& schema = reader.index().states[state].schema;
  Carried& carried =
      carried_.try_emplace({schema.kind, schema.name}, Carried{schema, {}}).first->second;
  if (carried.schema != schema) {
    return Error{ErrorCode::kCorruption, "operator " + owner_ + ": the state files disagree on " +
                                             "the schema of state '" + schema.name + "'"};
  }
  return reader.read_state(state, key_groups_, [&](const EncodedRun& run) -> Status {
    Carried::Run kept{run.header, {}};
    kept.header.count = 0;
    const char* next = run.entries.data();
    WEIR_TRY(for_each_entry(schema, run, KeyGroupIndex(max_parallelism_, {0, max_parallelism_ - 1}),
                            [&](const EncodedEntry& entry) -> Status {
                              const char* end = entry.value.data() + entry.value.size();
                              if (index_of_.of(entry.hash) < index_of_.count()) {
                                kept.entries.append(next, end);
                                ++kept.header.count;
                              }
                              next = end;
                              return {};
                            }));
    if (kept.header.count != 0) {
      carried.runs.push_back(std::move(kept));
    }
    return {};
  });
}

Result<std::vector<std::string>> StateRestore::finish() {
  std::vector<std::string> names;
  for (const StateFileReader& reader : files_) {
    const auto& states = reader.index().states;
    for (std::uint32_t i = 0; i < states.size(); ++i) {
      if (!loaded_.contains({states[i].schema.kind, states[i].schema.name})) {
        WEIR_TRY(carry_file(reader, i));
      }
    }
  }
  files_.clear();
  for (const auto& [id, carried] : carried_) {
    names.push_back(id.second);
  }
  return names;
}

}  // namespace weir::state
