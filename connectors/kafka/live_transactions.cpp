#include "kafka/live_transactions.h"

#include <tuple>

namespace weir::kafka {
namespace {

struct Claims {
  struct Entry {
    std::string owner;
    int holders = 0;
  };
  std::mutex mutex;
  std::map<std::string, Entry> entries;
};

Claims& claims() {
  static Claims all;
  return all;
}

}  // namespace

LiveTransactions& LiveTransactions::instance() {
  static LiveTransactions all;
  return all;
}

bool LiveTransactions::Earlier::operator()(const ProducerIdentity& a,
                                           const ProducerIdentity& b) const {
  return std::tie(a.transactional_id, a.producer_id, a.producer_epoch) <
         std::tie(b.transactional_id, b.producer_id, b.producer_epoch);
}

void LiveTransactions::put(const ProducerIdentity& identity,
                           std::shared_ptr<LiveTransaction> transaction) {
  const std::scoped_lock lock(mutex_);
  transactions_[identity] = std::move(transaction);
}

std::shared_ptr<LiveTransaction> LiveTransactions::find(const ProducerIdentity& identity) {
  const std::scoped_lock lock(mutex_);
  const auto found = transactions_.find(identity);
  return found == transactions_.end() ? nullptr : found->second;
}

void LiveTransactions::remove(const ProducerIdentity& identity) {
  std::shared_ptr<LiveTransaction> removed;  // may be the last one: destroyed outside the lock
  const std::scoped_lock lock(mutex_);
  const auto found = transactions_.find(identity);
  if (found != transactions_.end()) {
    removed = std::move(found->second);
    transactions_.erase(found);
  }
}

Result<std::shared_ptr<PrefixClaim>> PrefixClaim::take(const std::string& prefix,
                                                       const std::string& owner) {
  const std::scoped_lock lock(claims().mutex);
  Claims::Entry& entry = claims().entries[prefix];
  if (entry.holders > 0 && entry.owner != owner) {
    return Error{ErrorCode::kInvalidArgument,
                 "kafka: transactional id prefix '" + prefix + "' is used by two sinks (" +
                     entry.owner + " and " + owner +
                     "); give each sink its own set_transactional_id_prefix()"};
  }
  entry.owner = owner;
  ++entry.holders;
  return std::shared_ptr<PrefixClaim>(new PrefixClaim(prefix));
}

PrefixClaim::~PrefixClaim() {
  const std::scoped_lock lock(claims().mutex);
  const auto found = claims().entries.find(prefix_);
  if (found != claims().entries.end() && --found->second.holders == 0) {
    claims().entries.erase(found);
  }
}

}  // namespace weir::kafka
