#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "weir/metrics.h"

namespace weir::runtime {

/// All metrics of one job, by scope ("<operator uid>.<subtask>") and name. Groups live as long as
/// the registry and are kept over restarts, so counters go on.
class MetricRegistry {
 public:
  struct Sample {
    std::string scope;
    std::string name;
    std::int64_t value = 0;
  };

  MetricRegistry();
  ~MetricRegistry();

  MetricGroup& group(const std::string& scope);
  /// Any thread; values are read without stopping anybody.
  std::vector<Sample> sample() const;

 private:
  class Group;

  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Group>> groups_;
};

}  // namespace weir::runtime
