#include "runtime/control_address.h"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "checkpoint/manifest.h"
#include "io/file_system.h"
#include "io/line_client.h"
#include "io/line_server.h"
#include "io/socket_error.h"
#include "runtime/job_options.h"

namespace weir::runtime {
namespace {

namespace fs = std::filesystem;

bool is_socket(const std::string& path) {
  struct stat found{};
  return ::stat(path.c_str(), &found) == 0 && S_ISSOCK(found.st_mode);
}

bool is_directory(const std::string& path) {
  struct stat found{};
  return ::stat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode);
}

bool is_alive(const std::string& socket) { return LineClient::connect(socket).ok(); }

/// The socket that belongs to a directory, whether or not somebody listens; empty = none.
std::string socket_of(const std::string& directory) {
  std::string path = join_path(directory, kControlSocketName);
  if (is_socket(path) && path.size() <= kSocketPathBytesMax) {
    return path;
  }
  std::ifstream note(join_path(directory, kControlNoteName));
  std::string named;
  return std::getline(note, named) && is_socket(named) ? named : "";
}

/// Sockets of a job directory, or of the job directories in a checkpoint directory.
std::vector<std::string> sockets_below(const std::string& directory) {
  if (const std::string own = socket_of(directory); !own.empty()) {
    return {own};
  }
  std::set<std::string> found;
  std::error_code failure;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, failure)) {
    if (is_directory(entry.path().string())) {
      if (std::string socket = socket_of(entry.path().string()); !socket.empty()) {
        found.insert(std::move(socket));
      }
    }
  }
  return {found.begin(), found.end()};
}

std::vector<std::string> sockets_of_id(const std::string& job) {
  const std::string prefix = job_id_of(job) + ".";
  std::set<std::string> found;
  std::error_code failure;
  for (const fs::directory_entry& entry : fs::directory_iterator(runtime_directory(), failure)) {
    if (entry.path().filename().string().starts_with(prefix) && is_socket(entry.path().string())) {
      found.insert(entry.path().string());
    }
  }
  return {found.begin(), found.end()};
}

}  // namespace

std::string runtime_directory() {
  const char* const given = std::getenv("XDG_RUNTIME_DIR");
  if (given != nullptr && given[0] == '/' && is_directory(given)) {
    return join_path(given, "weir");
  }
  return "/tmp/weir-" + std::to_string(::geteuid());
}

Result<std::string> make_runtime_directory() {
  std::string path = runtime_directory();
  if (::mkdir(path.c_str(), S_IRWXU) != 0 && errno != EEXIST) {
    return socket_error("create", path, errno);
  }
  struct stat found{};
  if (::lstat(path.c_str(), &found) != 0) {
    return socket_error("look at", path, errno);
  }
  // /tmp is everybody's: somebody else may have made it first.
  if (!S_ISDIR(found.st_mode) || found.st_uid != ::geteuid() ||
      (found.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return Error{ErrorCode::kAuthentication,
                 path +
                     " is not a directory that only this user can write to; remove it or set "
                     "weir.control.socket"};
  }
  return path;
}

std::string runtime_socket_of(const std::string& runtime_directory, const std::string& job_id,
                              const std::string& job_directory) {
  return join_path(runtime_directory, fmt::format("{}.{:08x}.sock", job_id, crc32c(job_directory)));
}

Result<std::string> find_control_socket(const std::string& job) {
  if (is_socket(job)) {
    return job;
  }
  const bool is_place = is_directory(job);
  std::vector<std::string> sockets = is_place ? sockets_below(job) : sockets_of_id(job);
  if (sockets.size() > 1) {
    std::erase_if(sockets, [](const std::string& socket) { return !is_alive(socket); });
  }
  if (sockets.size() == 1) {
    return sockets.front();
  }
  if (sockets.empty()) {
    return Error{ErrorCode::kNotFound,
                 is_place ? "no job runs in " + job +
                                ", or it has no control socket (weir.control.socket=off)"
                          : "'" + job +
                                "' is no checkpoint directory, no socket, and no id of a job that "
                                "this user runs here; name the directory in "
                                "execution.checkpointing.dir"};
  }
  std::string names;
  for (const std::string& socket : sockets) {
    names += (names.empty() ? "" : ", ") + socket;
  }
  return Error{ErrorCode::kInvalidArgument, job + " holds several jobs; name one of " + names};
}

}  // namespace weir::runtime
