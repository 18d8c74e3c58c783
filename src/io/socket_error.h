#pragma once

#include <string>
#include <string_view>

#include "weir/result.h"

namespace weir {

/// "cannot <action> <path>: <what errno `number` means>". kUnavailable when nobody listens or the
/// other end went away.
Error socket_error(std::string_view action, const std::string& path, int number);

}  // namespace weir
