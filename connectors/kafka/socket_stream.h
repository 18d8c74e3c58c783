#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "kafka/connection.h"

namespace weir::kafka {

/// A byte stream to one broker, plain or TLS, non-blocking underneath, with a deadline per call.
class SocketStream {
 public:
  virtual ~SocketStream() = default;
  static Result<std::unique_ptr<SocketStream>> connect(const ClientConfig& config,
                                                       const HostPort& address, Deadline deadline);
  virtual Status write_all(std::string_view bytes, Deadline deadline) = 0;
  /// Fills `out` entirely.
  virtual Status read_exactly(std::span<char> out, Deadline deadline) = 0;
};

}  // namespace weir::kafka
