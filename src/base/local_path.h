#pragma once

#include <string>
#include <string_view>

#include "weir/result.h"

namespace weir {

/// The path of what a user names by a path or, as in Flink, by a URI: "file:///a/b" and "file:/a/b"
/// are "/a/b", and a text without a scheme is a path already. Error (kInvalidArgument): another
/// scheme, a host, or a relative path behind "file:".
Result<std::string> local_path(std::string_view location);

}  // namespace weir
