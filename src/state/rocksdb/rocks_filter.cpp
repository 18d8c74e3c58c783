#include "state/rocksdb/rocks_filter.h"

#include <string>
#include <utility>

#include "state/rocksdb/rocks_key.h"

namespace weir::state {
namespace {

class EntryFilter final : public rocksdb::CompactionFilter {
 public:
  EntryFilter(KeyGroupRange key_groups, RocksFilter::ExpiryNow expiry)
      : key_groups_(key_groups), expiry_(std::move(expiry)) {}

  const char* Name() const override { return "weir"; }
  bool Filter(int /*level*/, const rocksdb::Slice& key, const rocksdb::Slice& value,
              std::string* new_value, bool* value_changed) const override {
    if (key.size() < kRocksKeyPrefix) {
      return false;
    }
    const auto group = static_cast<int>(static_cast<unsigned char>(key[0]) << 8 |
                                        static_cast<unsigned char>(key[1]));
    if (!key_groups_.contains(group)) {
      return true;
    }
    if (expiry_ == nullptr || value.size() < kRocksValuePrefix) {
      return false;
    }
    const Expiry expiry = expiry_(view_of(value).substr(kRocksValuePrefix), rest_);
    if (expiry == Expiry::kSome) {
      *value_changed = true;
      *new_value = view_of(value).substr(0, kRocksValuePrefix);
      *new_value += rest_;
    }
    return expiry == Expiry::kAll;
  }

 private:
  const KeyGroupRange key_groups_;
  const RocksFilter::ExpiryNow expiry_;
  mutable std::string rest_;  // one thread has this filter
};

class Factory final : public rocksdb::CompactionFilterFactory {
 public:
  explicit Factory(std::shared_ptr<RocksFilter> filter) : filter_(std::move(filter)) {}
  const char* Name() const override { return "weir"; }
  std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
      const rocksdb::CompactionFilter::Context& /*context*/) override {
    return std::make_unique<EntryFilter>(filter_->key_groups(), filter_->make_expiry());
  }

 private:
  const std::shared_ptr<RocksFilter> filter_;
};

}  // namespace

std::shared_ptr<rocksdb::CompactionFilterFactory> make_filter_factory(
    std::shared_ptr<RocksFilter> filter) {
  return std::make_shared<Factory>(std::move(filter));
}

}  // namespace weir::state
