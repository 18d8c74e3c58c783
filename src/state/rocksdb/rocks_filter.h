#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include <rocksdb/compaction_filter.h>

#include "weir/key_group.h"
#include "weir/state_table.h"

namespace weir::state {

/// Which entries of a column family compactions leave out: those of key groups that are not this
/// subtask's (any more), and those whose time to live is over. Of values whose parts expire one by
/// one they leave out the parts.
///
/// Leaving an entry out uncovers nothing: compactions see the newest version of a key that they
/// have, and an older one below it is of the same key group, and older still. Thread-safe.
class RocksFilter {
 public:
  explicit RocksFilter(KeyGroupRange key_groups) : key_groups_(key_groups) {}

  /// What of an encoded value (without its prefix) has expired by now; see ValueExpiry::of.
  using ExpiryNow = std::function<Expiry(std::string_view value, std::string& rest)>;
  /// Made anew for every compaction, which has its own.
  using ExpiryFactory = std::function<ExpiryNow()>;
  void set_expiry(ExpiryFactory factory) {
    const std::lock_guard lock(mutex_);
    expiry_ = std::move(factory);
  }
  ExpiryNow make_expiry() {
    const std::lock_guard lock(mutex_);
    return expiry_ == nullptr ? ExpiryNow() : expiry_();
  }
  KeyGroupRange key_groups() const { return key_groups_; }

 private:
  const KeyGroupRange key_groups_;
  std::mutex mutex_;
  ExpiryFactory expiry_;
};

std::shared_ptr<rocksdb::CompactionFilterFactory> make_filter_factory(
    std::shared_ptr<RocksFilter> filter);

}  // namespace weir::state
