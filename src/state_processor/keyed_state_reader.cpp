#include "state_processor/keyed_state_reader.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "state/key_group_index.h"

namespace weir::state_processor {
namespace {

std::string names_of(const std::vector<state::StateSchema>& states) {
  std::string names;
  for (const state::StateSchema& state : states) {
    names += (names.empty() ? "" : ", ") + state.name;
  }
  return names.empty() ? "none" : names;
}

/// What it is called where a state and timers have one name.
std::string name_with_kind(const state::StateSchema& state) {
  return (state.kind == state::StateKind::kTimers ? "timers/" : "keyed/") + state.name;
}

Result<const checkpoint::OperatorSnapshot*> find_operator(const checkpoint::Manifest& manifest,
                                                          const std::string& uid) {
  if (const auto* const op = checkpoint::find_uid(manifest.operators, uid)) {
    return op;
  }
  std::string known;
  for (const checkpoint::OperatorSnapshot& op : manifest.operators) {
    known += (known.empty() ? "" : ", ") + op.uid;
  }
  return Error{ErrorCode::kNotFound, "the snapshot has no operator with the uid '" + uid +
                                         "'; it has " + (known.empty() ? "none" : known)};
}

}  // namespace

/// The entries of one state in some key groups, as the files of a chain make them one by one.
class KeyedStateReader::Merge {
 public:
  Merge(const state::StateSchema& state, int max_parallelism, KeyGroupRange key_groups)
      : state_(state), wanted_(max_parallelism, key_groups), key_groups_(key_groups) {}

  Status add(const state::StateFileReader& file) {
    const auto& states = file.index().states;
    const auto found = std::find_if(states.begin(), states.end(), [&](const auto& one) {
      return state::is_same_state(one.schema, state_);
    });
    if (found == states.end()) {
      return {};
    }
    if (found->schema != state_) {
      return file.damaged("has the state '" + state_.name + "' with another schema than others");
    }
    for (const StateNamespace ns : found->dropped) {
      std::erase_if(entries_, [ns](const auto& entry) { return std::get<1>(entry.first) == ns; });
    }
    const auto number = static_cast<std::uint32_t>(found - states.begin());
    WEIR_TRY(visit_runs(file, number, /*is_erased=*/true));
    return visit_runs(file, number, /*is_erased=*/false);
  }

  Status visit(const Visitor& visitor) const {
    for (const auto& [id, entry] : entries_) {
      const auto& [group, ns, key] = id;
      WEIR_TRY(
          visitor({key_groups_.first + static_cast<int>(group), ns, entry.hash, key, entry.value}));
    }
    return {};
  }

 private:
  struct Entry {
    std::uint32_t hash = 0;
    std::string value;
  };

  Status visit_runs(const state::StateFileReader& file, std::uint32_t number, bool is_erased) {
    return file.read_state(number, key_groups_, [&](const state::EncodedRun& run) -> Status {
      if (state::is_erased_run(run.header) != is_erased) {
        return {};
      }
      return state::for_each_entry(
          state_, run, wanted_, [&](const state::EncodedEntry& entry) -> Status {
            const Id id{wanted_.of(entry.hash), run.header.ns, std::string(entry.key)};
            if (is_erased) {
              entries_.erase(id);
            } else {
              entries_.insert_or_assign(id, Entry{entry.hash, std::string(entry.value)});
            }
            return {};
          });
    });
  }

  using Id = std::tuple<std::uint32_t, StateNamespace, std::string>;
  const state::StateSchema& state_;
  const state::KeyGroupIndex wanted_;
  const KeyGroupRange key_groups_;
  std::map<Id, Entry> entries_;
};

Result<KeyedStateReader> KeyedStateReader::open(FileSystem& files,
                                                const checkpoint::LoadedSnapshot& snapshot,
                                                const std::string& uid) {
  WEIR_ASSIGN(const checkpoint::OperatorSnapshot* const op, find_operator(snapshot.manifest, uid));
  KeyedStateReader reader;
  reader.uid_ = uid;
  reader.max_parallelism_ = op->max_parallelism;
  WEIR_ASSIGN(reader.stored_, StoredState::open(files, *op, [&](const std::string& name) {
                return join_path(snapshot.location.root, name);
              }));
  for (const std::vector<state::RestoreFile>& stored : reader.stored_->chains()) {
    Chain chain;
    for (const state::RestoreFile& one : stored) {
      WEIR_ASSIGN(state::StateFileReader file, state::StateFileReader::open(files, one));
      chain.key_groups = file.index().key_groups;
      chain.bytes += one.expected.length_bytes;
      for (const auto& state : file.index().states) {
        const bool is_known = std::any_of(
            reader.states_.begin(), reader.states_.end(),
            [&](const auto& known) { return state::is_same_state(known, state.schema); });
        if (!is_known) {
          reader.states_.push_back(state.schema);
        }
      }
      chain.files.push_back(std::move(file));
    }
    reader.chains_.push_back(std::move(chain));
  }
  if (reader.chains_.empty()) {
    return Error{ErrorCode::kNotFound, "operator " + uid + " has no keyed state in the snapshot"};
  }
  std::sort(reader.states_.begin(), reader.states_.end(), [](const auto& a, const auto& b) {
    return std::tie(a.kind, a.name) < std::tie(b.kind, b.name);
  });
  std::sort(reader.chains_.begin(), reader.chains_.end(),
            [](const Chain& a, const Chain& b) { return a.key_groups.first < b.key_groups.first; });
  return reader;
}

Result<const state::StateSchema*> KeyedStateReader::find(const std::string& name) const {
  std::vector<const state::StateSchema*> found;
  for (const state::StateSchema& state : states_) {
    if (state.name == name) {
      found.push_back(&state);
    }
  }
  if (found.size() > 1) {
    return Error{ErrorCode::kInvalidArgument,
                 "operator " + uid_ + " has a state and timers named '" + name + "'; say " +
                     name_with_kind(*found[0]) + " or " + name_with_kind(*found[1])};
  }
  for (const state::StateSchema& state : states_) {
    if (found.empty() && name_with_kind(state) == name) {
      found.push_back(&state);
    }
  }
  if (found.empty()) {
    return Error{ErrorCode::kNotFound,
                 "operator " + uid_ + " has no state '" + name + "'; it has " + names_of(states_)};
  }
  return found.front();
}

Status KeyedStateReader::read(const state::StateSchema& state, KeyGroupRange key_groups,
                              const Visitor& visit, std::size_t memory_bytes_max) const {
  constexpr std::uint64_t overhead = 4;  // bytes in memory per byte in the files, at most about
  for (const Chain& chain : chains_) {
    const std::uint64_t parts = chain.bytes * overhead / std::max<std::size_t>(memory_bytes_max, 1);
    const int step = std::max(
        1, static_cast<int>(static_cast<std::uint64_t>(chain.key_groups.size()) / (parts + 1)));
    const int last = std::min(chain.key_groups.last, key_groups.last);
    for (int first = std::max(chain.key_groups.first, key_groups.first); first <= last;
         first += step) {
      Merge merge(state, max_parallelism_, {first, std::min(first + step - 1, last)});
      for (const state::StateFileReader& file : chain.files) {
        WEIR_TRY(merge.add(file));
      }
      WEIR_TRY(merge.visit(visit));
    }
  }
  return {};
}

Result<Schema> value_schema_of(const state::StateSchema& state) {
  return Schema::parse(state.kind == state::StateKind::kTimers ? "list<i64>" : state.value_schema);
}

}  // namespace weir::state_processor
