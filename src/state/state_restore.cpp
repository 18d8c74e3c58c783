#include "state/state_restore.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "state/state_migration.h"
#include "weir/codec.h"

namespace weir::state {

namespace {

/// The state's number in the file, or nothing.
std::optional<std::uint32_t> number_of(const StateFileReader& reader,
                                       const std::pair<StateKind, std::string>& id) {
  const auto& states = reader.index().states;
  for (std::uint32_t i = 0; i < states.size(); ++i) {
    if (states[i].schema.kind == id.first && states[i].schema.name == id.second) {
      return i;
    }
  }
  return std::nullopt;
}

}  // namespace

Status StateRestore::add_files(FileSystem& files, const std::vector<RestoreFile>& state_files) {
  std::vector<Chain> chains;
  for (const RestoreFile& file : state_files) {
    WEIR_ASSIGN(StateFileReader reader, StateFileReader::open(files, file));
    if (reader.index().max_parallelism != max_parallelism_) {
      return Error{ErrorCode::kInvalidArgument,
                   "operator " + owner_ + ": state file " + file.path +
                       " was written with max parallelism " +
                       std::to_string(reader.index().max_parallelism) + ", the job has " +
                       std::to_string(max_parallelism_) + "; it cannot change later"};
    }
    WEIR_TRY(add_file(std::move(reader), chains));
  }
  for (const Chain& chain : chains) {
    WEIR_TRY(check_whole(chain));
  }
  chains_ = std::move(chains);
  return {};
}

Status StateRestore::add_file(StateFileReader reader, std::vector<Chain>& chains) const {
  const StateFileIndex& index = reader.index();
  const KeyGroupRange range = index.key_groups;
  for (Chain& chain : chains) {
    if (range.first > chain.key_groups.last || chain.key_groups.first > range.last) {
      continue;
    }
    const StateFileReader& last = chain.files.back();
    if (index.since == 0) {
      return reader.damaged("covers key groups that " + last.path() + " covers too");
    }
    if (range.first != chain.key_groups.first || range.last != chain.key_groups.last ||
        index.since != last.index().checkpoint) {
      return reader.damaged("does not build on " + last.path());
    }
    chain.files.push_back(std::move(reader));
    return {};
  }
  Chain chain;
  chain.key_groups = range;
  chain.files.push_back(std::move(reader));
  chains.push_back(std::move(chain));
  return {};
}

/// A chain may have lost its first files only if the others make every key group.
Status StateRestore::check_whole(const Chain& chain) {
  std::vector<KeyGroupRange> whole;
  for (const StateFileReader& reader : chain.files) {
    whole.push_back(reader.index().whole);
  }
  if (are_whole(whole, chain.key_groups)) {
    return {};
  }
  const StateFileReader& first = chain.files.front();
  return first.damaged("builds on checkpoint " + std::to_string(first.index().since) +
                       ", whose file is not there");
}

Result<const SchemaMigration*> StateRestore::migration_of(const RestoreTarget& table,
                                                          const StateSchema& stored) {
  const StateSchema& present = table.schema();
  if (present == stored) {
    return nullptr;
  }
  const std::pair<Id, std::string> id{{present.kind, present.name}, stored.value_schema};
  if (const auto found = migrations_.find(id); found != migrations_.end()) {
    return &found->second;
  }
  auto migration = plan_state_migration(stored, present, table.descriptor().value->evolution());
  if (!migration.ok()) {
    return Error{ErrorCode::kInvalidArgument,
                 "operator " + owner_ + ": state '" + present.name + "' was stored as " +
                     stored.key_schema + " -> " + stored.value_schema +
                     ", but the job declares it as " + present.key_schema + " -> " +
                     present.value_schema + ": " + migration.error().message};
  }
  for (const std::string& change : migration.value().changes()) {
    log().info("operator {}: state '{}': {}", owner_, present.name, change);
  }
  return &migrations_.emplace(id, std::move(migration).value()).first->second;
}

std::uint64_t StateRestore::Carried::entry_count() const {
  std::uint64_t total = 0;
  for (const Run& run : runs) {
    total += run.header.count;
  }
  return total;
}

std::uint64_t StateRestore::live_entries(const Chain& chain, const Id& id) {
  for (auto reader = chain.files.rbegin(); reader != chain.files.rend(); ++reader) {
    if (const auto number = number_of(*reader, id)) {
      return reader->index().states[*number].live;
    }
  }
  return 0;
}

/// As many of a state's entries as belong to this subtask's key groups, about.
std::uint64_t StateRestore::stored_entries(const RestoreTarget& table) const {
  const Id id{table.schema().kind, table.schema().name};
  double total = 0;
  for (const Chain& chain : chains_) {
    const KeyGroupRange common{std::max(chain.key_groups.first, key_groups_.first),
                               std::min(chain.key_groups.last, key_groups_.last)};
    total += static_cast<double>(live_entries(chain, id)) * common.size() / chain.key_groups.size();
  }
  return static_cast<std::uint64_t>(total);
}

/// A state with one namespace gets room for all of it. How many entries each of several namespaces
/// (windows) has is not stored; but runs are in the order of hashes, and hashes are spread evenly,
/// so the part of the range that a run covers tells how many entries belong to it.
Status StateRestore::make_room(const StateSchema& stored, const EncodedRun& run,
                               RestoreTarget& table) {
  if (run.header.ns == kNoNamespace) {
    if (std::exchange(sized_, &table) != &table) {
      table.reserve(kNoNamespace, RestoreTarget::kAllGroups, stored_entries(table));
    }
    return {};
  }
  constexpr std::uint64_t kEnoughToTell = 64;
  std::uint64_t count = 0;
  std::uint32_t lowest = ~0U;
  std::uint32_t highest = 0;
  WEIR_TRY(for_each_entry(stored, run, index_of_, [&](const EncodedEntry& entry) -> Status {
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
                                        ? RestoreTarget::kAllGroups
                                        : run.header.key_group - index_of_.first();
  table.reserve(run.header.ns, group_index, std::min(estimate, stored_entries(table)));
  return {};
}

Status StateRestore::load_run(const StoredAs& stored, const EncodedRun& run, bool may_replace,
                              RestoreTarget& table) {
  WEIR_TRY(make_room(stored.schema, run, table));
  if (stored.migration == nullptr && stored.schema.has_fixed_entries()) {
    WEIR_ASSIGN(const std::string_view entries,
                fixed_entries(stored.schema, run, index_of_, fixed_));
    return table.load_fixed(run.header.ns, entries, may_replace);
  }
  return for_each_entry(stored.schema, run, index_of_, [&](EncodedEntry entry) -> Status {
    if (stored.migration != nullptr) {
      migrated_.clear();
      Decoder in(entry.value);
      Encoder out(migrated_);
      if (!stored.migration->apply(in, out, now_ms_) || !in.exhausted()) {
        return Error{ErrorCode::kCorruption, "state '" + stored.schema.name + "': malformed value"};
      }
      entry.value = migrated_;
    }
    return table.load(run.header.ns, entry, may_replace);
  });
}

/// Within a file: what was dropped, what was erased, what is there.
Status StateRestore::load_file(const Chain& chain, const StateFileReader& reader,
                               std::uint32_t state, RestoreTarget& table) {
  const StateFileIndex::State& stored = reader.index().states[state];
  WEIR_ASSIGN(const SchemaMigration* const migration, migration_of(table, stored.schema));
  for (const StateNamespace ns : stored.dropped) {
    table.load_dropped(ns, chain.key_groups);
  }
  if (stored.erased != 0) {
    WEIR_TRY(reader.read_state(state, key_groups_, [&](const EncodedRun& run) -> Status {
      if (!is_erased_run(run.header)) {
        return {};
      }
      return for_each_entry(stored.schema, run, index_of_, [&](const EncodedEntry& entry) {
        return table.load_erased(run.header.ns, entry);
      });
    }));
  }
  const bool is_delta = reader.index().since != 0;
  return reader.read_state(state, key_groups_, [&](const EncodedRun& run) {
    return is_erased_run(run.header) ? Status()
                                     : load_run({stored.schema, migration}, run, is_delta, table);
  });
}

Status StateRestore::load_chain(const Chain& chain, const Id& id, RestoreTarget& table) {
  const std::uint64_t before = table.entry_count();
  for (const StateFileReader& reader : chain.files) {
    if (const auto number = number_of(reader, id)) {
      WEIR_TRY(load_file(chain, reader, *number, table));
    }
  }
  const bool is_all_wanted =
      chain.key_groups.first >= key_groups_.first && chain.key_groups.last <= key_groups_.last;
  const std::uint64_t loaded = table.entry_count() - before;
  if (is_all_wanted && loaded != live_entries(chain, id)) {
    return chain.files.back().damaged("state '" + id.second + "' has " + std::to_string(loaded) +
                                      " entries with the files that it builds on, it says " +
                                      std::to_string(live_entries(chain, id)));
  }
  return {};
}

Status StateRestore::load(RestoreTarget& table) {
  const Id id{table.schema().kind, table.schema().name};
  for (const Chain& chain : chains_) {
    WEIR_TRY(load_chain(chain, id, table));
  }
  const auto found = carried_.find(id);
  if (found != carried_.end()) {
    const StateSchema& schema = found->second.schema;
    WEIR_ASSIGN(const SchemaMigration* const migration, migration_of(table, schema));
    for (const Carried::Run& run : found->second.runs) {
      WEIR_TRY(load_run({schema, migration}, EncodedRun{run.header, run.entries}, false, table));
    }
    carried_.erase(found);
  }
  loaded_.insert(id);
  return {};
}

/// Encoded entries of one state while the files of a chain are applied to them.
class StateRestore::CarriedEntries {
 public:
  void put(std::uint32_t key_group, StateNamespace ns, std::string_view key,
           std::string_view bytes) {
    entries_[{key_group, ns}][std::string(key)] = bytes;
  }
  void erase(std::uint32_t key_group, StateNamespace ns, std::string_view key) {
    if (const auto found = entries_.find({key_group, ns}); found != entries_.end()) {
      found->second.erase(std::string(key));
    }
  }
  void drop(StateNamespace ns) {
    std::erase_if(entries_, [&](const auto& of_group) { return of_group.first.second == ns; });
  }
  /// One run per key group and namespace.
  std::vector<Carried::Run> take() {
    std::vector<Carried::Run> runs;
    for (const auto& [id, entries] : entries_) {
      if (entries.empty()) {
        continue;
      }
      Carried::Run& run =
          runs.emplace_back(Carried::Run{RunHeader{.key_group = id.first, .ns = id.second}, {}});
      for (const auto& [key, bytes] : entries) {
        run.entries += bytes;
        ++run.header.count;
      }
    }
    return runs;
  }

 private:
  std::map<std::pair<std::uint32_t, StateNamespace>, std::map<std::string, std::string>> entries_;
};

Status StateRestore::carry(const Chain& chain, const Id& id) {
  CarriedEntries entries;
  const KeyGroupIndex all(max_parallelism_, {0, max_parallelism_ - 1});
  for (const StateFileReader& reader : chain.files) {
    const auto number = number_of(reader, id);
    if (!number.has_value()) {
      continue;
    }
    const StateFileIndex::State& stored = reader.index().states[*number];
    const StateSchema& schema = stored.schema;
    Carried& carried = carried_.try_emplace(id, Carried{schema, {}}).first->second;
    if (carried.schema != schema) {
      return Error{ErrorCode::kCorruption, "operator " + owner_ + ": the state files disagree on " +
                                               "the schema of state '" + schema.name + "'"};
    }
    for (const StateNamespace ns : stored.dropped) {
      entries.drop(ns);
    }
    for (const bool is_erased : {true, false}) {
      WEIR_TRY(reader.read_state(*number, key_groups_, [&](const EncodedRun& run) -> Status {
        if (is_erased_run(run.header) != is_erased) {
          return {};
        }
        const char* next = run.entries.data();
        return for_each_entry(schema, run, all, [&](const EncodedEntry& entry) -> Status {
          const char* const end = is_erased ? entry.key.data() + entry.key.size()
                                            : entry.value.data() + entry.value.size();
          const std::string_view bytes(next, static_cast<std::size_t>(end - next));
          next = end;
          const std::uint32_t index = index_of_.of(entry.hash);
          if (index >= index_of_.count()) {
            return {};
          }
          const std::uint32_t key_group = index_of_.first() + index;
          if (is_erased) {
            entries.erase(key_group, run.header.ns, entry.key);
          } else {
            entries.put(key_group, run.header.ns, entry.key, bytes);
          }
          return {};
        });
      }));
    }
  }
  for (Carried::Run& run : entries.take()) {
    carried_.at(id).runs.push_back(std::move(run));
  }
  return {};
}

Result<std::vector<std::string>> StateRestore::finish() {
  for (const Chain& chain : chains_) {
    std::set<Id> left;
    for (const StateFileReader& reader : chain.files) {
      for (const StateFileIndex::State& state : reader.index().states) {
        if (const Id id{state.schema.kind, state.schema.name}; !loaded_.contains(id)) {
          left.insert(id);
        }
      }
    }
    for (const Id& id : left) {
      WEIR_TRY(carry(chain, id));
    }
  }
  chains_.clear();
  std::vector<std::string> names;
  for (const auto& [id, carried] : carried_) {
    names.push_back(id.second);
  }
  return names;
}

}  // namespace weir::state
