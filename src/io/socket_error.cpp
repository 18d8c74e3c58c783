#include "io/socket_error.h"

#include <cerrno>
#include <system_error>

namespace weir {

Error socket_error(std::string_view action, const std::string& path, int number) {
  ErrorCode code = ErrorCode::kIo;
  switch (number) {
    case ENOENT:
      code = ErrorCode::kNotFound;
      break;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case EAGAIN:
      code = ErrorCode::kUnavailable;
      break;
    case EACCES:
    case EPERM:
      code = ErrorCode::kAuthentication;
      break;
    default:
      break;
  }
  return Error{code, "cannot " + std::string(action) + " " + path + ": " +
                         std::generic_category().message(number)};
}

}  // namespace weir
