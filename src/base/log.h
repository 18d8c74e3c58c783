#pragma once

#include <memory>
#include <string_view>

#include <spdlog/spdlog.h>

namespace weir {

/// The engine's logger: one line per event on standard error, level from WEIR_LOG
/// (trace, debug, info, warn, error, off; default info).
spdlog::logger& log();

}  // namespace weir
