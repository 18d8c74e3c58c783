#include "kafka/marker_call.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

namespace weir::kafka {
namespace {

/// For the client to say itself that time is up, which is the rule.
constexpr std::chrono::seconds kGrace(1);

struct Call {
  std::mutex mutex;
  std::condition_variable is_done;
  std::optional<Status> status;
};

}  // namespace

Status send_marker_in_time(const std::shared_ptr<ProducerHandle>& handle, const MarkerPlace& place,
                           const Marker& marker, int timeout_ms) {
  const auto call = std::make_shared<Call>();
  std::thread([call, handle, place, marker, timeout_ms] {
    Status status = handle->send_marker(place, marker, timeout_ms);
    const std::scoped_lock lock(call->mutex);
    call->status.emplace(std::move(status));
    call->is_done.notify_all();
  }).detach();
  std::unique_lock lock(call->mutex);
  if (!call->is_done.wait_for(lock, std::chrono::milliseconds(timeout_ms) + kGrace,
                              [&] { return call->status.has_value(); })) {
    return Error{ErrorCode::kTimeout,
                 "kafka: the client did not come back from writing the marker "
                 "of group '" +
                     place.group + "' for topic '" + place.topic + "' in " +
                     std::to_string(timeout_ms) +
                     " ms; the epoch is written again after the restart"};
  }
  return *call->status;
}

}  // namespace weir::kafka
