#include "base/failpoint.h"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <string>

#include <unistd.h>

namespace weir {
namespace {

struct KillOrder {
  bool is_armed = false;
  std::string name;
  std::atomic<int> passages_left{1};

  KillOrder() {
    const char* text = std::getenv("WEIR_KILL_AT");
    if (text == nullptr || *text == '\0') {
      return;
    }
    name = text;
    const std::size_t colon = name.rfind(':');
    if (colon != std::string::npos) {
      passages_left = std::atoi(name.c_str() + colon + 1);
      name.resize(colon);
    }
    is_armed = true;
  }
};

KillOrder& kill_order() {
  static KillOrder order;
  return order;
}

}  // namespace

void kill_point(std::string_view name) {
  KillOrder& order = kill_order();
  if (!order.is_armed || name != order.name) [[likely]] {
    return;
  }
  if (order.passages_left.fetch_sub(1) == 1) {
    ::kill(::getpid(), SIGKILL);
  }
}

}  // namespace weir
