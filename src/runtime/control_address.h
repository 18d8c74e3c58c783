#pragma once

#include <string>

#include "weir/result.h"

namespace weir::runtime {

/// Where the control sockets of jobs are, for the job that makes one and for who looks for it.
///
/// The socket is <job directory>/control.sock where that path is short enough for a socket, else it
/// lies in this user's runtime directory, and <job directory>/control.sock.path says where. The
/// runtime directory also has a link to every other socket under the job's id.

inline constexpr const char* kControlSocketName = "control.sock";
inline constexpr const char* kControlNoteName = "control.sock.path";

/// $XDG_RUNTIME_DIR/weir, or /tmp/weir-<user id>.
std::string runtime_directory();
/// The same, created if need be. kAuthentication when others could write to it.
Result<std::string> make_runtime_directory();

/// "<runtime directory>/<job id>.<8 digits of the job directory>.sock".
std::string runtime_socket_of(const std::string& runtime_directory, const std::string& job_id,
                              const std::string& job_directory);

/// The socket of a running job, named by its checkpoint directory, the directory of its job, its
/// job id (32 hexadecimal digits or weir.job-id), or the socket itself. kNotFound when there is
/// none, kInvalidArgument naming them when there are several.
Result<std::string> find_control_socket(const std::string& job);

}  // namespace weir::runtime
