#include "io/line_server.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/line_client.h"
#include "io/socket_error.h"

namespace weir {
namespace {

constexpr int kBacklog = 16;

/// Makes room for the socket's name if a dead process left it behind.
Status remove_left_over(const std::string& path) {
  struct stat found{};
  if (::lstat(path.c_str(), &found) != 0) {
    return errno == ENOENT ? Status() : Status(socket_error("look at", path, errno));
  }
  if (!S_ISSOCK(found.st_mode)) {
    return Error{ErrorCode::kAlreadyExists,
                 path + " exists and is no socket; remove it or choose another path"};
  }
  const auto client = LineClient::connect(path);
  if (client.ok()) {
    return Error{ErrorCode::kAlreadyExists, path + " is in use by another process"};
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return socket_error("remove the left-over socket", path, errno);
  }
  return {};
}

/// The other end belongs to this user, or to root.
bool is_peer_trusted(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         (peer.uid == ::geteuid() || peer.uid == 0);
}

}  // namespace

Result<std::unique_ptr<LineServer>> LineServer::start(LineServerOptions options,
                                                      std::shared_ptr<LineHandler> handler) {
  if (options.path.empty() || options.path.size() > kSocketPathBytesMax) {
    return Error{ErrorCode::kInvalidArgument,
                 "the path of a socket has 1 to " + std::to_string(kSocketPathBytesMax) +
                     " bytes, this one " + std::to_string(options.path.size()) + ": " +
                     options.path};
  }
  std::unique_ptr<LineServer> server(new LineServer(std::move(options), std::move(handler)));
  WEIR_TRY(server->listen());
  server->thread_ = std::thread([raw = server.get()] { raw->run(); });
  return server;
}

Status LineServer::listen() {
  const std::string& path = options_.path;
  WEIR_TRY(remove_left_over(path));
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (wake_ < 0 || listener_ < 0) {
    return socket_error("create the socket", path, errno);
  }
  // Before bind(), which makes a name with this mode: there is no moment in which others may
  // connect, and the process' umask, which all threads share, stays as it is.
  if (::fchmod(listener_, S_IRUSR | S_IWUSR) != 0) {
    return socket_error("protect the socket", path, errno);
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return socket_error("create the socket", path, errno);
  }
  struct stat made{};
  if (::lstat(path.c_str(), &made) == 0) {
    inode_ = made.st_ino;
  }
  if (::listen(listener_, kBacklog) != 0) {
    return socket_error("listen on", path, errno);
  }
  return {};
}

LineServer::~LineServer() {
  stop(DurationMs(0));
  for (const int descriptor : {listener_, wake_}) {
    if (descriptor >= 0) {
      ::close(descriptor);
    }
  }
}

void LineServer::withdraw() {
  struct stat found{};
  // Only our own: another process may have put a socket of its own there by now.
  if (inode_ != 0 && ::lstat(options_.path.c_str(), &found) == 0 && found.st_ino == inode_) {
    ::unlink(options_.path.c_str());
  }
  inode_ = 0;
}

void LineServer::stop(DurationMs patience) {
  withdraw();
  if (thread_.joinable()) {
    patience_ = patience;
    const std::uint64_t one = 1;
    (void)!::write(wake_, &one, sizeof one);
    thread_.join();
  }
}

bool LineServer::is_owing() const {
  for (const auto& [id, client] : clients_) {
    if (client.owed > 0) {
      return true;
    }
  }
  return false;
}

void LineServer::run() {
  std::uint64_t stop = 0;
  while (::read(wake_, &stop, sizeof stop) < 0) {
    serve(is_owing() ? options_.tick : DurationMs(-1));
    if (is_owing()) {
      handler_->on_tick(*this);
    }
    close_finished();
  }
  handler_->on_tick(*this);
  const auto deadline = std::chrono::steady_clock::now() + patience_.load();
  const auto is_waiting = [this] {
    for (const auto& [id, client] : clients_) {
      if (!client.to_send.empty()) {
        return true;
      }
    }
    return false;
  };
  for (auto& [id, client] : clients_) {
    write_to(client);
  }
  while (is_waiting() && std::chrono::steady_clock::now() < deadline) {
    serve(options_.tick);
  }
  for (auto& [id, client] : clients_) {
    ::close(client.socket);
  }
  clients_.clear();
}

void LineServer::serve(DurationMs at_most) {
  std::vector<pollfd> waiting{{wake_, POLLIN, 0}, {listener_, POLLIN, 0}};
  std::vector<LineClientId> ids;
  for (const auto& [id, client] : clients_) {
    const int events =
        (client.is_input_closed ? 0 : POLLIN) | (client.to_send.empty() ? 0 : POLLOUT);
    waiting.push_back({client.socket, static_cast<short>(events), 0});
    ids.push_back(id);
  }
  if (::poll(waiting.data(), waiting.size(), static_cast<int>(at_most.count())) <= 0) {
    return;
  }
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const short events = waiting[i + 2].revents;
    Client& client = clients_.at(ids[i]);
    if ((events & POLLOUT) != 0) {
      write_to(client);
    }
    if ((events & POLLIN) != 0) {
      read_from(ids[i], client);
    } else if ((events & (POLLHUP | POLLERR | POLLNVAL)) != 0) {
      client.is_input_closed = true;  // The other end is gone altogether: nobody reads answers.
      client.is_doomed = true;
      client.to_send.clear();
    }
  }
  if ((waiting[1].revents & POLLIN) != 0) {
    accept_clients();
  }
}

