#pragma once

#include <utility>
#include <vector>

#include "weir/batch.h"

namespace weir::kafka {

/// Gathers deserialized records of one split into batches.
class RecordCollector {
 public:
  explicit RecordCollector(const TypeOps& type) : type_(&type) {}

  template <class T>
  void push(T&& record, TimestampMs timestamp) {
    if (batches_.empty() || batches_.back()->full()) {
      batches_.push_back(Batch::make(*type_, Batch::default_capacity(*type_)));
    }
    batches_.back()->push_back(std::forward<T>(record), timestamp);
  }

  struct Mark {
    std::size_t batch_count = 0;
    std::size_t size = 0;
  };
  Mark mark() const { return {batches_.size(), batches_.empty() ? 0 : batches_.back()->size()}; }
  /// Forgets what was pushed since `mark`.
  void roll_back(const Mark& mark);

  std::vector<BatchPtr> take() { return std::exchange(batches_, {}); }

  std::int64_t bad_records = 0;  ///< messages passed over or turned into BadRecords

 private:
  const TypeOps* type_;
  std::vector<BatchPtr> batches_;
};

}  // namespace weir::kafka
