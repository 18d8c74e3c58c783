#pragma once

#include <array>
#include <cstdint>

#include "simulator/chance.h"
#include "weir/time.h"

namespace weir::simulator {

/// Which faults a schedule may suffer. Each schedule draws its own mixture, so that every fault is
/// met alone and together with every other.
struct FaultPlan {
  bool kills = false;
  bool power_cuts = false;
  bool store_errors = false;
  bool slow_store = false;
  bool full_disk = false;
  bool zombies = false;
  bool clock_jumps = false;
  bool lost_messages = false;
  bool commit_errors = false;
  bool short_transactions = false;  ///< the broker aborts what stays open for long
  bool task_failures = false;
  TimestampMs end_ms = 0;  ///< no faults from here on
};

/// Everything about a schedule that is fixed before it starts.
struct Schedule {
  int split_count = 1;
  int keys_per_split = 1;
  int records_per_split = 1;
  int sink_count = 1;
  int max_parallelism = 8;
  std::array<int, 4> parallelism{};  ///< of sources, maps, keyed operators, sinks
  bool has_map = false;
  bool is_incremental = true;  ///< shared state files; else one exclusive file per checkpoint
  bool is_rescaled = false;    ///< parallelisms change at every start
  bool are_edges_forward = false;
  bool is_unaligned = false;      ///< barriers may overtake records, except on forward edges
  bool is_at_least_once = false;  ///< negative control: barriers do not block
  std::int64_t interval_ms = 40;
  std::int64_t timeout_ms = 200;
  std::int64_t min_pause_ms = 0;
  int max_concurrent = 1;
  int tolerable_failed = 0;
  int num_retained = 1;
  std::int64_t transaction_timeout_ms = 0;
  std::int64_t commit_deadline_ms = 3000;
  bool has_savepoints = false;
  bool has_stops = false;
  FaultPlan faults;

  std::int64_t grace_ms() const { return 3 * timeout_ms; }
  int record_count() const { return split_count * records_per_split; }
};

/// 1..4, mostly few.
inline int draw_parallelism(Chance& chance) {
  return chance.one_in(6) ? chance.small(3, 4) : chance.small(1, 2);
}

inline Schedule draw_schedule(Chance& chance) {
  Schedule s;
  s.split_count = chance.small(1, 4);
  s.keys_per_split = chance.small(1, 3);
  s.records_per_split = chance.small(4, 24);
  s.sink_count = chance.one_in(3) ? 2 : 1;
  s.max_parallelism = chance.small(4, 12);
  for (int& parallelism : s.parallelism) {
    parallelism = draw_parallelism(chance);
  }
  s.has_map = chance.one_in(2);
  s.is_incremental = !chance.one_in(3);
  s.is_rescaled = chance.one_in(2);
  s.are_edges_forward = chance.one_in(3);
  s.is_unaligned = chance.one_in(2);
  // Records under way go by key group, records along a forward edge stay where they are: only with
  // the same subtasks before and after do they keep their order.
  s.are_edges_forward = s.are_edges_forward && !(s.is_unaligned && s.is_rescaled);
  s.interval_ms = chance.between(15, 60);
  s.timeout_ms = chance.between(60, 250);
  s.min_pause_ms = chance.between(0, 15);
  s.max_concurrent = chance.small(1, 3);
  s.tolerable_failed = chance.small(0, 4);
  s.num_retained = chance.small(1, 3);
  s.has_savepoints = chance.one_in(3);
  s.has_stops = chance.one_in(3);
  FaultPlan& f = s.faults;
  f.kills = !chance.one_in(3);
  f.power_cuts = chance.one_in(4);
  f.store_errors = chance.one_in(3);
  f.slow_store = chance.one_in(5);
  f.full_disk = chance.one_in(8);
  f.zombies = chance.one_in(3);
  f.clock_jumps = chance.one_in(4);
  f.lost_messages = chance.one_in(3);
  f.commit_errors = chance.one_in(2);
  f.short_transactions = chance.one_in(4);
  f.task_failures = chance.one_in(4);
  f.end_ms = chance.between(60, 400);
  s.transaction_timeout_ms = f.short_transactions ? chance.between(40, 400) : 1'000'000;
  return s;
}

}  // namespace weir::simulator
