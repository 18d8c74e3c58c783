#include "base/log.h"

#include <cstdlib>

#include <spdlog/sinks/stdout_sinks.h>

namespace weir {

spdlog::logger& log() {
  static const std::shared_ptr<spdlog::logger> logger = [] {
    auto created = std::make_shared<spdlog::logger>(
        "weir", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    created->set_pattern("%Y-%m-%d %H:%M:%S.%e %L %v");
    const char* level = std::getenv("WEIR_LOG");
    created->set_level(level == nullptr ? spdlog::level::info : spdlog::level::from_str(level));
    created->flush_on(spdlog::level::info);
    return created;
  }();
  return *logger;
}

}  // namespace weir
