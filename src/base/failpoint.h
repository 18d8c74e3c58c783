#pragma once

#include <string_view>

namespace weir {

/// A named place where a crash test may kill the process. Without WEIR_KILL_AT in the environment
/// it costs one load of a bool. `WEIR_KILL_AT=name:3` sends SIGKILL to the process at the third
/// passage of `name` (counted per process; ":1" may be left out).
/// Names are listed in docs/operations/crash-testing.md.
void kill_point(std::string_view name);

}  // namespace weir