void LineServer::accept_clients() {
  for (;;) {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket < 0) {
      if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
        // Out of descriptors, say: the caller waits in the queue, this thread must not spin.
        std::this_thread::sleep_for(options_.tick);
      }
      return;
    }
    if (clients_.size() >= options_.clients_max || !is_peer_trusted(socket)) {
      ::close(socket);
      continue;
    }
    clients_[next_client_++].socket = socket;
  }
}

void LineServer::read_from(LineClientId id, Client& client) {
  std::array<char, 16 * 1024> bytes{};
  const ssize_t length = ::recv(client.socket, bytes.data(), bytes.size(), 0);
  if (length < 0) {
    if (errno != EAGAIN && errno != EINTR) {
      client.is_input_closed = client.is_doomed = true;
      client.to_send.clear();
    }
    return;
  }
  if (length == 0) {
    client.is_input_closed = true;  // It may still read: answers that are owed are sent.
    return;
  }
  client.received.append(bytes.data(), static_cast<std::size_t>(length));
  take_lines(id, client);
}

void LineServer::take_lines(LineClientId id, Client& client) {
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = client.received.find('\n', begin)) != std::string::npos;
       begin = end + 1) {
    ++client.owed;
    handler_->on_line(*this, id, std::string_view(client.received).substr(begin, end - begin));
    if (client.is_doomed) {
      client.received.clear();
      return;
    }
  }
  client.received.erase(0, begin);
  if (client.received.size() > options_.line_bytes_max) {
    // The handler says why; then the connection is closed.
    ++client.owed;
    handler_->on_line(*this, id, client.received);
    client.received.clear();
    client.is_input_closed = true;
  }
}

void LineServer::answer(LineClientId id, std::string_view line) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) {
    return;
  }
  Client& client = found->second;
  client.owed -= client.owed > 0 ? 1 : 0;
  if (client.to_send.size() + line.size() > options_.backlog_bytes_max) {
    client.is_doomed = client.is_input_closed = true;
    client.to_send.clear();
    return;
  }
  client.to_send += line;
  client.to_send += '\n';
  write_to(client);
}

void LineServer::write_to(Client& client) {
  while (!client.to_send.empty()) {
    const ssize_t length =
        ::send(client.socket, client.to_send.data(), client.to_send.size(), MSG_NOSIGNAL);
    if (length < 0) {
      if (errno != EAGAIN && errno != EINTR) {
        client.is_doomed = client.is_input_closed = true;
        client.to_send.clear();
      }
      return;
    }
    client.to_send.erase(0, static_cast<std::size_t>(length));
  }
}

void LineServer::close_finished() {
  for (auto at = clients_.begin(); at != clients_.end();) {
    const Client& client = at->second;
    const bool is_finished = client.to_send.empty() &&
                             (client.is_doomed || (client.is_input_closed && client.owed == 0));
    if (!is_finished) {
      ++at;
      continue;
    }
    ::close(client.socket);
    const LineClientId id = at->first;
    at = clients_.erase(at);
    handler_->on_gone(id);
  }
}

}  // namespace weir
