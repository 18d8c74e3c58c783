#include "runtime/control_server.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include <unistd.h>

#include "base/log.h"
#include "io/file_system.h"
#include "runtime/control_address.h"
#include "runtime/control_protocol.h"

namespace weir::runtime {
namespace {

/// How long a job that has ended waits until its last answers are read.
constexpr DurationMs kLastWords{2'000};

/// Of jobs that were killed and whose directory is gone.
void remove_dangling_links(const std::string& directory) {
  namespace fs = std::filesystem;
  std::error_code failure;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, failure)) {
    std::error_code ignored;
    if (entry.is_symlink(ignored) && !fs::exists(entry.path(), ignored) && !ignored) {
      fs::remove(entry.path(), ignored);
    }
  }
}

}  // namespace

/// Everything but the result is used on the server's thread alone.
class ControlServer::Handler final : public LineHandler {
 public:
  Handler(std::shared_ptr<JobControl> job, std::string directory)
      : job_(std::move(job)), directory_(std::move(directory)) {}

  void set_result(const Result<JobResult>& result) {
    const std::lock_guard lock(mutex_);
    result_ = result;
  }

  void on_line(LineServer& server, LineClientId client, std::string_view line) override {
    const Result<ControlRequest> request = decode_request(line);
    if (!request.ok()) {
      server.answer(client, encode_answer(id_of_request(line), request.error()));
      return;
    }
    using Kind = SnapshotRequest::Kind;
    const ControlRequest& wanted = request.value();
    switch (wanted.kind) {
      case ControlRequest::Kind::kStatus:
        server.answer(client, encode_answer(wanted.id, JobReport{job_->job_name(), job_->job_id(),
                                                                 directory_, job_->status()}));
        break;
      case ControlRequest::Kind::kTriggerCheckpoint:
        ask(client, wanted, Kind::kCheckpoint);
        break;
      case ControlRequest::Kind::kTriggerSavepoint:
        ask(client, wanted, Kind::kSavepoint);
        break;
      case ControlRequest::Kind::kStopWithSavepoint:
        ask(client, wanted, Kind::kStop);
        break;
      case ControlRequest::Kind::kCancel:
        log().info("job '{}' is cancelled through its control socket", job_->job_name());
        job_->request_cancel();
        waiting_.emplace(client, Waiting{wanted.id, std::nullopt});
        break;
    }
  }

  /// What was asked for is done all the same: it may have been asked for on purpose by somebody who
  /// then lost patience.
  void on_gone(LineClientId client) override { waiting_.erase(client); }

  void on_tick(LineServer& server) override {
    const std::optional<Result<JobResult>> result = [this] {
      const std::lock_guard lock(mutex_);
      return result_;
    }();
    for (auto at = waiting_.begin(); at != waiting_.end();) {
      const std::optional<std::string> text = answer_of(at->second, result);
      if (!text.has_value()) {
        ++at;
        continue;
      }
      const LineClientId client = at->first;
      at = waiting_.erase(at);
      server.answer(client, *text);
    }
  }

 private:
  struct Waiting {
    std::string id;
    std::optional<SnapshotReply> reply;  ///< nothing = for the end of the job
  };

  void ask(LineClientId client, const ControlRequest& request, SnapshotRequest::Kind kind) {
    waiting_.emplace(client,
                     Waiting{request.id, job_->request(kind, request.directory, request.is_drain)});
  }

  static std::optional<std::string> answer_of(Waiting& waiting,
                                              const std::optional<Result<JobResult>>& result) {
    if (!waiting.reply.has_value()) {
      if (!result.has_value()) {
        return std::nullopt;
      }
      return result->ok() ? encode_answer(waiting.id, result->value())
                          : encode_answer(waiting.id, result->error());
    }
    if (waiting.reply->wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
      return std::nullopt;
    }
    const Result<SnapshotInfo> snapshot = waiting.reply->get();
    return snapshot.ok() ? encode_answer(waiting.id, snapshot.value())
                         : encode_answer(waiting.id, snapshot.error());
  }

  const std::shared_ptr<JobControl> job_;
  const std::string directory_;
  std::multimap<LineClientId, Waiting> waiting_;
  std::mutex mutex_;
  std::optional<Result<JobResult>> result_;
};

Result<std::unique_ptr<ControlServer>> ControlServer::start(ControlServerOptions options,
                                                            std::shared_ptr<JobControl> job) {
  auto handler = std::make_shared<Handler>(std::move(job), options.job_directory);
  std::unique_ptr<ControlServer> server(new ControlServer(std::move(options), std::move(handler)));
  WEIR_TRY(server->listen());
  return server;
}

ControlServer::~ControlServer() { withdraw(); }

Status ControlServer::listen() {
  if (!options_.socket.empty()) {
    WEIR_TRY(listen_at(options_.socket));
  } else {
    const Status near = listen_at(join_path(options_.job_directory, kControlSocketName));
    if (!near.ok()) {
      // The path is too long, or the file system of the checkpoints has no sockets.
      log().debug("{}; trying the runtime directory", near.error().message);
      WEIR_TRY(listen_in_runtime_directory());
    }
  }
  leave_note();
  leave_link();
  log().debug("control socket {}", path());
  return {};
}

Status ControlServer::listen_at(const std::string& path) {
  LineServerOptions options;
  options.path = path;
  WEIR_ASSIGN(server_, LineServer::start(std::move(options), handler_));
  return {};
}

Status ControlServer::listen_in_runtime_directory() {
  WEIR_ASSIGN(const std::string directory, make_runtime_directory());
  return listen_at(runtime_socket_of(directory, options_.job_id, options_.job_directory));
}

/// So that who knows the job's directory finds a socket that is not in it.
void ControlServer::leave_note() {
  if (options_.job_directory.empty()) {
    return;
  }
  const std::string note_path = join_path(options_.job_directory, kControlNoteName);
  if (path() == join_path(options_.job_directory, kControlSocketName)) {
    ::unlink(note_path.c_str());  // Of an earlier process that was killed.
    return;
  }
  note_ = note_path;
  std::ofstream note(note_, std::ios::trunc);
  note << path() << "\n";
  if (!note.flush()) {
    log().warn("cannot write {}: the job is found by its id or its socket only", note_);
  }
}

/// So that who knows the job's id finds it.
void ControlServer::leave_link() {
  const auto directory = make_runtime_directory();
  if (!directory.ok()) {
    log().debug("no link to the control socket: {}", directory.error().message);
    return;
  }
  const std::string link =
      runtime_socket_of(directory.value(), options_.job_id, options_.job_directory);
  if (link == path()) {
    return;
  }
  remove_dangling_links(directory.value());
  ::unlink(link.c_str());
  if (::symlink(path().c_str(), link.c_str()) == 0) {
    link_ = link;
  }
}

void ControlServer::withdraw() {
  if (server_ != nullptr) {
    server_->withdraw();
  }
  for (std::string* const name : {&note_, &link_}) {
    if (!name->empty()) {
      ::unlink(name->c_str());
      name->clear();
    }
  }
}

void ControlServer::finish(const Result<JobResult>& result) {
  handler_->set_result(result);
  withdraw();
  server_->stop(kLastWords);
}

}  // namespace weir::runtime
