#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace weir::runtime {

/// How many records a task takes at once so that it stays responsive: a barrier that overtakes,
/// and the other tasks of the worker, wait for one call of the operators at most.
class RowBudget {
 public:
  /// Wanted duration of a call.
  static constexpr std::int64_t kTargetNs = 1'000'000;

  std::size_t rows_max() const {
    return ns_per_row_ * 1024 <= kTargetNs
               ? std::numeric_limits<std::size_t>::max()
               : static_cast<std::size_t>(std::max<std::int64_t>(1, kTargetNs / ns_per_row_));
  }
  void on_processed(std::size_t rows, std::int64_t duration_ns) {
    const std::int64_t ns = duration_ns / static_cast<std::int64_t>(std::max<std::size_t>(1, rows));
    // Up at once, down slowly: one quick call among slow ones proves nothing.
    ns_per_row_ = ns > ns_per_row_ ? ns : ns_per_row_ - (ns_per_row_ - ns) / 8;
  }

 private:
  std::int64_t ns_per_row_ = 0;
};

}  // namespace weir::runtime
