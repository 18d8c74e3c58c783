#include "compat_command.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "output.h"
#include "state_processor/scratch_directory.h"

namespace weir::cli {
namespace {

namespace fs = std::filesystem;

std::string read_all(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

/// The end of what the job printed, where its error is.
std::string last_lines(const std::string& text) {
  constexpr std::size_t kBytesMax = 2000;
  return text.size() <= kBytesMax ? text : "..." + text.substr(text.size() - kBytesMax);
}

pid_t start(const CompatCommand& command, const fs::path& report, const fs::path& log) {
  std::vector<std::string> words{command.program};
  words.insert(words.end(), command.arguments.begin(), command.arguments.end());
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& word : words) {
    pointers.push_back(word.data());
  }
  pointers.push_back(nullptr);
  const std::string snapshot = fs::absolute(command.snapshot).lexically_normal().string();
  const pid_t child = ::fork();
  if (child != 0) {
    return child;
  }
  ::setpgid(0, 0);  // so that whatever it starts can be killed with it
  ::setenv("WEIR_COMPAT_SNAPSHOT", snapshot.c_str(), 1);
  ::setenv("WEIR_COMPAT_REPORT", report.c_str(), 1);
  const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(out, STDERR_FILENO);
  ::execvp(pointers[0], pointers.data());
  ::perror(pointers[0]);
  ::_exit(127);
}

/// The exit status, 128 + n after signal n, or -1 when it did not end in time.
int wait_for(pid_t child, DurationMs timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  int status = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() >= deadline) {
      ::kill(-child, SIGKILL);
      ::waitpid(child, &status, 0);
      return -1;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

Result<Json> ask_program(const CompatCommand& command) {
  WEIR_ASSIGN(const auto scratch,
              state_processor::ScratchDirectory::create(fs::temp_directory_path().string()));
  const fs::path directory = scratch->path();
  const fs::path report = directory / "report.json";
  const fs::path log = directory / "log";
  const int status = wait_for(start(command, report, log), command.timeout);
  Json json = Json::parse(read_all(report), nullptr, /*allow_exceptions=*/false);
  if (json.is_object()) {
    return json;
  }
  const std::string printed = last_lines(read_all(log));
  if (status == -1) {
    return Error{ErrorCode::kTimeout,
                 fmt::format("{} has not come to its execute() within {} (see --timeout); it "
                             "printed:\n{}",
                             command.program, human_duration(command.timeout.count()), printed)};
  }
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("{} ended with status {} before its execute(), or is no weir job; "
                           "it printed:\n{}",
                           command.program, status, printed)};
}

/// What has a fit of `fail_on`: states, and the positions and results of sources and sinks.
/// Operators have nothing but their states.
Json failures_of(const Json& report, const std::vector<std::string>& fail_on) {
  Json failures = Json::array();
  const auto add = [&](const std::string& fit, const std::string& what) {
    if (std::find(fail_on.begin(), fail_on.end(), fit) != fail_on.end()) {
      failures.push_back(fit + ": " + what);
    }
  };
  for (const Json& op : report.at("operators")) {
    const auto kind = op.at("kind").get<std::string>();
    const std::string what = kind + " " + op.at("uid").get<std::string>();
    if (kind != "operator") {
      add(op.at("fit"), what);
    }
    for (const Json& state : op.at("states")) {
      add(state.at("fit"), "state '" + state.at("name").get<std::string>() + "' of " + what);
    }
  }
  return failures;
}

std::string to_text(const Json& json) {
  Table table;
  table.column("FIT").column("OPERATOR").column("STATE").column("KIND").column("NOTE");
  for (const Json& op : json.at("operators")) {
    const std::string uid = printable(op.at("uid").get<std::string>());
    table.row({op.at("fit"), uid, "", op.at("kind"), ""});
    for (const Json& state : op.at("states")) {
      std::string notes;
      for (const Json& note : state.at("notes")) {
        notes += (notes.empty() ? "" : "; ") + printable(note.get<std::string>());
      }
      table.row({state.at("fit"), uid, printable(state.at("name").get<std::string>()),
                 state.at("kind"), std::move(notes)});
    }
  }
  std::string text = table.to_string();
  for (const Json& refusal : json.at("refusals")) {
    text += "REFUSED " + printable(refusal.get<std::string>()) + "\n";
  }
  for (const Json& failure : json.at("failures")) {
    text += "FAILED " + printable(failure.get<std::string>()) + " (--fail-on)\n";
  }
  return text + fmt::format("{}: {} {} from {}\n",
                            json.at("is_compatible").get<bool>() ? "compatible" : "incompatible",
                            printable(json.at("job").get<std::string>()),
                            json.at("is_compatible").get<bool>() ? "starts" : "does not start",
                            printable(json.at("path").get<std::string>()));
}

}  // namespace

int compare_job_with_snapshot(const CompatCommand& command) {
  const auto answer = ask_program(command);
  if (!answer.ok()) {
    return print_error(answer.error());
  }
  const Json& report = answer.value();
  if (report.contains("error")) {
    return print_error({ErrorCode::kInvalidArgument, report.at("error").get<std::string>()});
  }
  Json json{{"path", command.snapshot}, {"is_compatible", report.at("refusals").empty()}};
  json.update(report);
  json["failures"] = failures_of(report, command.fail_on);
  if (command.is_json) {
    print_json(json);
  } else {
    print_text(to_text(json));
  }
  const bool is_good = json.at("is_compatible").get<bool>() && json.at("failures").empty();
  return is_good ? kExitOk : kExitFailed;
}

}  // namespace weir::cli
