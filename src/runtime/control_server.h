#pragma once

#include <memory>
#include <string>

#include "io/line_server.h"
#include "runtime/job_control.h"
#include "weir/job_result.h"
#include "weir/result.h"

namespace weir::runtime {

struct ControlServerOptions {
  std::string job_directory;  ///< whose lock the job holds; empty when it has none
  std::string job_id;
  std::string socket;  ///< weir.control.socket; empty = the default place
};

/// Lets other processes of this user ask a job for what JobClient offers. One thread of its own;
/// the job never waits for it.
class ControlServer {
 public:
  static Result<std::unique_ptr<ControlServer>> start(ControlServerOptions options,
                                                      std::shared_ptr<JobControl> job);
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  const std::string& path() const { return server_->path(); }

  /// Removes every name of the socket. Call it before the lock of the job's directory is given
  /// back: from then on they may be another process'.
  void withdraw();
  /// Answers who waits for the job's end, and ends. Call it after JobControl::finish.
  void finish(const Result<JobResult>& result);

 private:
  class Handler;

  ControlServer(ControlServerOptions options, std::shared_ptr<Handler> handler)
      : options_(std::move(options)), handler_(std::move(handler)) {}

  Status listen();
  Status listen_at(const std::string& path);
  Status listen_in_runtime_directory();
  void leave_note();
  void leave_link();

  const ControlServerOptions options_;
  const std::shared_ptr<Handler> handler_;
  std::unique_ptr<LineServer> server_;
  std::string note_;  ///< file that says where the socket is; empty = none
  std::string link_;  ///< link in the runtime directory; empty = none
};

}  // namespace weir::runtime
