#pragma once

#include <cstdint>
#include <limits>
#include <string_view>

#include "state/state_file.h"
#include "weir/check.h"
#include "weir/key_group.h"
#include "weir/result.h"
#include "weir/state_table.h"

namespace weir::state {

/// A table that is filled from state files, whatever it keeps its entries in.
class RestoreTarget {
 public:
  static constexpr std::uint32_t kAllGroups = std::numeric_limits<std::uint32_t>::max();

  virtual const StateSchema& schema() const = 0;
  virtual const StateTableDescriptor& descriptor() const = 0;
  /// Adds a restored entry. Errors: malformed, or its key is there already although `may_replace`
  /// is false.
  virtual Status load(StateNamespace ns, const EncodedEntry& entry, bool may_replace) = 0;
  /// Adds restored entries of fixed sizes (StateSchema::has_fixed_entries), that lie in `entries`
  /// one behind the other, as load() would.
  virtual Status load_fixed(StateNamespace ns, std::string_view entries, bool may_replace) {
    while (!entries.empty()) {
      EncodedEntry entry;
      WEIR_CHECK(next_entry(schema(), false, entries, entry));
      WEIR_TRY(load(ns, entry, may_replace));
    }
    return {};
  }
  /// Takes back what an older file of a chain held: an entry, if there is one, or all entries of a
  /// namespace in some key groups.
  virtual Status load_erased(StateNamespace ns, const EncodedEntry& entry) = 0;
  virtual void load_dropped(StateNamespace ns, KeyGroupRange key_groups) = 0;
  /// Ahead of load(): about so many entries of a namespace will come, in the key group with this
  /// index among the subtask's, or kAllGroups.
  virtual void reserve(StateNamespace ns, std::uint32_t group_index, std::uint64_t entries) = 0;
  virtual std::uint64_t entry_count() const = 0;

 protected:
  ~RestoreTarget() = default;
};

}  // namespace weir::state
