#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "state_processor/keyed_state_reader.h"
#include "state_processor/savepoint_draft.h"

namespace weir::state_processor {

/// Encoded entries that are put into, or taken out of, one state of an operator of a snapshot.
class StateImport {
 public:
  /// `schema`: of the state, new or there already.
  StateImport(state::StateSchema schema, int max_parallelism)
      : schema_(std::move(schema)), max_parallelism_(max_parallelism) {}

  const state::StateSchema& schema() const { return schema_; }
  /// A later one of the same key takes the place of an earlier one.
  void put(StateNamespace ns, std::uint32_t hash, std::string key, std::string value);
  /// The state has nothing of that key and namespace.
  void erase(StateNamespace ns, std::uint32_t hash, std::string key);
  std::size_t size() const { return entries_.size(); }

  /// Writes all states of the operator as a state file: those of `reader` (null: there are none)
  /// with what was put in; `replaces`: without what this state held before.
  Result<state::SnapshotFileInfo> write(FileSystem& files, const std::string& path,
                                        const std::string& uid, const KeyedStateReader* reader,
                                        bool replaces) const;

 private:
  struct Entry {
    std::uint32_t hash = 0;
    std::optional<std::string> value;  ///< nothing: the key is erased
  };
  using Id = std::tuple<int, StateNamespace, std::string>;  // in the order of a file

  /// All entries of one state, in order.
  Status visit(const state::StateSchema& state, const KeyedStateReader* reader, bool replaces,
               const KeyedStateReader::Visitor& visitor) const;

  const state::StateSchema schema_;
  const int max_parallelism_;
  std::map<Id, Entry> entries_;
};

}  // namespace weir::state_processor
