#pragma once

#include <string>
#include <vector>

#include "checkpoint/manifest.h"
#include "weir/result.h"

namespace weir::checkpoint {

/// An operator, source or sink of the job that is about to start.
struct JobOperator {
  std::string uid;
  std::string name;
};

/// Which operators of a snapshot the job has, by uid. Every restore prints it.
struct OperatorMatch {
  std::vector<std::string> matched;  ///< uids, sorted
  std::vector<std::string> dropped;  ///< in the snapshot only, and with state
  std::vector<std::string> fresh;    ///< in the job only: start empty

  std::string to_string() const;
};

OperatorMatch match_operators(const Manifest& manifest, const std::vector<JobOperator>& job);

/// kInvalidArgument listing all three groups when state would be dropped and
/// `ignore_unclaimed_state` is false, or when a dropped sink has committables outstanding, which
/// no setting may throw away.
Status check_match(const Manifest& manifest, const OperatorMatch& match,
                   bool ignore_unclaimed_state);

}  // namespace weir::checkpoint
