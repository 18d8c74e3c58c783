#include "io/line_client.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/line_server.h"
#include "io/socket_error.h"

namespace weir {

Result<std::unique_ptr<LineClient>> LineClient::connect(const std::string& path) {
  if (path.empty() || path.size() > kSocketPathBytesMax) {
    return Error{
        ErrorCode::kInvalidArgument,
        "the path of a socket has 1 to " + std::to_string(kSocketPathBytesMax) + " bytes: " + path};
  }
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) {
    return socket_error("create a socket for", path, errno);
  }
  std::unique_ptr<LineClient> client(new LineClient(socket, path));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return socket_error("connect to", path, errno);
  }
  return client;
}

LineClient::~LineClient() { ::close(socket_); }

Status LineClient::send(std::string_view line) {
  std::string bytes(line);
  bytes += '\n';
  std::string_view rest = bytes;
  while (!rest.empty()) {
    const ssize_t length = ::send(socket_, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (length < 0 && errno != EINTR) {
      return socket_error("send to", path_, errno);
    }
    rest.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
  }
  return {};
}

Result<std::string> LineClient::receive(DurationMs timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    const std::size_t end = received_.find('\n');
    if (end != std::string::npos) {
      std::string line = received_.substr(0, end);
      received_.erase(0, end + 1);
      return line;
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd waiting{socket_, POLLIN, 0};
    const int ready =
        ::poll(&waiting, 1, static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000)));
    if (ready == 0 && left.count() <= 60'000) {
      return Error{ErrorCode::kTimeout, "no answer from " + path_ + " within " +
                                            std::to_string(timeout.count()) + " ms"};
    }
    if (ready <= 0) {
      continue;
    }
    std::array<char, 16 * 1024> bytes{};
    const ssize_t length = ::recv(socket_, bytes.data(), bytes.size(), 0);
    if (length == 0) {
      return Error{ErrorCode::kUnavailable, path_ + " closed the connection without an answer"};
    }
    if (length < 0 && errno != EINTR) {
      return socket_error("receive from", path_, errno);
    }
    received_.append(bytes.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
  }
}

}  // namespace weir
