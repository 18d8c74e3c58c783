#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace weir::state {

/// How many entries each key group of one namespace has. A key group that ever had one stays, with
/// a count of 0, because something of it may still lie in RocksDB.
class GroupCounts {
 public:
  struct Count {
    std::uint32_t key_group;
    std::uint64_t entries;
  };

  void add(std::uint32_t key_group, std::int64_t entries) {
    auto at = counts_.begin();
    if (last_ < counts_.size() && counts_[last_].key_group == key_group) {
      at += static_cast<std::ptrdiff_t>(last_);
    } else {
      at = std::lower_bound(counts_.begin(), counts_.end(), key_group,
                            [](const Count& a, std::uint32_t b) { return a.key_group < b; });
      if (at == counts_.end() || at->key_group != key_group) {
        at = counts_.insert(at, {key_group, 0});
      }
      last_ = static_cast<std::size_t>(at - counts_.begin());
    }
    at->entries = static_cast<std::uint64_t>(static_cast<std::int64_t>(at->entries) + entries);
  }
  /// Ascending.
  const std::vector<Count>& all() const { return counts_; }

 private:
  std::vector<Count> counts_;
  std::size_t last_ = 0;  ///< the one that was looked up last
};

}  // namespace weir::state
