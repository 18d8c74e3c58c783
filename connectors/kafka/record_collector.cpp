#include "kafka/record_collector.h"

namespace weir::kafka {

void RecordCollector::roll_back(const Mark& mark) {
  batches_.resize(mark.batch_count);
  if (batches_.empty()) {
    return;
  }
  Batch& last = *batches_.back();
  for (std::size_t i = mark.size; i < last.size(); ++i) {
    type_->destroy(last.record_at(i));
  }
  last.set_size(mark.size);
}

}  // namespace weir::kafka
