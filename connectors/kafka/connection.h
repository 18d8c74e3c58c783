#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "kafka/client_config.h"
#include "kafka/protocol.h"
#include "weir/result.h"

namespace weir::kafka {

using Deadline = std::chrono::steady_clock::time_point;
inline Deadline deadline_after_ms(std::int64_t ms) {
  return std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
}

/// One logged-in connection to one broker: TCP, TLS and SASL as configured, one request at a time.
/// Every step has a deadline. After any error the connection is of no further use.
class Connection {
 public:
  virtual ~Connection() = default;

  /// Connects, verifies the broker's certificate and host name, logs in, asks for the versions.
  static Result<std::unique_ptr<Connection>> open(const ClientConfig& config,
                                                  const HostPort& address);

  /// Sends a request and waits for its answer's body.
  virtual Result<std::string> call(ApiVersion api, std::string_view body, Deadline deadline) = 0;
  virtual bool supports(ApiVersion api) const = 0;
};

}  // namespace weir::kafka
