#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace demo {

/// One planned SIGKILL.
struct Kill {
  std::string moment;      ///< for people
  std::string kill_point;  ///< value of WEIR_KILL_AT, with which the job kills itself; empty: the
                           ///< supervisor does it, after `at_fraction` of the input
  double at_fraction = 0;
  int delay_ms = 0;  ///< added, so that no kill is tied to the rhythm of the reports
};

/// Kills for a run: from two on, one of them is during restore and one between the manifest and the
/// commit; the others are at moments that `random` chooses.
/// REQUIRES: a timed kill waits until there is a checkpoint, which a kill during restore needs.
std::vector<Kill> make_kill_plan(int kills, bool is_exactly_once, std::mt19937_64& random);

}  // namespace demo
