#include "kafka/socket_stream.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace weir::kafka {
namespace {

std::string text_of(const HostPort& address) {
  return address.host + ":" + std::to_string(address.port);
}

/// A file descriptor that is closed when it goes away.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) {
      ::close(fd_);
    }
  }
  Descriptor(Descriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Descriptor& operator=(Descriptor&&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Status wait_for(int fd, short events, Deadline deadline) {
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
                          deadline - std::chrono::steady_clock::now())
                          .count();
    if (left <= 0) {
      return Error{ErrorCode::kTimeout, "no answer in time"};
    }
    pollfd wanted{fd, events, 0};
    const int ready = ::poll(&wanted, 1, static_cast<int>(std::min<long long>(left, 60'000)));
    if (ready > 0) {
      return {};
    }
    if (ready < 0 && errno != EINTR) {
      return Error{ErrorCode::kIo, std::string("poll: ") + std::strerror(errno)};
    }
  }
}

Result<Descriptor> connect_one(const addrinfo& to, Deadline deadline) {
  Descriptor fd(::socket(to.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) {
    return Error{ErrorCode::kIo, std::string("socket: ") + std::strerror(errno)};
  }
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (::connect(fd.get(), to.ai_addr, to.ai_addrlen) != 0 && errno != EINPROGRESS) {
    return Error{ErrorCode::kUnavailable, std::strerror(errno)};
  }
  WEIR_TRY(wait_for(fd.get(), POLLOUT, deadline));
  int failure = 0;
  socklen_t size = sizeof(failure);
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &failure, &size);
  if (failure != 0) {
    return Error{ErrorCode::kUnavailable, std::strerror(failure)};
  }
  return fd;
}

Result<Descriptor> connect_tcp(const HostPort& address, Deadline deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(address.port);
  const int code = ::getaddrinfo(address.host.c_str(), port.c_str(), &hints, &found);
  if (code != 0) {
    return Error{ErrorCode::kUnavailable, ::gai_strerror(code)};
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, ::freeaddrinfo);
  Error last{ErrorCode::kUnavailable, "the host has no address"};
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    Result<Descriptor> fd = connect_one(*one, deadline);
    if (fd.ok()) {
      return fd;
    }
    last = fd.error();
  }
  return last;
}

class PlainStream final : public SocketStream {
 public:
  explicit PlainStream(Descriptor fd) : fd_(std::move(fd)) {}

  Status write_all(std::string_view bytes, Deadline deadline) override {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent > 0) {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        WEIR_TRY(wait_for(fd_.get(), POLLOUT, deadline));
      } else if (errno != EINTR) {
        return Error{ErrorCode::kUnavailable, std::string("send: ") + std::strerror(errno)};
      }
    }
    return {};
  }
  Status read_exactly(std::span<char> out, Deadline deadline) override {
    while (!out.empty()) {
      const ssize_t got = ::recv(fd_.get(), out.data(), out.size(), 0);
      if (got > 0) {
        out = out.subspan(static_cast<std::size_t>(got));
      } else if (got == 0) {
        return Error{ErrorCode::kUnavailable, "the broker closed the connection"};
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        WEIR_TRY(wait_for(fd_.get(), POLLIN, deadline));
      } else if (errno != EINTR) {
        return Error{ErrorCode::kUnavailable, std::string("recv: ") + std::strerror(errno)};
      }
    }
    return {};
  }

 private:
  Descriptor fd_;
};

std::string tls_error() {
  char text[256] = "unknown reason";
  if (const unsigned long code = ::ERR_get_error(); code != 0) {
    ::ERR_error_string_n(code, text, sizeof(text));
  }
  ::ERR_clear_error();
  return text;
}

int descriptor_of(BIO* bio) {
  return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
}

/// The socket under a TLS session. OpenSSL's own would write() to it, and a write to a connection
/// that the broker has closed kills the process with SIGPIPE.
int socket_write(BIO* bio, const char* bytes, int size) {
  const int fd = descriptor_of(bio);
  BIO_clear_retry_flags(bio);
  const ssize_t sent = ::send(fd, bytes, static_cast<std::size_t>(size), MSG_NOSIGNAL);
  if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
    BIO_set_retry_write(bio);
  }
  return static_cast<int>(sent);
}

int socket_read(BIO* bio, char* bytes, int size) {
  const int fd = descriptor_of(bio);
  BIO_clear_retry_flags(bio);
  const ssize_t got = ::recv(fd, bytes, static_cast<std::size_t>(size), 0);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
    BIO_set_retry_read(bio);
  }
  return static_cast<int>(got);
}

long socket_control(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

/// `fd` stays open longer than the result lives.
BIO* new_socket_bio(int fd) {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* const created = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weir");
    BIO_meth_set_write(created, socket_write);
    BIO_meth_set_read(created, socket_read);
    BIO_meth_set_ctrl(created, socket_control);
    return created;
  }();
  BIO* const bio = BIO_new(method);
  if (bio != nullptr) {
    BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(fd)));
    BIO_set_init(bio, 1);
  }
  return bio;
}

using ContextPtr = std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)>;
using SessionPtr = std::unique_ptr<SSL, void (*)(SSL*)>;

int give_key_password(char* buffer, int size, int /*is_write*/, void* password) {
  const std::string& text = static_cast<const Secret*>(password)->reveal();
  const int length = std::min(size, static_cast<int>(text.size()));
  std::memcpy(buffer, text.data(), static_cast<std::size_t>(length));
  return length;
}

