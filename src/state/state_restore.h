#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "record/schema_migration.h"
#include "state/key_group_index.h"
#include "state/restore_target.h"
#include "state/state_file.h"
#include "state/state_file_reader.h"

namespace weir::state {

/// The restored state of one subtask until the operator opens it: in the state files first, in
/// memory (still encoded) what nobody opened before finish().
class StateRestore {
 public:
  StateRestore(std::string owner, int max_parallelism, KeyGroupRange key_groups)
      : owner_(std::move(owner)),
        max_parallelism_(max_parallelism),
        key_groups_(key_groups),
        index_of_(max_parallelism, key_groups),
        now_ms_(system_clock().wall_ms()) {}

  /// Opens and checks the files. Nothing is kept if one of them fails.
  Status add_files(FileSystem& files, const std::vector<RestoreFile>& state_files);

  /// Puts what was restored under the table's name into it. Errors: another schema, malformed.
  Status load(RestoreTarget& table);

  /// Reads what was not loaded into memory and closes the files. Returns the names.
  Result<std::vector<std::string>> finish();

  /// A state nobody opened, as it was restored.
  struct Carried {
    struct Run {
      RunHeader header;
      std::string entries;
    };
    StateSchema schema;
    std::vector<Run> runs;
    std::uint64_t entry_count() const;
  };
  using Id = std::pair<StateKind, std::string>;
  /// Values were rewritten: files that build on the restored ones would have two schemas.
  bool has_migrated() const { return !migrations_.empty(); }
  const std::map<Id, Carried>& carried() const { return carried_; }

 private:
  /// How stored values become those of `table`; null: they are the same.
  Result<const SchemaMigration*> migration_of(const RestoreTarget& table,
                                              const StateSchema& stored);
  /// Files of one old subtask, each of which builds on the one before it.
  struct Chain {
    KeyGroupRange key_groups;
    std::vector<StateFileReader> files;
  };
  Status add_file(StateFileReader reader, std::vector<Chain>& chains) const;
  static Status check_whole(const Chain& chain);
  /// The entries that the chain makes, by its last file that names the state.
  static std::uint64_t live_entries(const Chain& chain, const Id& id);
  Status load_chain(const Chain& chain, const Id& id, RestoreTarget& table);
  Status load_file(const Chain& chain, const StateFileReader& reader, std::uint32_t state,
                   RestoreTarget& table);
  std::uint64_t stored_entries(const RestoreTarget& table) const;
  Status make_room(const StateSchema& stored, const EncodedRun& run, RestoreTarget& table);
  struct StoredAs {
    const StateSchema& schema;
    const SchemaMigration* migration;
  };
  Status load_run(const StoredAs& stored, const EncodedRun& run, bool may_replace,
                  RestoreTarget& table);
  Status carry(const Chain& chain, const Id& id);
  class CarriedEntries;

  const std::string owner_;
  const int max_parallelism_;
  const RestoreTarget* sized_ = nullptr;  ///< has room for what the files hold of it
  const KeyGroupRange key_groups_;
  const KeyGroupIndex index_of_;
  std::vector<Chain> chains_;
  std::set<Id> loaded_;
  std::map<std::pair<Id, std::string>, SchemaMigration> migrations_;  ///< by the stored schema
  const TimestampMs now_ms_;
  std::string migrated_;
  std::string fixed_;
  std::map<Id, Carried> carried_;
};

}  // namespace weir::state
