#include "runtime/metric_registry.h"

namespace weir::runtime {

class MetricRegistry::Group final : public MetricGroup {
 public:
  Counter& counter(const std::string& name) override {
    const std::lock_guard lock(mutex_);
    return counters_[name];
  }
  Gauge& gauge(const std::string& name) override {
    const std::lock_guard lock(mutex_);
    return gauges_[name];
  }
  void sample(const std::string& scope, std::vector<Sample>& out) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, counter] : counters_) {
      out.push_back({scope, name, counter.value()});
    }
    for (const auto& [name, gauge] : gauges_) {
      out.push_back({scope, name, gauge.value()});
    }
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, Counter> counters_;
  std::map<std::string, Gauge> gauges_;
};

MetricRegistry::MetricRegistry() = default;
MetricRegistry::~MetricRegistry() = default;

MetricGroup& MetricRegistry::group(const std::string& scope) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Group>& group = groups_[scope];
  if (group == nullptr) {
    group = std::make_unique<Group>();
  }
  return *group;
}

std::vector<MetricRegistry::Sample> MetricRegistry::sample() const {
  const std::lock_guard lock(mutex_);
  std::vector<Sample> samples;
  for (const auto& [scope, group] : groups_) {
    group->sample(scope, samples);
  }
  return samples;
}

}  // namespace weir::runtime