Status load_files(SSL_CTX* context, const ClientConfig& config) {
  const bool has_ca = !config.ca_file.empty();
  if ((has_ca ? SSL_CTX_load_verify_locations(context, config.ca_file.c_str(), nullptr)
              : SSL_CTX_set_default_verify_paths(context)) != 1) {
    return Error{ErrorCode::kInvalidArgument,
                 "ssl.ca.location: cannot read '" + config.ca_file + "': " + tls_error()};
  }
  if (!config.certificate_file.empty() &&
      SSL_CTX_use_certificate_chain_file(context, config.certificate_file.c_str()) != 1) {
    return Error{ErrorCode::kInvalidArgument, "ssl.certificate.location: cannot use '" +
                                                  config.certificate_file + "': " + tls_error()};
  }
  SSL_CTX_set_default_passwd_cb(context, give_key_password);
  SSL_CTX_set_default_passwd_cb_userdata(context, const_cast<Secret*>(&config.key_password));
  if (!config.key_file.empty() &&
      SSL_CTX_use_PrivateKey_file(context, config.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return Error{ErrorCode::kInvalidArgument, "ssl.key.location: cannot use '" + config.key_file +
                                                  "' (wrong "
                                                  "ssl.key.password?): " +
                                                  tls_error()};
  }
  return {};
}

class TlsStream final : public SocketStream {
 public:
  TlsStream(Descriptor fd, ContextPtr context, SessionPtr session)
      : fd_(std::move(fd)), context_(std::move(context)), session_(std::move(session)) {}

  static Result<std::unique_ptr<SocketStream>> start(Descriptor fd, const ClientConfig& config,
                                                     const std::string& host, Deadline deadline) {
    ContextPtr context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
    if (context == nullptr) {
      return Error{ErrorCode::kInternal, "TLS: " + tls_error()};
    }
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    WEIR_TRY(load_files(context.get(), config));
    SessionPtr session(SSL_new(context.get()), SSL_free);
    BIO* const bio = new_socket_bio(fd.get());
    if (session == nullptr || bio == nullptr) {
      BIO_free(bio);
      return Error{ErrorCode::kInternal, "TLS: " + tls_error()};
    }
    SSL_set_bio(session.get(), bio, bio);
    expect_host(session.get(), host, config.verify_hostname);
    auto stream =
        std::make_unique<TlsStream>(std::move(fd), std::move(context), std::move(session));
    WEIR_TRY(stream->handshake(deadline));
    return std::unique_ptr<SocketStream>(std::move(stream));
  }

  Status write_all(std::string_view bytes, Deadline deadline) override {
    while (!bytes.empty()) {
      std::size_t sent = 0;
      const int code = SSL_write_ex(session_.get(), bytes.data(), bytes.size(), &sent);
      if (code == 1) {
        bytes.remove_prefix(sent);
      } else {
        WEIR_TRY(wait_again(code, deadline));
      }
    }
    return {};
  }
  Status read_exactly(std::span<char> out, Deadline deadline) override {
    while (!out.empty()) {
      std::size_t got = 0;
      const int code = SSL_read_ex(session_.get(), out.data(), out.size(), &got);
      if (code == 1) {
        out = out.subspan(got);
      } else {
        WEIR_TRY(wait_again(code, deadline));
      }
    }
    return {};
  }

 private:
  static void expect_host(SSL* session, const std::string& host, bool verify) {
    unsigned char address[sizeof(in6_addr)];
    const bool is_address = ::inet_pton(AF_INET, host.c_str(), address) == 1 ||
                            ::inet_pton(AF_INET6, host.c_str(), address) == 1;
    if (!is_address) {
      SSL_set_tlsext_host_name(session, const_cast<char*>(host.c_str()));
    }
    if (!verify) {
      return;
    }
    if (is_address) {
      X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host.c_str());
    } else {
      SSL_set1_host(session, host.c_str());
    }
  }

  Status handshake(Deadline deadline) {
    for (;;) {
      const int code = SSL_connect(session_.get());
      if (code == 1) {
        return {};
      }
      const Status waited = wait_again(code, deadline);
      if (waited.ok()) {
        continue;
      }
      const long verdict = SSL_get_verify_result(session_.get());
      if (verdict != X509_V_OK) {
        return Error{ErrorCode::kAuthentication,
                     std::string("the broker's certificate is refused: ") +
                         X509_verify_cert_error_string(verdict) +
                         " (see ssl.ca.location, ssl.endpoint.identification.algorithm)"};
      }
      return waited.error().with_context("TLS handshake");
    }
  }

  Status wait_again(int code, Deadline deadline) {
    switch (SSL_get_error(session_.get(), code)) {
      case SSL_ERROR_WANT_READ:
        return wait_for(fd_.get(), POLLIN, deadline);
      case SSL_ERROR_WANT_WRITE:
        return wait_for(fd_.get(), POLLOUT, deadline);
      case SSL_ERROR_ZERO_RETURN:
        return Error{ErrorCode::kUnavailable, "the broker closed the connection"};
      default:
        return Error{ErrorCode::kUnavailable, "TLS: " + tls_error()};
    }
  }

  // Members are destroyed last to first: the session before its context and its descriptor.
  Descriptor fd_;
  ContextPtr context_;
  SessionPtr session_;
};

}  // namespace

Result<std::unique_ptr<SocketStream>> SocketStream::connect(const ClientConfig& config,
                                                            const HostPort& address,
                                                            Deadline deadline) {
  Result<Descriptor> fd = connect_tcp(address, deadline);
  if (!fd.ok()) {
    return fd.error().with_context("kafka: cannot connect to " + text_of(address));
  }
  if (!config.use_tls) {
    return std::unique_ptr<SocketStream>(std::make_unique<PlainStream>(std::move(fd).value()));
  }
  auto stream = TlsStream::start(std::move(fd).value(), config, address.host, deadline);
  if (!stream.ok()) {
    return stream.error().with_context("kafka: TLS to " + text_of(address));
  }
  return stream;
}

}  // namespace weir::kafka
