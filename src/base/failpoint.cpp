#include "base/failpoint.h"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <string>

namespace weir {
namespace {

/// A signal that the process sends to itself at one passage of one point.
class SignalOrder {
 public:
  SignalOrder(const char* variable, int signal) : signal_(signal) {
    const char* text = std::getenv(variable);
    if (text == nullptr || *text == '\0') {
      return;
    }
    name_ = text;
    const std::size_t colon = name_.rfind(':');
    if (colon != std::string::npos) {
      passages_left_ = std::atoi(name_.c_str() + colon + 1);
      name_.resize(colon);
    }
    is_armed_ = true;
  }

  bool is_armed() const { return is_armed_; }
  void pass(std::string_view name) {
    if (is_armed_ && name == name_ && passages_left_.fetch_sub(1) == 1) {
      // Sent to this thread, which therefore does not go past the point. One sent to the process is
      // taken by any thread, and this one may run on for a while.
      ::raise(signal_);
    }
  }

 private:
  int signal_;
  bool is_armed_ = false;
  std::string name_;
  std::atomic<int> passages_left_{1};
};

struct Orders {
  SignalOrder kill{"WEIR_KILL_AT", SIGKILL};
  SignalOrder stop{"WEIR_STOP_AT", SIGSTOP};
  bool is_any_armed = kill.is_armed() || stop.is_armed();
};

}  // namespace

void kill_point(std::string_view name) {
  static Orders orders;
  if (!orders.is_any_armed) [[likely]] {
    return;
  }
  orders.kill.pass(name);
  orders.stop.pass(name);
}

}  // namespace weir
