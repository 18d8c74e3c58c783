#pragma once

#include <string_view>

namespace weir {

/// A named place where a crash test may kill or stop the process. Without an order in the
/// environment it costs one load of a bool. `WEIR_KILL_AT=name:3` sends SIGKILL to the process at
/// the third passage of `name` (counted per process; ":1" may be left out), `WEIR_STOP_AT=name:3`
/// sends SIGSTOP: the zombie that goes on later.
/// Names are listed in docs/operations/crash-testing.md.
void kill_point(std::string_view name);

}  // namespace weir
