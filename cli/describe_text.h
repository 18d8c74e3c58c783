#pragma once

#include <string>

#include "output.h"

namespace weir::cli {

/// What `weir checkpoint describe --json` says, for people.
std::string describe_text(const Json& snapshot);

}  // namespace weir::cli
