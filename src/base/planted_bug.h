#pragma once

#include <cstdlib>
#include <string>
#include <string_view>

namespace weir {

/// Deliberate bugs, so that the tests are known to be able to fail. Compiled to nothing except in
/// test programs that define WEIR_PLANTED_BUGS=1 for every source they compile themselves, and in
/// builds that are configured with -DWEIR_PLANTED_BUGS=ON (tools/planted_bugs.py).
/// `id` is the line of the bug catalogue that the bug belongs to: "F1".
#if defined(WEIR_PLANTED_BUGS) && WEIR_PLANTED_BUGS
/// The bug that is alive; empty = none. At first what the environment's WEIR_PLANTED_BUG says; set
/// it before anything runs.
inline std::string& planted_bug_id() {
  static std::string id = [] {
    const char* chosen = std::getenv("WEIR_PLANTED_BUG");
    return std::string(chosen == nullptr ? "" : chosen);
  }();
  return id;
}
inline bool planted_bug(std::string_view id) { return planted_bug_id() == id; }
#else
constexpr bool planted_bug(std::string_view /*id*/) { return false; }
#endif

}  // namespace weir
