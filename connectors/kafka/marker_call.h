#pragma once

#include <memory>

#include "kafka/producer_handle.h"

namespace weir::kafka {

/// ProducerHandle::send_marker() from a thread of its own, which is given up when it does not come
/// back: a client that waits for the group's coordinator does not keep to the timeout that it is
/// given (librdkafka issues 5456 and 5511; seen with 2.0.2 once in some hundred starts). After
/// kTimeout for that reason the handle is of no use any more and lives on with its thread.
Status send_marker_in_time(const std::shared_ptr<ProducerHandle>& handle, const MarkerPlace& place,
                           const Marker& marker, int timeout_ms);

}  // namespace weir::kafka
