#include "state/rocksdb/rocks_restore.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "io/local_file_system.h"
#include "state/rocksdb/rocks_snapshot.h"

namespace weir::state {
namespace {

using RestoreFrom = RocksDbBackend::RestoreFrom;

KeyGroupRange both(KeyGroupRange a, KeyGroupRange b) {
  return {std::max(a.first, b.first), std::min(a.last, b.last)};
}

/// What one old subtask stored.
struct Stored {
  RocksIndex index;
  std::string index_path;
  std::vector<RestoreFrom> tables;  ///< parallel to index.tables
};

Error damaged(const std::string& path, const std::string& what) {
  return Error{ErrorCode::kCorruption, "state file " + path + ": " + what};
}

Result<std::vector<Stored>> read_indexes(FileSystem& files, const std::vector<RestoreFrom>& from) {
  std::vector<Stored> all;
  for (const RestoreFrom& one : from) {
    if (one.file.meta == kRocksIndexMeta) {
      Stored stored;
      WEIR_ASSIGN(stored.index, read_rocks_index(files, {one.path, one.file.file}));
      stored.index_path = one.path;
      all.push_back(std::move(stored));
    } else if (all.empty() || !one.file.meta.starts_with(kRocksTableMeta)) {
      return damaged(
          one.path, "the manifest says '" + one.file.meta + "' of it, which is no file of RocksDB");
    } else {
      all.back().tables.push_back(one);
    }
  }
  for (const Stored& stored : all) {
    const RocksIndex& index = stored.index;
    bool is_same = index.tables.size() == stored.tables.size();
    for (std::size_t i = 0; is_same && i < index.tables.size(); ++i) {
      const RocksDbFile& file = stored.tables[i].file;
      is_same = file.meta == std::string(kRocksTableMeta) + index.tables[i].name &&
                file.file.length_bytes == index.tables[i].length_bytes &&
                file.file.crc32c == index.tables[i].crc32c;
    }
    if (!is_same) {
      return damaged(stored.index_path, "names other files than the manifest");
    }
  }
  return all;
}

Status check_whole(FileSystem& files, const RestoreFrom& table) {
  WEIR_ASSIGN(const FileSummary actual, summarize_file(files, table.path));
  const FileSummary& expected = table.file.file;
  if (actual.length_bytes == expected.length_bytes && actual.crc32c == expected.crc32c) {
    return {};
  }
  return damaged(table.path, "has " + std::to_string(actual.length_bytes) + " bytes with CRC32C " +
                                 std::to_string(actual.crc32c) + ", the manifest says " +
                                 std::to_string(expected.length_bytes) + " bytes with " +
                                 std::to_string(expected.crc32c));
}

/// Of what was done to working files.
Status local(Status status) { return status.ok() ? status : Status(with_mend(status.error())); }

/// Another name of the same file where that is possible, else a copy.
Status bring(FileSystem& files, const std::string& from, const std::string& to) {
  std::error_code failure;
  std::filesystem::create_hard_link(from, to, failure);
  if (!failure) {
    return {};
  }
  constexpr std::size_t kCopyBytes = std::size_t{1} << 20;
  WEIR_ASSIGN(const auto in, files.open(from));
  auto out = local_file_system().create_writer(to);
  WEIR_TRY(local(out.status()));
  std::string bytes;
  const std::uint64_t size = in->size_bytes();
  for (std::uint64_t at = 0; at < size; at += bytes.size()) {
    WEIR_TRY(in->read_at(
        at, static_cast<std::size_t>(std::min<std::uint64_t>(kCopyBytes, size - at)), bytes));
    WEIR_TRY(local(out.value()->append(bytes)));
  }
  return local(out.value()->close());
}

Status write_small(const std::string& path, const std::string& bytes) {
  auto out = local_file_system().create_writer(path);
  WEIR_TRY(local(out.status()));
  WEIR_TRY(local(out.value()->append(bytes)));
  return local(out.value()->close());
}

Result<std::unique_ptr<RocksStore>> open_copy(FileSystem& files, const Stored& stored,
                                              const RocksStore::Options& options) {
  const std::string path = options.directory->next(options.owner);
  const auto opened = [&]() -> Result<std::unique_ptr<RocksStore>> {
    WEIR_TRY(local(local_file_system().create_directories(path)));
    WEIR_TRY(do_all(options.transfers, stored.tables.size(), [&](std::size_t i) {
      return bring(files, stored.tables[i].path, join_path(path, stored.index.tables[i].name));
    }));
    WEIR_TRY(write_small(join_path(path, stored.index.manifest_name), stored.index.manifest));
    WEIR_TRY(write_small(join_path(path, "CURRENT"), stored.index.current));
    std::vector<RocksStore::FamilySpec> families;
    for (const RocksIndex::State& state : stored.index.states) {
      for (const RocksIndex::Family& family : state.families) {
        families.push_back({family.name, family.key_groups});
      }
    }
    return RocksStore::open(options, path, families);
  };
  Result<std::unique_ptr<RocksStore>> store = opened();
  if (!store.ok()) {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  return store;
}

/// Adds the counts of some key groups.
void merge_counts(const std::vector<RocksIndex::Namespace>& from, KeyGroupRange key_groups,
                  std::map<StateNamespace, std::map<std::uint32_t, std::uint64_t>>& to) {
  for (const RocksIndex::Namespace& space : from) {
    for (const GroupCounts::Count& count : space.groups) {
      if (key_groups.contains(static_cast<int>(count.key_group))) {
        to[space.ns][count.key_group] += count.entries;
      }
    }
  }
}

/// Links what is wanted of several instances into a new one.
Result<RestoredRocks> import_all(FileSystem& files, const std::vector<Stored>& all,
                                 const RocksStore::Options& options, KeyGroupRange key_groups) {
  RestoredRocks result;
  WEIR_ASSIGN(result.store, RocksStore::open(options, options.directory->next(options.owner), {}));
  std::map<std::pair<StateKind, std::string>,
           std::map<StateNamespace, std::map<std::uint32_t, std::uint64_t>>>
      counts;
  RocksStore::Options for_export = options;
  for_export.has_compactions = false;
  for (const Stored& stored : all) {
    WEIR_ASSIGN(const std::unique_ptr<RocksStore> old, open_copy(files, stored, for_export));
    for (const RocksIndex::State& state : stored.index.states) {
      const std::pair<StateKind, std::string> id{state.schema.kind, state.schema.name};
      StoredRocksState& to =
          result.states.try_emplace(id, StoredRocksState{state.schema, {}, {}, state.layout})
              .first->second;
      if (to.schema != state.schema || to.layout != state.layout) {
        return damaged(stored.index_path, "has another schema of state '" + state.schema.name +
                                              "' than the files of other subtasks");
      }
      for (const RocksIndex::Family& family : state.families) {
        const KeyGroupRange wanted = both(family.key_groups, key_groups);
        if (wanted.last < wanted.first) {
          continue;
        }
        WEIR_ASSIGN(
            RocksStore::Family * imported,
            result.store->import(*old, family.name,
                                 rocks_family_name(*result.store, state.schema, wanted), wanted));
        to.families.push_back(imported);
      }
      merge_counts(state.namespaces, key_groups, counts[id]);
    }
  }
  for (auto& [id, state] : result.states) {
    WEIR_TRY(fill_families(*result.store, state, key_groups));
    for (const auto& [ns, groups] : counts[id]) {
      RocksIndex::Namespace space{ns, {}};
      for (const auto& [group, entries] : groups) {
        space.groups.push_back({group, entries});
      }
      state.namespaces.push_back(std::move(space));
    }
  }
  return result;
}

}  // namespace

std::string rocks_family_name(RocksStore& store, const StateSchema& schema,
                              KeyGroupRange key_groups) {
  std::string name = (schema.kind == StateKind::kTimers ? "timers:" : "table:") + schema.name +
                     "#" + std::to_string(key_groups.first) + "-" + std::to_string(key_groups.last);
  while (store.family(name) != nullptr) {
    name += "'";
  }
  return name;
}

Status fill_families(RocksStore& store, StoredRocksState& state, KeyGroupRange key_groups) {
  std::vector<RocksStore::Family*>& families = state.families;
  std::sort(families.begin(), families.end(),
            [](const RocksStore::Family* a, const RocksStore::Family* b) {
              return a->key_groups.first < b->key_groups.first;
            });
  std::vector<RocksStore::Family*> filled;
  int next = key_groups.first;
  const auto fill_up_to = [&](int end) -> Status {
    if (next < end) {
      const KeyGroupRange gap{next, end - 1};
      WEIR_ASSIGN(RocksStore::Family * added,
                  store.add_family(rocks_family_name(store, state.schema, gap), gap));
      filled.push_back(added);
    }
    return {};
  };
  for (RocksStore::Family* family : families) {
    if (family->key_groups.first < next) {
      return Error{ErrorCode::kCorruption, "two subtasks have stored key group " +
                                               std::to_string(family->key_groups.first) +
                                               " of state '" + state.schema.name + "'"};
    }
    WEIR_TRY(fill_up_to(family->key_groups.first));
    filled.push_back(family);
    next = family->key_groups.last + 1;
  }
  WEIR_TRY(fill_up_to(key_groups.last + 1));
  families = std::move(filled);
  return {};
}

Result<RestoredRocks> restore_rocks(FileSystem& files, const std::vector<RestoreFrom>& from,
                                    const RocksStore::Options& options, int max_parallelism,
                                    KeyGroupRange key_groups) {
  WEIR_ASSIGN(const std::vector<Stored> all, read_indexes(files, from));
  for (const Stored& stored : all) {
    if (stored.index.max_parallelism != max_parallelism) {
      return Error{ErrorCode::kInvalidArgument,
                   "operator " + options.owner + ": state file " + stored.index_path +
                       " was written with max parallelism " +
                       std::to_string(stored.index.max_parallelism) + ", the job has " +
                       std::to_string(max_parallelism) + "; it cannot change later"};
    }
    WEIR_TRY(do_all(options.transfers, stored.tables.size(),
                    [&](std::size_t i) { return check_whole(files, stored.tables[i]); }));
  }
  if (all.size() != 1 || all.front().index.key_groups != key_groups) {
    return import_all(files, all, options, key_groups);
  }
  RestoredRocks result;
  WEIR_ASSIGN(result.store, open_copy(files, all.front(), options));
  for (const RocksIndex::State& state : all.front().index.states) {
    StoredRocksState& to = result.states[{state.schema.kind, state.schema.name}];
    to = {state.schema, {}, state.namespaces, state.layout};
    for (const RocksIndex::Family& family : state.families) {
      to.families.push_back(result.store->family(family.name));
    }
  }
  return result;
}

}  // namespace weir::state
