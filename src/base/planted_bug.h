#pragma once

#include <string>
#include <string_view>

namespace weir {

/// Deliberate bugs, so that the tests are known to be able to fail. Compiled to nothing except in
/// test programs that define WEIR_PLANTED_BUGS=1 for every source they compile themselves.
/// `id` is the line of the bug catalogue that the bug belongs to: "F1".
#if defined(WEIR_PLANTED_BUGS) && WEIR_PLANTED_BUGS
/// The bug that is alive; empty = none. Set it before anything runs.
inline std::string& planted_bug_id() {
  static std::string id;
  return id;
}
inline bool planted_bug(std::string_view id) { return planted_bug_id() == id; }
#else
constexpr bool planted_bug(std::string_view /*id*/) { return false; }
#endif

}  // namespace weir
