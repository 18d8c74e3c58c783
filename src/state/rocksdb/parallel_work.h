#pragma once

#include <cstddef>
#include <functional>

#include "weir/result.h"

namespace weir::state {

/// Where jobs may be done besides the thread that asks for them.
struct Helpers {
  std::function<void(std::function<void()> job)> run;  ///< on some I/O thread, some time; or null
  int threads = 1;                                     ///< at a time, with the one that asks
};

/// Does job(0) to job(count - 1), in no order, here and wherever helpers find the time, and returns
/// when none is under way any more. After the first failure, which is returned, no more are begun.
/// Never waits for a helper that has not begun, so that helpers may themselves ask for help.
Status do_all(const Helpers& helpers, std::size_t count,
              const std::function<Status(std::size_t index)>& job);

}  // namespace weir::state
