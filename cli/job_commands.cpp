#include "job_commands.h"

#include <filesystem>

#include <fmt/format.h>

#include "checkpoint/savepoint_disposal.h"
#include "control_client.h"
#include "io/local_file_system.h"
#include "output.h"
#include "runtime/control_protocol.h"

namespace weir::cli {
namespace {

using Kind = runtime::ControlRequest::Kind;

Result<Json> ask(const JobCommand& command, Kind kind) {
  runtime::ControlRequest request;
  request.kind = kind;
  request.is_drain = command.is_drain;
  if (!command.directory.empty()) {
    // The job's working directory may be another one.
    request.directory = std::filesystem::absolute(command.directory).lexically_normal().string();
  }
  return ask_job(command.job, request, command.timeout);
}

int print_snapshot(const JobCommand& command, Kind kind) {
  const auto answer = ask(command, kind);
  if (!answer.ok()) {
    return print_error(answer.error());
  }
  if (command.is_json) {
    print_json(answer.value());
  } else {
    print_text(answer.value().value("path", "") + "\n");
  }
  return kExitOk;
}

std::string status_text(const Json& status) {
  const auto number = [&status](const char* member) {
    return status.value(member, std::int64_t{0});
  };
  std::string text = fmt::format("job {} is {}\n", printable(status.value("job_name", "?")),
                                 printable(status.value("phase", "?")));
  const auto line = [&text](std::string_view label, const std::string& value) {
    text += fmt::format("  {:<12} {}\n", label, value);
  };
  line("job id", printable(status.value("job_id", "?")));
  line("process", std::to_string(number("process")));
  if (const std::string directory = status.value("directory", ""); !directory.empty()) {
    line("checkpoints", printable(directory));
  }
  line("attempt", fmt::format("{} ({} in this process)", number("attempt"),
                              counted(static_cast<std::uint64_t>(number("restarts")), "restart")));
  line("records", fmt::format("{} in, {} out", number("records_in"), number("records_out")));
  line("completed",
       counted(static_cast<std::uint64_t>(number("checkpoints_completed")), "checkpoint") +
           fmt::format(", {} failed", number("checkpoints_failed")));
  if (number("last_checkpoint") > 0) {
    line(
        "last",
        fmt::format("checkpoint {}, took {}, {}", number("last_checkpoint"),
                    human_duration(number("last_checkpoint_duration_ms")),
                    human_bytes(static_cast<std::uint64_t>(number("last_checkpoint_size_bytes")))));
  }
  line("restored", number("restored_checkpoint") > 0
                       ? fmt::format("checkpoint {}", number("restored_checkpoint"))
                       : "nothing");
  std::string to_commit =
      counted(static_cast<std::uint64_t>(number("pending_committables")), "prepared epoch");
  if (number("oldest_commit_age_ms") > 0) {
    to_commit +=
        fmt::format(", the oldest tried for {}, {} tries came to nothing",
                    human_duration(number("oldest_commit_age_ms")), number("commit_retries"));
  }
  line("to commit", to_commit);
  return text;
}

}  // namespace

int show_job_status(const JobCommand& command) {
  const auto answer = ask(command, Kind::kStatus);
  if (!answer.ok()) {
    return print_error(answer.error());
  }
  if (command.is_json) {
    print_json(answer.value());
  } else {
    print_text(status_text(answer.value()));
  }
  return kExitOk;
}

int cancel_job(const JobCommand& command) {
  const auto answer = ask(command, Kind::kCancel);
  if (!answer.ok()) {
    return print_error(answer.error());
  }
  if (command.is_json) {
    print_json(answer.value());
  } else {
    print_text(fmt::format("the job ended as {}\n", printable(answer.value().value("phase", "?"))));
  }
  return kExitOk;
}

int trigger_checkpoint(const JobCommand& command) {
  return print_snapshot(command, Kind::kTriggerCheckpoint);
}

int trigger_savepoint(const JobCommand& command) {
  return print_snapshot(command, Kind::kTriggerSavepoint);
}

int stop_with_savepoint(const JobCommand& command) {
  return print_snapshot(command, Kind::kStopWithSavepoint);
}

int dispose_savepoint_at(const std::string& path, bool is_json) {
  const auto disposed = checkpoint::dispose_savepoint(local_file_system(), path);
  if (!disposed.ok()) {
    return print_error(disposed.error());
  }
  const checkpoint::DisposedSavepoint& gone = disposed.value();
  if (is_json) {
    print_json({{"path", gone.directory},
                {"files", gone.files},
                {"bytes", gone.bytes},
                {"left", gone.left}});
    return kExitOk;
  }
  std::string text = fmt::format("deleted {}, {}: {}\n", counted(gone.files, "file"),
                                 human_bytes(gone.bytes), printable(gone.directory));
  for (const std::string& name : gone.left) {
    text += fmt::format("left alone, not of the savepoint: {}\n",
                        printable(join_path(gone.directory, name)));
  }
  print_text(text);
  return kExitOk;
}

}  // namespace weir::cli
