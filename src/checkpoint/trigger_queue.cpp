#include "checkpoint/trigger_queue.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace weir::checkpoint {
namespace {

/// Lower = earlier turn; equal = older first.
auto turn_of(const TriggerRequest& request) {
  return std::tuple(request.kind != SnapshotKind::kSavepoint, !request.is_forced,
                    request.is_periodic);
}

}  // namespace

std::optional<TriggerRequest> TriggerQueue::add(const TriggerRequest& request) {
  const auto at =
      std::upper_bound(waiting_.begin(), waiting_.end(), request,
                       [](const auto& a, const auto& b) { return turn_of(a) < turn_of(b); });
  waiting_.insert(at, request);
  if (waiting_.size() <= kRequestsMax) {
    return std::nullopt;
  }
  const TriggerRequest last = waiting_.back();
  waiting_.pop_back();
  return last;
}

std::optional<TriggerRequest> TriggerQueue::take(bool is_limit_reached) {
  if (waiting_.empty() || (is_limit_reached && !waiting_.front().is_forced)) {
    return std::nullopt;
  }
  const TriggerRequest first = waiting_.front();
  waiting_.erase(waiting_.begin());
  return first;
}

std::vector<TriggerRequest> TriggerQueue::take_all() { return std::exchange(waiting_, {}); }

bool TriggerQueue::has_terminal() const {
  return std::any_of(waiting_.begin(), waiting_.end(),
                     [](const auto& request) { return request.is_terminal; });
}

bool TriggerQueue::has_periodic() const {
  return std::any_of(waiting_.begin(), waiting_.end(),
                     [](const auto& request) { return request.is_periodic; });
}

}  // namespace weir::checkpoint
