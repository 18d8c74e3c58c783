#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "weir/result.h"
#include "weir/time.h"

namespace weir {

/// The other end of a LineServer. Used by one thread; blocks.
class LineClient {
 public:
  /// kNotFound: no such socket. kUnavailable: nobody listens on it any more, or not now.
  static Result<std::unique_ptr<LineClient>> connect(const std::string& path);
  ~LineClient();
  LineClient(const LineClient&) = delete;
  LineClient& operator=(const LineClient&) = delete;

  /// Sends `line` and its end.
  Status send(std::string_view line);
  /// The next line without its end. kTimeout, or kUnavailable when the server closed the
  /// connection.
  Result<std::string> receive(DurationMs timeout);

 private:
  LineClient(int socket, std::string path) : socket_(socket), path_(std::move(path)) {}

  int socket_;
  std::string path_;
  std::string received_;
};

}  // namespace weir
