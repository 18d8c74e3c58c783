#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

namespace weir {

/// A number that only rises. Written by one thread, read by any.
class Counter {
 public:
  void add(std::int64_t count = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
  }
  std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

/// A number that is set. Written by one thread, read by any.
class Gauge {
 public:
  void set(std::int64_t value) { value_.store(value, std::memory_order_relaxed); }
  std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

/// The metrics of one operator subtask, under Flink's metric names ("numRecordsIn",
/// "currentInputWatermark", "numLateRecordsDropped"). Metrics live as long as the group.
class MetricGroup {
 public:
  virtual ~MetricGroup() = default;
  virtual Counter& counter(const std::string& name) = 0;
  virtual Gauge& gauge(const std::string& name) = 0;
};

}  // namespace weir
