#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "weir/result.h"
#include "weir/time.h"

namespace weir {

using LineClientId = std::uint64_t;

class LineServer;

/// Answers the lines that clients of a LineServer send. Called on the server's thread only, so it
/// must not block.
class LineHandler {
 public:
  virtual ~LineHandler() = default;
  /// Every line gets exactly one answer, by LineServer::answer, now or in a later on_tick().
  virtual void on_line(LineServer& server, LineClientId client, std::string_view line) = 0;
  /// The client is gone; answers to it are dropped.
  virtual void on_gone(LineClientId client) = 0;
  /// Called about every tick_ms while answers are owed, and a last time in stop().
  virtual void on_tick(LineServer& server) = 0;
};

struct LineServerOptions {
  std::string path;                         ///< at most kSocketPathBytesMax
  std::size_t line_bytes_max = 64 * 1024;   ///< a longer line ends the connection
  std::size_t backlog_bytes_max = 1 << 20;  ///< a client that reads so slowly is dropped
  std::size_t clients_max = 64;
  DurationMs tick{20};
};

/// What sun_path holds, without its final zero.
inline constexpr std::size_t kSocketPathBytesMax = 107;

/// A Unix domain socket for this user alone (mode 0600, and the peer's user is checked), served by
/// one thread of its own. Lines end with '\n'.
///
/// Whatever clients do, nobody waits for them: they may send rubbish, stop reading, or vanish.
class LineServer {
 public:
  /// Takes a socket that nobody listens on any more for a left-over and replaces it. kAlreadyExists
  /// when somebody does, or when something that is no socket has the name.
  static Result<std::unique_ptr<LineServer>> start(LineServerOptions options,
                                                   std::shared_ptr<LineHandler> handler);
  /// stop() with no patience.
  ~LineServer();
  LineServer(const LineServer&) = delete;
  LineServer& operator=(const LineServer&) = delete;

  const std::string& path() const { return options_.path; }

  /// The handler's thread. Answers to clients that are gone are dropped.
  void answer(LineClientId client, std::string_view line);

  /// Removes the name: nobody finds the server any more, those who are connected stay. Any thread.
  void withdraw();
  /// Ends: one last on_tick(), answers are sent for at most `patience`, connections are closed.
  void stop(DurationMs patience);

 private:
  struct Client {
    int socket = -1;
    std::string received;  ///< of a line that is not complete
    std::string to_send;
    std::size_t owed = 0;  ///< answers
    bool is_input_closed = false;
    bool is_doomed = false;  ///< closed once to_send is out
  };

  LineServer(LineServerOptions options, std::shared_ptr<LineHandler> handler)
      : options_(std::move(options)), handler_(std::move(handler)) {}

  Status listen();
  void run();
  void serve(DurationMs at_most);
  void accept_clients();
  void read_from(LineClientId id, Client& client);
  void take_lines(LineClientId id, Client& client);
  void write_to(Client& client);
  void close_finished();
  bool is_owing() const;

  const LineServerOptions options_;
  const std::shared_ptr<LineHandler> handler_;
  int listener_ = -1;
  int wake_ = -1;            ///< eventfd: written to once, when the server is to stop
  std::uint64_t inode_ = 0;  ///< of the socket's name, so that only that is removed
  std::atomic<DurationMs> patience_{DurationMs(0)};
  LineClientId next_client_ = 1;
  std::map<LineClientId, Client> clients_;
  std::thread thread_;
};

}  // namespace weir
